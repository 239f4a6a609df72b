"""The commands: parse, one library call, render.

Exit codes: 0 fine; 1 an expected failure, told in one line; 2 wrong usage, or a broken
corpus table, task file or filter, with nothing written; 3 done, but some inputs failed
and are listed; 130 interrupted. Answers go to stdout, everything else to stderr.

It is long for one file because it is nothing but commands, one after the other.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import earful
from earful import console
from earful.errors import CorpusError, EarfulError, FilterError, TaskError

if TYPE_CHECKING:
    from earful.index.build import BuildReport
    from earful.index.survey import Survey
    from earful.rag.answer import Answer
    from earful.rag.pipeline import FewShot

SOME_FAILED = 3
INTERRUPTED = 130

app = typer.Typer(
    name="earful",
    help="Few-shot answers about sound, from a handful of labelled recordings.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
index_app = typer.Typer(help="Build and look after an index of exemplars.", no_args_is_help=True)
tasks_app = typer.Typer(help="Write, check and show task files.", no_args_is_help=True)
models_app = typer.Typer(help="What can embed and answer.", no_args_is_help=True)
app.add_typer(index_app, name="index")
app.add_typer(tasks_app, name="tasks")
app.add_typer(models_app, name="models")

IndexOption = Annotated[
    Path, typer.Option("--index", "-i", help="Index folder.", metavar="DIR", show_default=False)
]
IndexArgument = Annotated[Path, typer.Argument(help="Index folder.", metavar="INDEX")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
EmbedderOption = Annotated[
    str,
    typer.Option(help="Embedder: a name from `earful models list`, a folder or a .pt file."),
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
ColumnOption = Annotated[
    list[str],
    typer.Option(
        "--column",
        metavar="FIELD=COLUMN",
        help="Which column of a table holds a field, such as audio=clip_path. Repeatable.",
    ),
]
QueryEmbedderOption = Annotated[
    str,
    typer.Option("--embedder", help="Where the index's own embedder lies now, when it was moved."),
]
RootOption = Annotated[
    Path | None, typer.Option(help="Folder the table's paths start from; default: its own.")
]


def main() -> None:
    """Run the command line and turn every expected failure into one line and a code."""
    try:
        app()
    except EarfulError as error:
        if os.environ.get("EARFUL_DEBUG"):
            raise
        console.warn(f"error: {error}")
        usage = isinstance(error, (CorpusError, TaskError, FilterError))
        sys.exit(2 if usage else 1)
    except KeyboardInterrupt:
        console.warn("interrupted; what was committed is kept")
        sys.exit(INTERRUPTED)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"earful {earful.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    # Options that stand before the command; the callback above answers --version.
    pass


def _example(text: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Append a command's example to its help."""

    def add(command: Callable[..., None]) -> Callable[..., None]:
        command.__doc__ = f"{command.__doc__}\n\n\b\nExample:\n  {text}"
        return command

    return add


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, allow_nan=False))


# --- index ---------------------------------------------------------------------------


