"""``earful search``, ``classify``, ``ask`` and ``caption``: questions about recordings."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from earful import console
from earful.commands.load import (
    is_typed,
    load_few_shot,
    load_given_task,
    load_names_alone,
    print_caveat,
    print_near_labels,
    recordings_of,
)
from earful.commands.option_families import expand_families
from earful.commands.options import (
    HELP_ORDER,
    NO_MODEL,
    SOME_FAILED,
    ClassifyModelOptions,
    EmbedderOptions,
    FreeTextOption,
    IndexOption,
    JsonOption,
    ModelOptions,
    OptionalIndexOption,
    OutputOptions,
    QueryOptions,
    TaskOptions,
    WritingOptions,
    example,
    one_of,
    print_json,
    reject_unused,
    split_labels,
)
from earful.errors import EarfulError, FilterError, TaskError
from earful.wording import counted, known_names, nearest_name

if TYPE_CHECKING:
    from earful.index.search import IndexBackend, SearchFilter
    from earful.rag import Answer, FewShot
    from earful.rag.retrieval import LabelScoring

BACKENDS = ("exact", "faiss", "half", "approximate")
_LENGTHS: tuple[Literal["sum", "mean"], ...] = ("sum", "mean")

AudioArgument = Annotated[Path, typer.Argument(help="Recording.", metavar="AUDIO")]
AudioArguments = Annotated[
    list[Path],
    typer.Argument(
        help="Recordings, or folders; - for paths on standard input.", metavar="AUDIO..."
    ),
]


@example("earful search street.wav --index sounds.index -k 5")
@expand_families(HELP_ORDER)
def search(
    index: IndexOption,
    audio: Annotated[Path | None, typer.Argument(help="Recording to search with.")] = None,
    text: Annotated[
        str,
        typer.Option(
            help="Sentence to search with instead. With yamnet, similarity is then the probability "
            "of what it means, not a cosine."
        ),
    ] = "",
    k: Annotated[int, typer.Option("--k", "-k", min=1, help="Number of hits.")] = 10,
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
        float | None, typer.Option(min=-1.0, max=1.0, help="Least similarity, as it is listed.")
    ] = None,
    backend: Annotated[
        str, typer.Option(help="exact, faiss, half (half the memory) or approximate.")
    ] = "exact",
    *,
    models: EmbedderOptions,
    as_json: JsonOption = False,
) -> None:
    """List the nearest exemplars of a recording, or of a sentence."""
    from earful.index.search import SearchFilter
    from earful.rag.retrieval import read_query

    if (audio is None) == (not text):
        raise typer.BadParameter("give a recording or --text, one of the two")
    if text and not text.strip():
        raise typer.BadParameter("it is empty: expected a sentence", param_hint="--text")
    one_of(BACKENDS, backend, "--backend")
    chosen = SearchFilter(
        labels=frozenset(label),
        splits=frozenset(split),
        exclude_groups=frozenset(exclude_group),
        where=where,
        min_similarity=min_similarity,
    )
    few = load_few_shot(index, models, reads_audio=audio is not None)
    if text and few.retriever.compares_scores:
        reject_unused(
            {"--backend": backend != "exact"},
            "is about vectors, and a text is compared with the class scores of this index; it "
            "takes exact",
        )
    query = None if audio is None else read_query(audio, few.embedder)
    hits = few.search(audio=query, text=text or None, k=k, filter=chosen, backend=backend)
    notes = [] if query is None else [*query.notes]
    if text and (note := few.retriever.text_note(text, hits)):
        notes.append(note)
    if as_json:
        evidence = [hit.to_dict() for hit in hits]
        print_json({"query": text or str(audio), "evidence": evidence, "notes": notes})
        return
    typer.echo(console.describe_hits(hits) or _why_nothing(few, chosen, backend))
    for note in notes:
        typer.echo(console.describe_note(note))


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringOptions:
    """The scoring of labels by a language model, its weight against the vote, and doubt."""

    length: Annotated[
        str, typer.Option(help="A --model scores labels by the sum or the mean of their tokens.")
    ] = "sum"
    prior: Annotated[
        bool, typer.Option("--prior", help="Subtract the scores that a --model gives silence.")
    ] = False
    blend: Annotated[
        bool | None,
        typer.Option(
            "--blend/--no-blend",
            help="Weigh a --model against the neighbour vote by how well it does on exemplars, "
            "the default; or let its scores stand alone. This and --model override a task's "
            'arm = "vote".',
        ),
    ] = None
    vote_weight: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Fixed weight of the neighbour vote beside a --model, in place of --blend.",
        ),
    ] = None
    always_answer: Annotated[
        bool,
        typer.Option(
            "--always-answer",
            help='Never say "not sure" because nothing is like the recording or two labels are '
            "alike; a task's abstain_below still counts.",
        ),
    ] = False

    def scoring(self) -> LabelScoring:
        """Return them in the form that ``FewShot.classify`` takes.

        Raises:
            typer.BadParameter: There is no such length, or two options exclude each other.
        """
        from earful.rag.retrieval import LabelScoring

        length = one_of(_LENGTHS, self.length, "--length")
        if self.blend is not None and self.vote_weight is not None:
            raise typer.BadParameter(
                "it is a fixed weight, so --blend and --no-blend have no effect; give one of them",
                param_hint="--vote-weight",
            )
        return LabelScoring(length=length, prior=self.prior, vote_weight=self.vote_weight)


@example("earful classify street.wav --index sounds.index --labels siren,dog,rain")
@expand_families(HELP_ORDER)
def classify(
    context: typer.Context,
    audio: AudioArguments,
    index: OptionalIndexOption = None,
    labels: Annotated[
        str | None, typer.Option(help="Labels to choose from, separated by commas.")
    ] = None,
    *,
    given: TaskOptions,
    query: QueryOptions,
    models: ClassifyModelOptions,
    scores: ScoringOptions,
    output: OutputOptions,
) -> None:
    """Name the sound in each recording and show the exemplars behind the answer."""
    from earful.rag import default_model

    if given.task and labels is not None:
        raise typer.BadParameter("--task and --labels exclude each other", param_hint="--labels")
    scoring = scores.scoring()
    ask_options = query.ask_options()
    ask_options["always_answer"] = scores.always_answer
    names = None if labels is None else split_labels(labels)
    if index is None and not given.task and names is None:
        raise typer.BadParameter(
            "give an index, made by `earful index build`, or --labels such as dog,rain to go by "
            "their names, or a --task; else there are no labels to choose from",
            param_hint="--index",
        )
    recordings = recordings_of(audio)
    task = load_given_task(given.task, allow_outside=given.allow_outside)
    blend = scores.blend
    is_open = models.model != NO_MODEL and blend is None and scores.vote_weight is None
    if is_open and not is_typed(context, "model") and default_model(task) is None:
        console.warn(
            "note: the task leaves the answer to the vote; --model or --blend asks a model, too"
        )
        models = replace(models, model=NO_MODEL)
    about_a_model = {
        "--shot-mode": query.shot_mode != "interleaved",
        "--length": scores.length != "sum",
        "--prior": scores.prior,
        "--blend": blend is not None,
        "--vote-weight": scores.vote_weight is not None,
        "--decoding": models.decoding != "full",
        "--slots": models.slots is not None,
        "--dtype": models.dtype != "auto",
    }
    if models.model == NO_MODEL:
        reject_unused(about_a_model, "is about a language model, and none is asked; give a --model")
    if blend is not None:
        ask_options["arm"] = "blend" if blend else "model"
    wants_model = is_typed(context, "model") or any(about_a_model.values())
    has_exemplars = index is not None or bool(task and task.examples)
    few = None
    if not has_exemplars and (models.model == NO_MODEL or not wants_model):
        few = load_names_alone(models, task=task, labels=names, query=query)
        if few is not None and models.model != NO_MODEL:
            console.warn(
                "note: there is no exemplar, so the names of the labels answer; --model asks a "
                "model"
            )
    few = few or load_few_shot(index, models, task=task, query=query)

    def answer(path: Path) -> Answer:
        with console.counter("weighing the model against the vote", sys.stderr) as progress:
            return few.classify(
                path,
                task=task,
                labels=names,
                scoring=scoring,
                progress=progress,
                **ask_options,
            )

    if few.index is not None and names is not None and few.model is not None:
        print_near_labels(few.index, names)
    _answer_each(few, recordings, answer, output)


@example('earful ask street.wav "Is the siren coming closer?" --model flamingo/')
@expand_families(HELP_ORDER)
def ask(
    audio: AudioArgument,
    question: Annotated[str, typer.Argument(help="Question; or a --task has it.")] = "",
    index: OptionalIndexOption = None,
    *,
    given: TaskOptions,
    query: QueryOptions,
    models: ModelOptions,
    free_text: FreeTextOption = False,
    writing: WritingOptions,
    output: OutputOptions,
) -> None:
    """Answer a question about a recording: yes or no, or in a language model's own words.

    A question for yes or no is answered by the exemplars' vote if it is about one of an index's
    labels, and so is a choice between labels; else by the model's scores of yes and no, and "not
    sure" where these do not tell. A model too small to write is not believed in such a question,
    and answers others from the exemplars, or not at all.
    """
    if not (question.strip() or given.task):
        raise typer.BadParameter("give a question, or a --task that has one", param_hint="QUESTION")
    task = load_given_task(given.task, allow_outside=given.allow_outside)
    ask_options = query.ask_options()
    ask_options["free_text"] = free_text
    options = writing.generation(query.seed)
    few = load_few_shot(index, models, task=task, query=query, needs_model="ask")
    _answer_each(
        few,
        [audio],
        lambda path: few.ask(path, question, task=task, options=options, **ask_options),
        output,
    )


@example("earful caption street.wav --model flamingo/")
@expand_families(HELP_ORDER)
def caption(
    audio: AudioArguments,
    index: OptionalIndexOption = None,
    *,
    given: TaskOptions,
    query: QueryOptions,
    models: ModelOptions,
    free_text: FreeTextOption = False,
    writing: WritingOptions,
    output: OutputOptions,
) -> None:
    """Describe each recording in a sentence, by a language model.

    A model too small to write takes the sentence from the exemplars of an index that are most
    like the recording (their caption, or the label that won their vote), or says that it cannot.
    """
    task = load_given_task(given.task, allow_outside=given.allow_outside)
    ask_options = query.ask_options()
    ask_options["free_text"] = free_text
    options = writing.generation(query.seed)
    recordings = recordings_of(audio)
    few = load_few_shot(index, models, task=task, query=query, needs_model="caption")
    _answer_each(
        few,
        recordings,
        lambda path: few.caption(path, task=task, options=options, **ask_options),
        output,
    )


def _why_nothing(few: FewShot, chosen: SearchFilter, backend: str) -> str:
    """Name the condition of a search that no row of the index meets."""
    import numpy as np

    from earful.index.search import SearchFilter

    lean: IndexBackend = "half" if backend in ("half", "approximate") else "exact"
    index = few.index
    if index is None:
        return "nothing found: there is no index"

    def passes(some: SearchFilter) -> bool:
        query = np.eye(1, index.fingerprint.dim, dtype=np.float32)[0]
        return bool(index.search(query, k=1, filter=some, backend=lean))

    n_rows = index.info.n
    none = f"none of {counted(n_rows, 'row')}"
    if not n_rows:
        return f"nothing found: {index.why_empty()}"
    alone = {
        f"--where {chosen.where!r}": SearchFilter(where=chosen.where),
        _given("--label", chosen.labels): SearchFilter(labels=chosen.labels),
        _given("--split", chosen.splits): SearchFilter(splits=chosen.splits),
        _given("--exclude-group", chosen.exclude_groups): SearchFilter(
            exclude_groups=chosen.exclude_groups
        ),
    }
    given = {option: some for option, some in alone.items() if some != SearchFilter()}
    for option, some in given.items():
        if not passes(some):
            return f"nothing found: {none} passes {option}{_meant(few, some)}"
    if not passes(replace(chosen, min_similarity=None)):
        return f"nothing found: {none} passes {' and '.join(given)}"
    return f"nothing found: no row is as similar as --min-similarity {chosen.min_similarity:g}"


def _given(option: str, values: Collection[str]) -> str:
    return " ".join(f"{option} {shlex.quote(value)}" for value in sorted(values))


def _meant(few: FewShot, nothing: SearchFilter) -> str:
    """Return the labels or splits of the index that are spelt nearly like those of a filter."""
    if few.index is None:
        return ""
    rows = few.index.vectors().exemplars
    for values, known in (
        (nothing.labels, {label for row in rows for label in row.labels}),
        (nothing.splits, {row.split for row in rows} - {""}),
    ):
        if values:
            nearest = [value for value in sorted(values) if nearest_name(value, sorted(known))]
            return f"; {known_names([*nearest, *sorted(values)][0], sorted(known))}"
    return ""


def _answer_each(
    few: FewShot,
    audio: Sequence[Path],
    answer: Callable[[Path], Answer],
    output: OutputOptions,
) -> None:
    """Print an answer per recording; a recording that cannot be answered stops no other."""
    n_failed, is_told = 0, False
    for path in audio:
        found: Answer | EarfulError
        try:
            found = answer(path)
        except (TaskError, FilterError):
            raise
        except EarfulError as error:
            found = error
        if not is_told and not isinstance(found, EarfulError):
            print_caveat(few)
            is_told = True
        if isinstance(found, EarfulError):
            n_failed += 1
            if output.as_json:
                print_json({"audio": str(path), "error": str(found)})
            console.warn(f"error: {found}")
            continue
        prompt = found.prompt.render() if output.show_prompt and found.prompt else ""
        if output.as_json:
            print_json({**found.to_dict(), **({"prompt": prompt} if prompt else {})})
            continue
        if prompt:
            typer.echo(console.printable_lines(prompt))
        typer.echo(console.describe_answer(found))
    if n_failed:
        raise typer.Exit(1 if n_failed == len(audio) else SOME_FAILED)
