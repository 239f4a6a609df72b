"""Opening what answers: an index or a task's examples, and a language model if asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from earful import console
from earful.commands.options import NO_MODEL

if TYPE_CHECKING:
    from earful.model import GenerationOptions
    from earful.rag import FewShot
    from earful.rag.task import ShotMode, Task


def open_few(
    index: Path | None,
    *,
    task: Task | None = None,
    embedder: str = "",
    model: str = "",
    needs_model: str = "",
    device: str = "auto",
    dtype: str = "auto",
    decoding: str = "full",
    slots: int | None = None,
    strategy: str = "",
    group: str = "",
    hears: bool = True,
) -> FewShot:
    """Open a ``FewShot`` as a command's options say.

    Args:
        index: Index folder.
        task: What is asked; its examples stand in for an index.
        embedder: Where the index's own embedder lies now; empty where it was.
        model: Language model; ``none`` or empty for the neighbour vote.
        needs_model: The command, when it takes a language model.
        device: For embedder and model.
        dtype: For the model.
        decoding: For the model.
        slots: For the model.
        strategy: How exemplars are to be chosen, to refuse it where there are none.
        group: What is to be kept out of them, likewise.
        hears: Whether a recording will be decoded.

    Raises:
        typer.BadParameter: Something that the command needs is not given, or something is
            given that would have no effect.
    """
    from earful.model import DEFAULT_EMBEDDER, load_language_model
    from earful.model.audio import warm_up
    from earful.rag import FewShot

    if model == NO_MODEL:
        model = ""
    if needs_model and not model:
        raise typer.BadParameter(
            f"{needs_model} takes a language model: a name from `earful models list`, or a folder "
            "made by `earful models pull` or `earful models convert`",
            param_hint="--model",
        )
    if index is None and not model and task is None:
        raise typer.BadParameter("give an index, or a task with examples", param_hint="--index")
    has_exemplars = index is not None or not model or bool(task and task.examples)
    if not has_exemplars:
        refuse_idle(
            {"--strategy": bool(strategy), "--group": bool(group), "--embedder": bool(embedder)},
            "is about exemplars; give an --index or a --task with examples",
        )
    if hears:
        warm_up()
    loaded = (
        load_language_model(model, device=device, dtype=dtype, decoding=decoding, slots=slots)
        if model
        else None
    )
    if index is not None:
        return FewShot.open(index, embedder=embedder or None, model=loaded, device=device)
    if task is not None and has_exemplars:
        chosen = embedder or DEFAULT_EMBEDDER
        return FewShot.from_task(task, embedder=chosen, model=loaded, device=device)
    return FewShot(model=loaded)


def tell_caveat(few: FewShot) -> None:
    """Say what is to be known of a language model, once it is clear that it will be asked."""
    if few.model is not None and few.model.capabilities.caveat:
        console.warn(f"note: {few.model.capabilities.caveat}")


def task_of(given: str, *, allow_outside: bool) -> Task | None:
    """Load the task that a command was given, if any.

    Raises:
        TaskError: There is no such task, or it has mistakes.
        typer.BadParameter: Without a task, its examples cannot lie outside.
    """
    from earful.rag.task import load_task

    if given:
        return load_task(given, allow_outside=allow_outside)
    refuse_idle({"--allow-outside": allow_outside}, "is about the examples of a task; give one")
    return None


def is_typed(context: typer.Context, name: str) -> bool:
    """Say whether an option was given on the command line, not by a default or a variable."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def refuse_idle(given: Mapping[str, bool], why: str) -> None:
    """Refuse the first option that is given and would have no effect.

    Args:
        given: Options, and whether each is given.
        why: What it takes, to be read after the option.

    Raises:
        typer.BadParameter: One is.
    """
    for option, is_given in given.items():
        if is_given:
            raise typer.BadParameter(f"it {why}", param_hint=option)


def writing_options(
    *,
    max_tokens: int,
    temperature: float,
    top_k: int,
    top_p: float,
    seed: int,
    stop: Sequence[str],
) -> GenerationOptions:
    """Put the options about writing together.

    Raises:
        typer.BadParameter: One is outside its range or has no effect.
    """
    from earful.model import GenerationOptions

    if not temperature:
        refuse_idle(
            {"--top-k": top_k > 0, "--top-p": top_p < 1.0},
            "narrows what is drawn, and at temperature 0 nothing is; give a --temperature above 0",
        )
    try:
        return GenerationOptions(
            max_new_tokens=max_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
            stop=tuple(stop),
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def shot_mode_of(given: str) -> ShotMode:
    """Check a ``--shot-mode``.

    Raises:
        typer.BadParameter: There is no such mode.
    """
    from earful.rag.task import SHOT_MODES

    for known in SHOT_MODES:
        if known == given:
            return known
    raise typer.BadParameter(f"{given!r}; want {' or '.join(SHOT_MODES)}", param_hint="--shot-mode")
