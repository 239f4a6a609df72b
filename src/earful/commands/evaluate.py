"""``earful evaluate``: few-shot answers compared with simpler methods on labelled recordings."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from earful import console
from earful.commands.endpoint_options import EndpointOptions, is_endpoint
from earful.commands.load import (
    load_few_shot,
    load_given_task,
    load_model,
    print_caveat,
    reject_misplaced,
)
from earful.commands.option_families import expand_families
from earful.commands.options import (
    HELP_ORDER,
    AllowOutsideOption,
    CorpusOptions,
    EvaluateModelOptions,
    JsonOption,
    MaxTokensOption,
    ModelOptions,
    OptionalIndexOption,
    RootOption,
    example,
    one_of,
    print_result,
    reject_unused,
    split_names,
)
from earful.errors import EvaluationError
from earful.wording import counted

if TYPE_CHECKING:
    from earful.index.corpus import Corpus
    from earful.model import LanguageModel
    from earful.model.endpoint import EndpointSettings
    from earful.rag import FewShot
    from earful.rag.evaluation import Evaluation, EvaluationSettings, ModelSource, Scorecard
    from earful.rag.task import Task

_ALL_LABELS = "all-labels"


@example("earful evaluate urban.toml --index sounds.index")
@expand_families(HELP_ORDER)
def evaluate(
    task: Annotated[
        str,
        typer.Argument(help="Task file or built-in task; none: all labels of the index."),
    ] = "",
    index: OptionalIndexOption = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Labelled folder or table to ask about, in place of rows of the index."),
    ] = None,
    root: RootOption = None,
    allow_outside: AllowOutsideOption = False,
    split: Annotated[
        str, typer.Option(help="Ask about rows of this split; the others are the exemplars.")
    ] = "",
    shots: Annotated[
        str, typer.Option(help="Numbers of shots, separated by commas.")
    ] = "0,1,2,4,8",
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each arm that draws at random.")] = 3,
    strategies: Annotated[
        str, typer.Option(help="nearest, balanced, diverse, random; default: the task's.")
    ] = "",
    shot_modes: Annotated[
        str,
        typer.Option(
            help="interleaved, montage, text, each as an arm where a --model takes it; default: as "
            "suits it best."
        ),
    ] = "",
    arms: Annotated[
        str, typer.Option(help="Only these: zero-shot, retrieved, blend, vote, probe, ...")
    ] = "",
    limit: Annotated[
        int | None, typer.Option(min=1, help="Most items, taken from the labels in turn.")
    ] = None,
    leaks: Annotated[
        str, typer.Option(help="Exemplars that give away items: refuse, exclude or allow them.")
    ] = "refuse",
    near_duplicate: Annotated[
        float,
        typer.Option(min=0.5, max=1.0, help="Similarity from which signals are compared; 1: none."),
    ] = 0.97,
    confidence: Annotated[
        float, typer.Option(min=0.5, max=0.999, help="Confidence of the intervals.")
    ] = 0.95,
    out: Annotated[
        Path | None,
        typer.Option(help="File of the run, to resume it; default: TASK.evaluation.json."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Report; default: the run's name with .html.")
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(help="Compute the numbers of this run again; with --index, ask again, too."),
    ] = None,
    write_task: Annotated[
        bool, typer.Option("--write-task", help="Store the verdict's arm in the task file.")
    ] = False,
    max_tokens: MaxTokensOption = 128,
    *,
    reading: CorpusOptions,
    models: EvaluateModelOptions,
    endpoint: EndpointOptions,
    as_json: JsonOption = False,
) -> None:
    """Compare every way to answer on labelled recordings, baselines included."""
    from earful.rag.evaluation import (
        file_to_write,
        load_evaluation,
        recorded_task,
        repeat_run,
    )
    from earful.rag.task import Task

    # An old run: compute its numbers again from the file alone.
    if replay is not None and index is None:
        reject_unused({"TASK": bool(task)}, "is in the run's file; give --index to ask again")
        found = load_evaluation(replay)
        _print_evaluation(found, html, as_json=as_json)
        if write_task:
            _write_verdict(recorded_task(found.document, allow_outside=allow_outside), found)
        return
    reject_unused(
        {"--allow-outside": allow_outside and not (task or data or replay)},
        "is about a task's examples and --data; give one",
    )
    if data is None:
        about_data = {**reading.given(), "--root": root is not None}
        reject_unused(about_data, "is about --data; give it")
    given = load_given_task(task, allow_outside=allow_outside) if task else None
    if write_task and replay is None:
        # Fail now, and not after every item has been asked.
        file_to_write(given if given is not None else Task(name=_ALL_LABELS))
    settings = _settings(
        shots=_numbers(shots),
        seeds=seeds,
        strategies=split_names(strategies),
        arms=split_names(arms),
        shot_modes=split_names(shot_modes),
        split=split,
        limit=limit,
        leaks=leaks,
        near_duplicate=near_duplicate,
        max_new_tokens=max_tokens,
        confidence=confidence,
    )
    sources = _sources(models, endpoint)
    few = load_few_shot(
        index,
        models.one(),
        task=given,
        endpoint=None if sources else endpoint,
        keep_replies=True,
        needs_embedder=True,
    )
    # An old run with an index: ask its questions again and compare the answers.
    if replay is not None:
        with console.counter("asking again", sys.stderr) as progress:
            compared = repeat_run(
                few, replay, models=sources, allow_outside=allow_outside, progress=progress
            )
        print_caveat(few)
        text = console.printable_lines(compared.describe())
        print_result(compared.to_dict(), text, as_json=as_json)
        raise typer.Exit(0 if compared.is_same else 1)
    # A new run, or the rest of one that was interrupted.
    asked = given if given is not None else Task(name=_ALL_LABELS)
    file = out if out is not None else Path(f"{asked.name}.evaluation.json")
    corpus = None if data is None else reading.open(data, root=root, allow_outside=allow_outside)
    found = _run(few, asked, settings, sources, corpus, file)
    print_caveat(few)
    page = html if html is not None else file.with_suffix(".html")
    _print_evaluation(found, page, as_json=as_json)
    console.warn(f"run: {file}")
    if write_task:
        _write_verdict(asked, found)


def _settings(leaks: str, **values: Any) -> EvaluationSettings:
    from earful.rag.evaluation import ON_LEAKS, EvaluationSettings

    leaks = one_of(ON_LEAKS, leaks, "--leaks")
    try:
        return EvaluationSettings(leaks=leaks, **values)
    except EvaluationError as error:
        raise typer.BadParameter(str(error)) from None


def _sources(models: EvaluateModelOptions, endpoint: EndpointOptions) -> tuple[ModelSource, ...]:
    """Return the language models that are compared, each to be loaded when its turn comes.

    Raises:
        typer.BadParameter: An option would have no effect, or is of another form.
    """
    from earful.rag.evaluation import ModelSource

    names = models.several()
    if not names:
        return ()
    behind = [name for name in names if is_endpoint(name)]
    reject_misplaced(
        models.of(names[0]),
        endpoint,
        is_here=len(behind) < len(names),
        is_behind=bool(behind),
    )
    settings = endpoint.settings(keep_replies=True) if behind else None
    return tuple(
        ModelSource(
            name=name,
            load=partial(_load_and_warn, models.of(name), settings if name in behind else None),
        )
        for name in names
    )


def _load_and_warn(models: ModelOptions, endpoint: EndpointSettings | None) -> LanguageModel:
    model = load_model(models, endpoint=endpoint)
    if model.capabilities.caveat:
        console.warn(f"note: {models.model}: {model.capabilities.caveat}")
    return model


def _run(
    few: FewShot,
    task: Task,
    settings: EvaluationSettings,
    models: Sequence[ModelSource],
    corpus: Corpus | None,
    file: Path,
) -> Evaluation:
    from earful.rag.evaluation import evaluate as ask_every_arm

    with console.counter("asking", sys.stderr) as progress:
        return ask_every_arm(
            few,
            task,
            settings=settings,
            models=models,
            corpus=corpus,
            out=file,
            progress=progress,
        )


def _print_evaluation(found: Evaluation, html: Path | None, *, as_json: bool) -> None:
    from earful.rag.evaluation import write_report

    if html is not None:
        write_report(found.scorecard, html)
        console.warn(f"report: {html}")
    text = console.printable_lines(describe_evaluation(found.scorecard))
    print_result(found.to_dict(), text, as_json=as_json)


def describe_evaluation(card: Scorecard) -> str:
    """Render an evaluation: a line per arm, the differences between arms, the verdict."""
    from earful.rag.evaluation import difference_text, is_share, metric_text

    unit = card.metric
    is_counted = any(score.spending for score in card.arms)
    is_priced = any(score.spending and score.spending.cost for score in card.arms)
    shown = [card.metric, *[name for name in card.metrics if name != card.metric][:1]]
    header = ["arm", *shown, "interval", "s/item"]
    header += ["requests", "tokens"] * is_counted + ["cost"] * is_priced
    rows, unparsed = [], list[str]()
    for score in card.arms:
        values = [metric_text(name, score.metrics[name].value) for name in shown]
        low, high = (metric_text(unit, end) for end in (score.primary.low, score.primary.high))
        mark = " (use this)" if score.arm == card.verdict.arm else ""
        if score.n_unparsed:
            unparsed.append(f"{score.arm.name} {score.n_unparsed}")
        row = [score.arm.name + mark, *values, f"{low} to {high}", f"{score.median_s:.3f}"]
        spent = score.spending
        if is_counted:
            row += [f"{spent.requests:g}", f"{spent.tokens:g}"] if spent else ["", ""]
        if is_priced:
            row.append(f"{spent.cost:.2g}" if spent and spent.cost else "")
        rows.append(row)
    n_groups = len(set(card.groups))
    lines = [
        f"{counted(len(card.items), 'item')} of {counted(n_groups, 'group')}, by {unit}",
        "",
        console.table(rows, header=header, right="124567"),
        "",
    ]
    if unparsed:
        lines += [f"no label could be read, which counts as wrong: {', '.join(unparsed)}", ""]
    lines += [f"{name} took {text}" for name, text in card.spent_texts] + [""] * bool(card.models)
    points = " points" if is_share(unit) else ""
    for pair in card.comparisons:
        found = pair.difference
        value, low, high = (
            difference_text(unit, number) for number in (found.value, found.low, found.high)
        )
        test = f", McNemar p = {pair.mcnemar.p_value:.2g}" if pair.mcnemar else ""
        lines.append(f"{pair.first} less {pair.second}: {value}{points} ({low} to {high}){test}")
    lines += ["", f"verdict: {card.verdict.text}"]
    lines += [f"note: {note}" for note in card.document["notes"]]
    return "\n".join(lines)


def _write_verdict(task: Task, found: Evaluation) -> None:
    from earful.rag.evaluation import write_verdict

    written = write_verdict(task, found.scorecard.verdict)
    console.warn(f"wrote to {task.source}: {written}")


def _numbers(given: str) -> tuple[int, ...]:
    try:
        return tuple(int(number) for number in split_names(given))
    except ValueError:
        raise typer.BadParameter(
            f"expected whole numbers with commas between, got {given!r}", param_hint="--shots"
        ) from None
