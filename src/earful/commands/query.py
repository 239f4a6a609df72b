"""``earful search``, ``classify``, ``ask`` and ``caption``: questions about recordings."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earful import console
from earful.commands.load import (
    is_typed,
    open_few,
    refuse_idle,
    shot_mode_of,
    task_of,
    tell_caveat,
    writing_options,
)
from earful.commands.options import (
    DEFAULT_MODEL,
    NO_MODEL,
    SOME_FAILED,
    AllowOutsideOption,
    DecodingOption,
    DeviceOption,
    DtypeOption,
    EndOption,
    GroupOption,
    IndexOption,
    JsonOption,
    MaxTokensOption,
    ModelOption,
    ModelOrNoneOption,
    OptionalIndexOption,
    QueryEmbedderOption,
    SeedOption,
    ShotModeOption,
    ShotsOption,
    ShowPromptOption,
    SlotsOption,
    StartOption,
    StopOption,
    StrategyOption,
    TemperatureOption,
    TopKOption,
    TopPOption,
    example,
    print_json,
)
from earful.errors import EarfulError, FilterError, TaskError
from earful.wording import counted

if TYPE_CHECKING:
    from earful.index.search import IndexBackend, SearchFilter
    from earful.rag import Answer, FewShot

TaskOption = Annotated[str, typer.Option(help="Task file, or the name of a built-in task.")]
AudioArguments = Annotated[list[Path], typer.Argument(help="Recordings.", metavar="AUDIO...")]


@example("earful search street.wav --index sounds.index --shots 5")
def search(
    index: IndexOption,
    audio: Annotated[Path | None, typer.Argument(help="Recording to search with.")] = None,
    text: Annotated[str, typer.Option(help="Sentence to search with instead.")] = "",
    k: Annotated[int, typer.Option("--k", "-k", min=1, help="How many hits.")] = 10,
    where: Annotated[
        str, typer.Option(help="SQL filter, such as \"split = 'train' AND licence = 'CC0'\".")
    ] = "",
    label: Annotated[
        list[str], typer.Option("--label", help="Only rows with this label. Repeatable.")
    ] = [],  # noqa: B006 - typer copies it
    split: Annotated[
        list[str], typer.Option("--split", help="Only rows of this split. Repeatable.")
    ] = [],  # noqa: B006 - typer copies it
    exclude_group: Annotated[
        list[str], typer.Option("--exclude-group", help="No rows of this group. Repeatable.")
    ] = [],  # noqa: B006 - typer copies it
    min_similarity: Annotated[
        float | None, typer.Option(min=-1.0, max=1.0, help="Least cosine similarity.")
    ] = None,
    backend: Annotated[
        str, typer.Option(help="exact, faiss, half (half the memory) or approximate.")
    ] = "exact",
    embedder: QueryEmbedderOption = "",
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """List the nearest exemplars of a recording, or of a sentence."""
    from earful.index.search import SearchFilter

    if (audio is None) == (not text):
        raise typer.BadParameter("give a recording or --text, one of the two")
    chosen = SearchFilter(
        labels=frozenset(label),
        splits=frozenset(split),
        exclude_groups=frozenset(exclude_group),
        where=where,
        min_similarity=min_similarity,
    )
    few = open_few(index, embedder=embedder, device=device, hears=audio is not None)
    hits = few.search(audio=audio, text=text or None, k=k, filter=chosen, backend=backend)
    if as_json:
        print_json({"query": text or str(audio), "evidence": [hit.to_dict() for hit in hits]})
    else:
        typer.echo(console.describe_hits(hits) or _why_nothing(few, chosen, backend))


@example("earful classify street.wav --index sounds.index --labels siren,dog,rain")
def classify(
    context: typer.Context,
    audio: AudioArguments,
    index: OptionalIndexOption = None,
    task: TaskOption = "",
    labels: Annotated[
        str | None, typer.Option(help="Labels to choose from, separated by commas.")
    ] = None,
    allow_outside: AllowOutsideOption = False,
    shots: ShotsOption = None,
    strategy: StrategyOption = "",
    seed: SeedOption = 0,
    group: GroupOption = "",
    start_s: StartOption = 0.0,
    end_s: EndOption = None,
    show_prompt: ShowPromptOption = False,
    model: ModelOrNoneOption = DEFAULT_MODEL,
    shot_mode: ShotModeOption = "interleaved",
    length: Annotated[
        str, typer.Option(help="A --model scores labels by the sum or the mean of their tokens.")
    ] = "sum",
    prior: Annotated[
        bool, typer.Option("--prior", help="Take off what a --model says of silence.")
    ] = False,
    blend: Annotated[
        bool | None,
        typer.Option(
            "--blend/--no-blend",
            help="Weigh a --model against the neighbour vote by how well it does on exemplars, "
            "the default; or let its scores stand alone. This and --model go before a task's "
            'arm = "vote".',
        ),
    ] = None,
    vote_weight: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Fixed weight of the neighbour vote beside a --model, in place of --blend.",
        ),
    ] = None,
    decoding: DecodingOption = "full",
    slots: SlotsOption = None,
    embedder: QueryEmbedderOption = "",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Name the sound in each recording and show the exemplars that decided it."""
    from earful.rag.retrieval import LabelScoring

    if task and labels is not None:
        raise typer.BadParameter("--task and --labels exclude each other", param_hint="--labels")
    if length not in ("sum", "mean"):
        raise typer.BadParameter(f"{length!r}; want sum or mean", param_hint="--length")
    if blend is not None and vote_weight is not None:
        raise typer.BadParameter(
            "it is a fixed weight, so --blend and --no-blend have no effect; give one of them",
            param_hint="--vote-weight",
        )
    scoring = LabelScoring(
        length="mean" if length == "mean" else "sum", prior=prior, vote_weight=vote_weight
    )
    mode = shot_mode_of(shot_mode)
    names = None if labels is None else _labels(labels)
    if index is None and not task and names is None:
        raise typer.BadParameter(
            "there are no labels to choose from: give an index, a --task, or --labels",
            param_hint="--index",
        )
    asked = task_of(task, allow_outside=allow_outside)
    is_open = model != NO_MODEL and blend is None and vote_weight is None
    if is_open and asked is not None and asked.arm == "vote":
        if is_typed(context, "model"):
            # Whoever names a model here wants to hear it, whatever the task's file says.
            blend = True
        else:
            console.warn(
                "note: the task leaves the answer to the vote; --model or --blend asks a model, too"
            )
            model = NO_MODEL
    if model == NO_MODEL:
        refuse_idle(
            {
                "--shot-mode": mode != "interleaved",
                "--length": length != "sum",
                "--prior": prior,
                "--blend": blend is not None,
                "--vote-weight": vote_weight is not None,
                "--decoding": decoding != "full",
                "--slots": slots is not None,
                "--dtype": dtype != "auto",
            },
            "is about a language model, and none is asked; give a --model",
        )
    few = open_few(
        index,
        task=asked,
        embedder=embedder,
        model=model,
        device=device,
        dtype=dtype,
        decoding=decoding,
        slots=slots,
        strategy=strategy,
        group=group,
    )

    def answer(path: Path) -> Answer:
        with console.counter("weighing the model against the vote", sys.stderr) as progress:
            return few.classify(
                path,
                task=asked,
                labels=names,
                shots=shots,
                strategy=strategy or None,
                shot_mode=mode,
                blend=blend,
                scoring=scoring,
                progress=progress,
                seed=seed,
                group=group,
                start_s=start_s,
                end_s=end_s,
            )

    _answer_each(few, audio, answer, as_json=as_json, show_prompt=show_prompt)