@index_app.command("build")
@_example("earful index build corpus/ --index sounds.index")
def index_build(
    corpus: Annotated[Path, typer.Argument(help="A folder per label, or a table.")],
    index: IndexOption,
    embedder: EmbedderOption = "earful-tiny",
    revision: Annotated[str, typer.Option(help="Hub revision of the embedder.")] = "",
    column: ColumnOption = [],  # noqa: B006 - typer copies it
    root: RootOption = None,
    max_duration_s: Annotated[float, typer.Option(help="Longest stretch decoded.")] = 1800.0,
    allow_outside: Annotated[
        bool, typer.Option(help="Accept files outside the corpus root.")
    ] = False,
    device: DeviceOption = "auto",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count and check, embed nothing, write nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Embed a labelled corpus into an index; run again after an interruption to go on."""
    from earful.index.corpus import open_corpus

    opened = open_corpus(corpus, columns=_columns(column), root=root, allow_outside=allow_outside)
    if dry_run:
        from earful.index.survey import survey

        _finish_survey(survey(opened), as_json=as_json)
        return
    from earful.index.build import BuildOptions, build_index
    from earful.model.audio import AudioLimits
    from earful.model.registry import load_embedder

    model = load_embedder(embedder, revision=revision, device=device)
    options = BuildOptions(limits=AudioLimits(max_duration_s=max_duration_s))
    with console.progress_bar("embedding", sys.stderr) as progress:
        report = build_index(opened, index, embedder=model, options=options, progress=progress)
    _finish_build(report, as_json=as_json)


@index_app.command("add")
@_example("earful index add siren.wav --label siren --index sounds.index")
def index_add(
    source: Annotated[Path, typer.Argument(help="A corpus, or one recording with --label.")],
    index: IndexOption,
    label: Annotated[
        list[str], typer.Option("--label", help="Label of the recording. Repeatable.")
    ] = [],  # noqa: B006 - typer copies it
    start_s: Annotated[float, typer.Option(help="Where the stretch begins.")] = 0.0,
    end_s: Annotated[float | None, typer.Option(help="Where the stretch ends.")] = None,
    group: Annotated[str, typer.Option(help="Recording, site or speaker it came from.")] = "",
    id_: Annotated[str, typer.Option("--id", help="Key of the row; default: the file name.")] = "",
    column: ColumnOption = [],  # noqa: B006 - typer copies it
    root: RootOption = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Add a corpus or one labelled recording; a row with a known id is replaced."""
    from earful.index.build import build_index
    from earful.index.corpus import open_corpus, single_recording
    from earful.index.store import Index
    from earful.model.registry import load_embedder

    stored = Index.open(index).info.fingerprint
    if source.is_file() and label:
        corpus = single_recording(
            source, labels=tuple(label), start_s=start_s, end_s=end_s, group=group, id=id_
        )
    elif label:
        raise typer.BadParameter("--label goes with one recording", param_hint="--label")
    else:
        corpus = open_corpus(source, columns=_columns(column), root=root)
    model = load_embedder(stored.name, revision=stored.revision, device=device)
    with console.progress_bar("embedding", sys.stderr) as progress:
        report = build_index(corpus, index, embedder=model, progress=progress)
    # What is added is not all there is: rows that it does not name are not stale.
    _finish_build(replace(report, stale=0), as_json=as_json)


@index_app.command("remove")
@_example("earful index remove sounds.index dog/rex-1.wav")
def index_remove(
    index: IndexArgument,
    ids: Annotated[list[str], typer.Argument(help="Ids of the rows.", metavar="ID...")],
    as_json: JsonOption = False,
) -> None:
    """Remove rows by id; an unknown id is an error and removes nothing."""
    from earful.index.store import Index

    n_removed = Index.open(index).remove(ids)
    if as_json:
        _print_json({"removed": n_removed})
    else:
        typer.echo(f"{n_removed} rows removed")


@index_app.command("info")
@_example("earful index info sounds.index")
def index_info(index: IndexArgument, as_json: JsonOption = False) -> None:
    """Show what an index holds and which embedder made it."""
    from earful.index.store import Index

    opened = Index.open(index)
    info = opened.info.to_dict()
    rejected = [rejection.to_dict() for rejection in opened.rejections()]
    if as_json:
        _print_json({**info, "rejected": rejected})
        return
    rows: list[list[str]] = []
    for key, value in info.items():
        if isinstance(value, dict):
            rows += [[f"{key}.{name}", str(item)] for name, item in value.items()]
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            rows.append([key, shown])
    typer.echo(console.table(rows))
    for item in rejected:
        typer.echo(console.printable(f"rejected {item['row']}: {item['error']}"))


@index_app.command("verify")
@_example("earful index verify sounds.index")
def index_verify(index: IndexArgument, as_json: JsonOption = False) -> None:
    """Check every row: audio present and unchanged, vectors finite and unit, header true."""
    from earful.index.store import Index

    report = Index.open(index).verify()
    problems = [problem.to_dict() for problem in report.problems]
    if as_json:
        _print_json({"checked": report.n_checked, "problems": problems})
    else:
        for problem in problems:
            typer.echo(
                console.printable(f"{problem['id']} ({problem['audio']}): {problem['what']}")
            )
        typer.echo(f"{report.n_checked} rows checked, {len(problems)} problems")
    if problems:
        raise typer.Exit(1)


@index_app.command("export")
@_example("earful index export sounds.index sounds.csv")
def index_export(
    index: IndexArgument,
    target: Annotated[Path, typer.Argument(help="A .csv or .parquet file to write.")],
    as_json: JsonOption = False,
) -> None:
    """Write every row to CSV, or with its vector to Parquet."""
    from earful.index.store import Index

    n_written = Index.open(index).export(target)
    if as_json:
        _print_json({"written": n_written, "path": str(target)})
    else:
        typer.echo(f"{n_written} rows written to {console.printable(str(target))}")


@index_app.command("compact")
@_example("earful index compact sounds.index")
def index_compact(index: IndexArgument) -> None:
    """Merge small fragments and drop versions that nobody can be reading any more."""
    from earful.index.store import Index

    Index.open(index).compact()
    typer.echo("compacted")


def _columns(pairs: Iterable[str]) -> dict[str, str] | None:
    columns: dict[str, str] = {}
    for pair in pairs:
        field, equals, name = pair.partition("=")
        if not (field and equals and name):
            raise typer.BadParameter(f"{pair!r} is not FIELD=COLUMN", param_hint="--column")
        columns[field] = name
    return columns or None


def _finish_build(report: BuildReport, *, as_json: bool) -> None:
    if as_json:
        _print_json(report.to_dict())
    else:
        typer.echo(console.describe_build(report))
    if report.rejected:
        raise typer.Exit(SOME_FAILED)


def _finish_survey(found: Survey, *, as_json: bool) -> None:
    if as_json:
        _print_json(found.to_dict())
    else:
        typer.echo(console.describe_survey(found))
    if found.rejected:
        raise typer.Exit(SOME_FAILED)


# --- asking --------------------------------------------------------------------------


@app.command()
@_example("earful search street.wav --index sounds.index --shots 5")
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
    backend: Annotated[str, typer.Option(help="exact or faiss.")] = "exact",
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
    few = _open(index, embedder=embedder, device=device)
    hits = few.search(audio=audio, text=text or None, k=k, filter=chosen, backend=backend)
    if as_json:
        _print_json({"query": text or str(audio), "evidence": [hit.to_dict() for hit in hits]})
    else:
        typer.echo(console.describe_hits(hits) or "nothing found")


@app.command()
@_example("earful classify street.wav --index sounds.index --labels siren,dog,rain")
def classify(
    audio: Annotated[list[Path], typer.Argument(help="Recordings.", metavar="AUDIO...")],
    index: Annotated[
        Path | None,
        typer.Option("--index", "-i", help="Index folder; a task with examples needs none."),
    ] = None,
    task: Annotated[str, typer.Option(help="Task file, or the name of a built-in task.")] = "",
    labels: Annotated[str, typer.Option(help="Labels to choose from, separated by commas.")] = "",
    shots: Annotated[int | None, typer.Option(min=1, help="Exemplars retrieved.")] = None,
    strategy: Annotated[
        str, typer.Option(help="nearest, balanced, diverse or random; default: the task's.")
    ] = "",
    seed: Annotated[int, typer.Option(help="For random choices.")] = 0,
    group: Annotated[str, typer.Option(help="The recordings' group, kept out of the shots.")] = "",
    show_prompt: Annotated[
        bool, typer.Option("--show-prompt", help="Print the interleaved prompt, too.")
    ] = False,
    embedder: QueryEmbedderOption = "",
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Name the sound in each recording and show the exemplars that decided it."""
    if task and labels:
        raise typer.BadParameter("--task and --labels exclude each other", param_hint="--labels")
    names = [label.strip() for label in labels.split(",")] if labels else None
    few = _open(index, task=task, embedder=embedder, device=device)
    n_failed = 0
    for path in audio:
        try:
            answer = few.classify(
                path,
                task=task or None,
                labels=names,
                shots=shots,
                strategy=strategy or None,
                seed=seed,
                group=group,
            )
        except (TaskError, FilterError):
            raise
        except EarfulError as error:
            n_failed += 1
            if as_json:
                _print_json({"audio": str(path), "error": str(error)})
            console.warn(f"error: {error}")
            continue
        _print_answer(answer, as_json=as_json, show_prompt=show_prompt)
    if n_failed:
        raise typer.Exit(1 if n_failed == len(audio) else SOME_FAILED)


def _open(index: Path | None, *, task: str = "", embedder: str, device: str) -> FewShot:
    from earful.rag.pipeline import FewShot

    if index is not None:
        return FewShot.open(index, embedder=embedder or None, device=device)
    if not task:
        raise typer.BadParameter("give an index, or a task with examples", param_hint="--index")
    if embedder:
        return FewShot.from_task(task, embedder=embedder, device=device)
    return FewShot.from_task(task, device=device)


def _print_answer(answer: Answer, *, as_json: bool, show_prompt: bool) -> None:
    if as_json:
        prompt = {"prompt": answer.prompt.render()} if show_prompt and answer.prompt else {}
        _print_json({**answer.to_dict(), **prompt})
        return
    if show_prompt and answer.prompt:
        typer.echo(console.printable_lines(answer.prompt.render()))
    typer.echo(console.describe_answer(answer))


# --- tasks, models, doctor, demo -------------------------------------------------------


@tasks_app.command("new")
@_example("earful tasks new machines.toml --labels normal,faulty")
def tasks_new(
    path: Annotated[Path, typer.Argument(help="TOML file to write.")],
    labels: Annotated[str, typer.Option(help="Labels, separated by commas.")] = "",
    kind: Annotated[str, typer.Option(help="classify, multilabel, ask or caption.")] = "classify",
) -> None:
    """Write a commented task file to start from."""
    from earful.rag.task import new_task

    new_task(path, kind=kind, labels=[label.strip() for label in labels.split(",") if label])
    typer.echo(f"wrote {console.printable(str(path))}; next: earful tasks check {path}")


@tasks_app.command("list")
@_example("earful tasks list")
def tasks_list(as_json: JsonOption = False) -> None:
    """List the built-in tasks."""
    from earful.rag.task import list_tasks, load_task

    tasks = [load_task(name) for name in list_tasks()]
    if as_json:
        for task in tasks:
            _print_json({"name": task.name, "kind": task.kind, "question": task.question})
        return
    typer.echo(
        console.table(
            [[task.name, task.kind, task.question] for task in tasks],
            header=["name", "kind", "question"],
        )
    )


@tasks_app.command("check")
@_example("earful tasks check machines.toml")
def tasks_check(
    task: Annotated[str, typer.Argument(help="Task file, or the name of a built-in task.")],
) -> None:
    """Read a task file and list every mistake with its line."""
    from earful.rag.task import check_task

    problems = check_task(task)
    for problem in problems:
        console.warn(f"error: {problem}")
    if problems:
        raise typer.Exit(2)
    typer.echo("fine")


@tasks_app.command("show")
@_example("earful tasks show urban-sounds")
def tasks_show(
    task: Annotated[str, typer.Argument(help="Task file, or the name of a built-in task.")],
    as_json: JsonOption = False,
) -> None:
    """Show a task as it is understood: question, labels, shots, examples."""
    from earful.rag.task import load_task

    loaded = load_task(task)
    if as_json:
        _print_json(loaded.to_dict())
    else:
        typer.echo(console.printable_lines(loaded.describe()))


@models_app.command("list")
@_example("earful models list")
def models_list(as_json: JsonOption = False) -> None:
    """List the embedders by name, with licence and what they need."""
    from earful.model.registry import list_embedders

    entries = list_embedders()
    if as_json:
        for entry in entries:
            _print_json(entry.to_dict())
        return
    typer.echo(
        console.table(
            [
                [
                    entry.name,
                    entry.kind,
                    "audio, text" if entry.text else "audio",
                    f"earful[{entry.extra}]" if entry.extra else "",
                    entry.licence,
                    entry.description,
                ]
                for entry in entries
            ],
            header=["name", "kind", "embeds", "needs", "licence", "what it is"],
        )
    )


@app.command()
@_example("earful doctor")
def doctor(
    hub: Annotated[bool, typer.Option(help="Try to reach the model hub.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Check versions, extras, devices, weights and the hub; say how to mend what is amiss."""
    from earful.doctor import examine

    findings = examine(hub=hub)
    if as_json:
        _print_json([finding.to_dict() for finding in findings])
    else:
        rows = [[finding.state, finding.name, finding.found] for finding in findings]
        typer.echo(console.table(rows))
        for finding in findings:
            if finding.mend:
                typer.echo(console.printable(f"{finding.name}: {finding.mend}"))
    if any(finding.state == "broken" for finding in findings):
        raise typer.Exit(1)


@app.command()
@_example("earful demo")
def demo(
    index: Annotated[
        Path, typer.Option("--index", "-i", help="Where to build the demo's index.")
    ] = Path(".demo/sounds.index"),
    n_shown: Annotated[int, typer.Option(min=0, help="Answers shown with evidence.")] = 3,
    as_json: JsonOption = False,
) -> None:
    """Build an index from the demo recordings and classify labels that it never had."""
    from earful.demo import DemoCorpus, build_demo_index, classify_unseen
    from earful.rag.pipeline import FewShot
    from earful.rag.task import load_task

    corpus = DemoCorpus.find()
    index.parent.mkdir(parents=True, exist_ok=True)
    with console.progress_bar("embedding", sys.stderr) as progress:
        report = build_demo_index(corpus, index, progress=progress)
    few = FewShot.open(index)
    task = load_task(corpus.task)
    if not as_json:
        typer.echo(f"$ earful index build {_shown(corpus.sounds)} --index {_shown(index)}")
        typer.echo(console.describe_build(report))
        info = few.index.info
        typer.echo(f"{info.n} recordings, {info.labels} labels, by {info.fingerprint.name}\n")
        typer.echo(
            f"None of these labels is in the index; {_shown(corpus.task)} brings a few examples:\n"
            f"  {', '.join(task.labels)}\n"
        )
    right = n_answers = 0
    shown: set[str] = set()
    for truth, answer in classify_unseen(corpus, few):
        n_answers += 1
        right += answer.text == truth
        if as_json:
            _print_json({"truth": truth, **answer.to_dict()})
        elif truth not in shown and len(shown) < n_shown:
            shown.add(truth)
            typer.echo(
                f"$ earful classify {_shown(Path(answer.audio))} --index {_shown(index)}"
                f" --task {_shown(corpus.task)}"
            )
            typer.echo(console.describe_answer(answer) + "\n")
    if not as_json:
        typer.echo(
            f"{right} of {n_answers} clips right, {right / n_answers:.0%}"
            f" (chance {1 / len(task.labels):.0%})"
        )


def _shown(path: Path) -> str:
    """Write a path as one would type it: relative where it lies below here, quoted."""
    import shlex

    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))
