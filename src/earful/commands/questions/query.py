"""``earful classify``, ``ask`` and ``caption``: questions about recordings."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from earful import console
from earful.commands.endpoint_options import EndpointOptions
from earful.commands.load import (
    is_typed,
    load_few_shot,
    load_given_task,
    load_names_alone,
    print_near_labels,
    recordings_of,
)
from earful.commands.option_families import expand_families
from earful.commands.options import (
    HELP_ORDER,
    NO_MODEL,
    ClassifyModelOptions,
    FreeTextOption,
    ModelOptions,
    OptionalIndexOption,
    OutputOptions,
    QueryOptions,
    TaskOptions,
    WritingOptions,
    example,
    one_of,
    reject_unused,
    split_labels,
)
from earful.commands.questions.answers import answer_each
from earful.wording import as_argument

if TYPE_CHECKING:
    from earful.rag import Answer
    from earful.rag.retrieval import LabelScoring

_LENGTHS: tuple[Literal["sum", "mean"], ...] = ("sum", "mean")

AudioArgument = Annotated[Path, typer.Argument(help="Recording.", metavar="AUDIO")]
AudioArguments = Annotated[
    list[Path],
    typer.Argument(
        help="Recordings, or folders; - for paths on standard input.", metavar="AUDIO..."
    ),
]


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
    endpoint: EndpointOptions,
    scores: ScoringOptions,
    output: OutputOptions,
) -> None:
    """Name the sound in each recording and show the exemplars behind the answer."""
    from earful.model.audio import warm_up

    # Decoders start in the background, while all else is imported and loaded.
    warm_up()
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
        "--shot-mode": query.shot_mode != "auto",
        "--length": scores.length != "sum",
        "--prior": scores.prior,
        "--blend": blend is not None,
        "--vote-weight": scores.vote_weight is not None,
        "--decoding": models.decoding != "full",
        "--slots": models.slots is not None,
        "--dtype": models.dtype != "auto",
        **endpoint.given(),
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
    few = few or load_few_shot(index, models, task=task, query=query, endpoint=endpoint)

    def answer(path: os.PathLike[str]) -> Answer:
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
    answer_each(few, recordings, answer, output, index, query)


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
    endpoint: EndpointOptions,
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
    if not os.path.exists(audio) and os.path.isfile(question):
        raise typer.BadParameter(
            f"the recording comes first, and then the question: earful ask {as_argument(question)} "
            f"{as_argument(audio)}",
            param_hint="AUDIO",
        )
    task = load_given_task(given.task, allow_outside=given.allow_outside)
    ask_options = query.ask_options()
    ask_options["free_text"] = free_text
    options = writing.generation(query.seed)
    few = load_few_shot(index, models, task=task, query=query, needs_model="ask", endpoint=endpoint)
    answer_each(
        few,
        [audio],
        lambda path: few.ask(path, question, task=task, options=options, **ask_options),
        output,
        index,
        query,
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
    endpoint: EndpointOptions,
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
    few = load_few_shot(
        index, models, task=task, query=query, needs_model="caption", endpoint=endpoint
    )
    answer_each(
        few,
        recordings,
        lambda path: few.caption(path, task=task, options=options, **ask_options),
        output,
        index,
        query,
    )