@example('earful ask street.wav "Is the siren coming closer?" --model flamingo/')
def ask(
    audio: Annotated[Path, typer.Argument(help="Recording.", metavar="AUDIO")],
    question: Annotated[str, typer.Argument(help="What to ask; or a --task has it.")] = "",
    index: OptionalIndexOption = None,
    task: TaskOption = "",
    allow_outside: AllowOutsideOption = False,
    shots: ShotsOption = None,
    strategy: StrategyOption = "",
    seed: SeedOption = 0,
    group: GroupOption = "",
    start_s: StartOption = 0.0,
    end_s: EndOption = None,
    show_prompt: ShowPromptOption = False,
    model: ModelOption = DEFAULT_MODEL,
    shot_mode: ShotModeOption = "interleaved",
    max_tokens: MaxTokensOption = 128,
    temperature: TemperatureOption = 0.0,
    top_k: TopKOption = 0,
    top_p: TopPOption = 1.0,
    stop: StopOption = [],  # noqa: B006 - typer copies it
    decoding: DecodingOption = "full",
    slots: SlotsOption = None,
    embedder: QueryEmbedderOption = "",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Answer a question about a recording in a language model's own words."""
    if not (question.strip() or task):
        raise typer.BadParameter("give a question, or a --task that has one", param_hint="QUESTION")
    asked = task_of(task, allow_outside=allow_outside)
    mode = shot_mode_of(shot_mode)
    options = writing_options(
        max_tokens=max_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        seed=seed,
        stop=stop,
    )
    few = open_few(
        index,
        task=asked,
        embedder=embedder,
        model=model,
        needs_model="ask",
        device=device,
        dtype=dtype,
        decoding=decoding,
        slots=slots,
        strategy=strategy,
        group=group,
    )

    def answer(path: Path) -> Answer:
        return few.ask(
            path,
            question,
            task=asked,
            shots=shots,
            strategy=strategy or None,
            shot_mode=mode,
            options=options,
            seed=seed,
            group=group,
            start_s=start_s,
            end_s=end_s,
        )

    _answer_each(few, [audio], answer, as_json=as_json, show_prompt=show_prompt)


@example("earful caption street.wav --model flamingo/")
def caption(
    audio: AudioArguments,
    index: OptionalIndexOption = None,
    shots: ShotsOption = None,
    strategy: StrategyOption = "",
    seed: SeedOption = 0,
    group: GroupOption = "",
    start_s: StartOption = 0.0,
    end_s: EndOption = None,
    show_prompt: ShowPromptOption = False,
    model: ModelOption = DEFAULT_MODEL,
    shot_mode: ShotModeOption = "interleaved",
    max_tokens: MaxTokensOption = 128,
    temperature: TemperatureOption = 0.0,
    top_k: TopKOption = 0,
    top_p: TopPOption = 1.0,
    stop: StopOption = [],  # noqa: B006 - typer copies it
    decoding: DecodingOption = "full",
    slots: SlotsOption = None,
    embedder: QueryEmbedderOption = "",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Describe each recording in a sentence, by a language model."""
    mode = shot_mode_of(shot_mode)
    options = writing_options(
        max_tokens=max_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        seed=seed,
        stop=stop,
    )
    few = open_few(
        index,
        embedder=embedder,
        model=model,
        needs_model="caption",
        device=device,
        dtype=dtype,
        decoding=decoding,
        slots=slots,
        strategy=strategy,
        group=group,
    )

    def answer(path: Path) -> Answer:
        return few.caption(
            path,
            shots=shots,
            strategy=strategy or None,
            shot_mode=mode,
            options=options,
            seed=seed,
            group=group,
            start_s=start_s,
            end_s=end_s,
        )

    _answer_each(few, audio, answer, as_json=as_json, show_prompt=show_prompt)


def _why_nothing(few: FewShot, chosen: SearchFilter, backend: str) -> str:
    """Say which condition no row of the index meets."""
    import numpy as np

    from earful.index.search import SearchFilter

    lean: IndexBackend = "half" if backend in ("half", "approximate") else "exact"

    def passes(some: SearchFilter) -> bool:
        query = np.eye(1, few.index.fingerprint.dim, dtype=np.float32)[0]
        return bool(few.index.search(query, k=1, filter=some, backend=lean))

    n_rows = few.index.info.n
    none = f"none of {counted(n_rows, 'row')}"
    if not n_rows:
        return "nothing found: the index holds no rows"
    alone = {
        f"--where {chosen.where!r}": SearchFilter(where=chosen.where),
        "--label": SearchFilter(labels=chosen.labels),
        "--split": SearchFilter(splits=chosen.splits),
        "--exclude-group": SearchFilter(exclude_groups=chosen.exclude_groups),
    }
    given = {option: some for option, some in alone.items() if some != SearchFilter()}
    for option, some in given.items():
        if not passes(some):
            return f"nothing found: {none} passes {option}"
    if not passes(replace(chosen, min_similarity=None)):
        return f"nothing found: {none} passes {' and '.join(given)}"
    return f"nothing found: no row is as similar as --min-similarity {chosen.min_similarity:g}"


def _labels(given: str) -> list[str]:
    labels = [label.strip() for label in given.split(",")]
    if "" in labels:
        raise typer.BadParameter(
            f"label {labels.index('') + 1} of {given!r} is empty; want a name between all commas",
            param_hint="--labels",
        )
    return labels


def _answer_each(
    few: FewShot,
    audio: Sequence[Path],
    answer: Callable[[Path], Answer],
    *,
    as_json: bool,
    show_prompt: bool,
) -> None:
    """Print an answer a recording; a recording that cannot be answered stops no other."""
    n_failed = 0
    for number, path in enumerate(audio):
        found: Answer | EarfulError
        try:
            found = answer(path)
        except (TaskError, FilterError):
            raise
        except EarfulError as error:
            found = error
        if not number:
            tell_caveat(few)
        if isinstance(found, EarfulError):
            n_failed += 1
            if as_json:
                print_json({"audio": str(path), "error": str(found)})
            console.warn(f"error: {found}")
            continue
        if as_json:
            prompt = {"prompt": found.prompt.render()} if show_prompt and found.prompt else {}
            print_json({**found.to_dict(), **prompt})
            continue
        if show_prompt and found.prompt:
            typer.echo(console.printable_lines(found.prompt.render()))
        typer.echo(console.describe_answer(found))
    if n_failed:
        raise typer.Exit(1 if n_failed == len(audio) else SOME_FAILED)
