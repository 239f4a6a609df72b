"""Opening what answers: an index or a task's examples, and a language model if asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from earful.rag.pipeline import FewShot
    from earful.rag.prompt import ShotMode


def open_few(
    index: Path | None,
    *,
    task: str = "",
    embedder: str = "",
    model: str = "",
    needs_model: str = "",
    device: str = "auto",
    dtype: str = "auto",
    decoding: str = "full",
    slots: int | None = None,
) -> FewShot:
    """Open a ``FewShot`` as a command's options say.

    Args:
        index: Index folder.
        task: Task file or built-in name; its examples stand in for an index.
        embedder: Where the index's own embedder lies now; empty where it was.
        model: Language model; empty for the neighbour vote.
        needs_model: The command, when it takes a language model.
        device: For embedder and model.
        dtype: For the model.
        decoding: For the model.
        slots: For the model.

    Raises:
        typer.BadParameter: Something that the command needs is not given.
    """
    from earful.model.registry import DEFAULT_EMBEDDER, load_language_model
    from earful.rag.pipeline import FewShot
    from earful.rag.task import load_task

    if needs_model and not model:
        raise typer.BadParameter(
            f"{needs_model} takes a language model: a name from `earful models list`, or a folder "
            "made by `earful models pull` or `earful models convert`",
            param_hint="--model",
        )
    if index is None and not model and not task:
        raise typer.BadParameter("give an index, or a task with examples", param_hint="--index")
    loaded = (
        load_language_model(model, device=device, dtype=dtype, decoding=decoding, slots=slots)
        if model
        else None
    )
    if index is not None:
        return FewShot.open(index, embedder=embedder or None, model=loaded, device=device)
    if loaded is None or (task and load_task(task).examples):
        chosen = embedder or DEFAULT_EMBEDDER
        return FewShot.from_task(task, embedder=chosen, model=loaded, device=device)
    return FewShot(model=loaded)


def shot_mode_of(given: str) -> ShotMode:
    """Check a ``--shot-mode``.

    Raises:
        typer.BadParameter: There is no such mode.
    """
    from earful.rag.prompt import SHOT_MODES

    for known in SHOT_MODES:
        if known == given:
            return known
    raise typer.BadParameter(f"{given!r}; want {' or '.join(SHOT_MODES)}", param_hint="--shot-mode")
