"""``earful index``: build and look after an index of exemplars."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earful import console
from earful.commands.approximate import index_approximate
from earful.commands.datasets import warn_of_rows
from earful.commands.engine_options import EngineOptions
from earful.commands.health import index_health, index_map, index_prepare
from earful.commands.load import prepare_answers, print_better_ears, rehearse
from earful.commands.merge import ShardOption, index_merge, parse_shard
from earful.commands.option_families import expand_families
from earful.commands.options import (
    SOME_FAILED,
    CorpusOptions,
    CorpusOutsideOption,
    DecodingOption,
    DeviceOption,
    IndexArgument,
    IndexOption,
    JsonOption,
    ModelOption,
    RootOption,
    example,
    one_of,
    print_result,
    reject_unused,
)
from earful.commands.sharing import index_card, index_pull, index_push
from earful.commands.stretch_options import EndOption, StartOption
from earful.errors import CorpusError
from earful.model import DEFAULT_EMBEDDER
from earful.wording import as_argument, counted, listed

if TYPE_CHECKING:
    from earful.index.builder import BuildReport
    from earful.index.corpus import Corpus
    from earful.index.maintenance import RepairReport


_DTYPES = ("auto", "float32", "bfloat16")

# Where ``--help`` lists the options about a corpus: before its root.
_CORPUS_ORDER = (
    *("revision", "id_"),
    *("column", "label_separator", "drop_missing", "merge_rows", "group_pattern", "group_by"),
    *("root", "max_duration_s", "allow_outside", "device", "dtype", "shard"),
    *("engine", "workers", "cpus_per_worker", "gpus_per_worker", "ray_address", "ray_autoscaling"),
    *("dry_run", "as_json"),
)

index_app = typer.Typer(help="Build and look after an index of exemplars.", no_args_is_help=True)


@index_app.command("build")
@example("earful index build corpus/ --index sounds.index")
@expand_families(_CORPUS_ORDER)
def index_build(
    index: IndexOption,
    corpus: Annotated[
        Path | None,
        typer.Argument(
            help="A folder per label, recordings with annotations beside them, or a table; or give "
            "--dataset."
        ),
    ] = None,
    dataset: Annotated[
        str, typer.Option(help="Published dataset in --root; see `earful datasets list`.")
    ] = "",
    split: Annotated[str, typer.Option(help="Only this split of the --dataset.")] = "",
    task: Annotated[str, typer.Option(help="Task of the --dataset; default: its first.")] = "",
    part: Annotated[str, typer.Option(help="Part of the --dataset; default: all.")] = "",
    embedder: Annotated[
        str, typer.Option(help="Embedder: a name from `earful models list`, or a folder.")
    ] = DEFAULT_EMBEDDER,
    revision: Annotated[str, typer.Option(help="Hub revision of the embedder.")] = "",
    root: RootOption = None,
    max_duration_s: Annotated[float, typer.Option(help="Longest segment to decode.")] = 1800.0,
    allow_outside: CorpusOutsideOption = False,
    device: DeviceOption = "auto",
    dtype: Annotated[
        str,
        typer.Option(
            help="Arithmetic of the embedder: float32, bfloat16, or auto for the fastest."
        ),
    ] = "auto",
    shard: ShardOption = "",
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Count, decode and check; embed and write nothing."),
    ] = False,
    as_json: JsonOption = False,
    *,
    reading: CorpusOptions,
    where: EngineOptions,
) -> None:
    """Embed a labelled corpus into an index; run again after an interruption to go on."""
    engine = where.open(device=device)
    # Open the corpus: a published dataset, or one of the user's own.
    opened: Corpus
    if dataset:
        from earful.index.datasets import load_dataset

        reject_unused(
            {"CORPUS": corpus is not None}, "is a corpus of your own; leave out --dataset"
        )
        reject_unused(
            reading.given(), "is about corpora of your own; a --dataset knows its columns"
        )
        if root is None:
            raise typer.BadParameter(
                "the --dataset needs the folder it was unpacked in", param_hint="--root"
            )
        opened = load_dataset(
            dataset, root, split=split, task=task, part=part, allow_outside=allow_outside
        )
    else:
        chosen = {"--split": bool(split), "--task": bool(task), "--part": bool(part)}
        reject_unused(chosen, "chooses within a --dataset; give one")
        if corpus is None:
            raise typer.BadParameter(
                "give a folder or a table, or a --dataset with its --root", param_hint="CORPUS"
            )
        opened = reading.open(corpus, root=root, allow_outside=allow_outside)
    from earful.index.builder import BuildOptions, build_index, embedder_for
    from earful.index.remote import name_of
    from earful.model.audio import AudioLimits, warm_up

    options = BuildOptions(limits=AudioLimits(max_duration_s=max_duration_s))
    only = parse_shard(shard)
    if dry_run:
        reject_unused(
            {"--engine": engine is not None}, "embeds, and a --dry-run does not; leave one out"
        )
        from earful.index.corpus import survey_corpus

        surveyed = survey_corpus(opened, limits=options.limits)
        found, doubtful, n_decoded = rehearse(opened, surveyed, embedder, options, only)
        _warn_of_rows(opened, root)
        counts = {**found.to_dict(), "doubtful": [some.to_dict() for some in doubtful]}
        text = console.describe_survey(found, doubtful)
        if only is not None:
            counts["shard"] = {"i": only.i, "n": only.n, "rows": n_decoded}
            text += f"\nshard {only}: {counted(n_decoded, 'row')}, whose audio was decoded"
        print_result(counts, text, as_json=as_json)
        if found.rejected:
            raise typer.Exit(SOME_FAILED)
        return
    # Embed it; rows that are indexed already are skipped.
    one_of(_DTYPES, dtype, "--dtype")
    if engine is None:
        warm_up()
    else:
        device = "cpu"  # of the embedder that those of the workers are compared with
    is_new = not (index.is_dir() and any(index.iterdir()))
    model = embedder_for(index, embedder, revision=revision, device=device, dtype=dtype)
    with console.progress_bar("embedding", sys.stderr) as progress:
        report = build_index(
            *(opened, index),
            embedder=model,
            options=options,
            shard=only,
            engine=engine,
            progress=progress,
        )
    if only is None:
        prepare_answers(index, model)
    _warn_of_rows(opened, root)
    if is_new and not as_json:
        print_better_ears(embedder)
    _finish_build(report, as_json=as_json)
    if only is not None and not as_json:
        typer.echo(f"when all {only.n} shards are built: earful index merge SHARDS... -i NEW.index")
    elif is_new and report.n and not as_json:
        name = as_argument(name_of(index))
        typer.echo(f"listen, ask and label: earful serve --index {name}")


def _warn_of_rows(opened: Corpus, root: Path | None) -> None:
    from earful.index.datasets import DatasetCorpus

    if isinstance(opened, DatasetCorpus) and root is not None:
        warn_of_rows(opened, root)


@index_app.command("add")
@example("earful index add siren.wav --label siren --index sounds.index")
@expand_families(_CORPUS_ORDER)
def index_add(
    source: Annotated[Path, typer.Argument(help="A corpus, or one recording with --label.")],
    index: IndexOption,
    label: Annotated[
        list[str], typer.Option("--label", help="Label of the recording. Repeatable.")
    ] = [],  # noqa: B006 - typer copies it
    not_label: Annotated[
        list[str], typer.Option("--not-label", help="Label that it has not. Repeatable.")
    ] = [],  # noqa: B006 - typer copies it
    start_s: StartOption = 0.0,
    end_s: EndOption = None,
    group: Annotated[str, typer.Option(help="Recording, site or speaker it came from.")] = "",
    id_: Annotated[str, typer.Option("--id", help="Key of the row; default: the file name.")] = "",
    root: RootOption = None,
    allow_outside: CorpusOutsideOption = False,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    *,
    reading: CorpusOptions,
) -> None:
    """Add a corpus or one labelled recording; a row with a known id is replaced."""
    from earful.index import Index
    from earful.index.builder import build_index
    from earful.index.corpus import (
        KINDS,
        annotation_format,
        single_recording,
        source_path,
        table_kind,
    )
    from earful.model import load_embedder

    stored = Index.open(index).info.fingerprint
    # Open the source: one recording with its label, or a corpus.
    source = source_path(source)
    if not source.exists():
        raise CorpusError(
            f"{source}: no such file or folder; expected a folder per label, a table, or one "
            "recording with --label"
        )
    of_one = "--label" if label else "--not-label"
    if (label or not_label) and source.is_dir():
        raise typer.BadParameter(
            f"it goes with one recording, and {source} is a folder", param_hint=of_one
        )
    if label or not_label:
        reject_unused(
            {
                **reading.given(),
                "--root": root is not None,
                "--allow-outside": allow_outside,
            },
            f"is about a corpus, and {of_one} about one recording; leave one of them out",
        )
        corpus = single_recording(
            source,
            labels=tuple(label),
            not_labels=tuple(not_label),
            start_s=start_s,
            end_s=end_s,
            group=group,
            id=id_,
        )
    else:
        if source.is_file() and table_kind(source) is None and not annotation_format(source):
            raise typer.BadParameter(
                f"one recording needs a label, and {source} is no table "
                f"({', '.join(KINDS)}); name the sound in it",
                param_hint="--label",
            )
        reject_unused(
            {
                "--start-s": start_s != 0.0,
                "--end-s": end_s is not None,
                "--group": bool(group),
                "--id": bool(id_),
            },
            "is about one recording; give its --label",
        )
        corpus = reading.open(source, root=root, allow_outside=allow_outside)
    # Embed it by the index's own embedder.
    model = load_embedder(stored.name, revision=stored.revision, device=device, dtype=stored.dtype)
    with console.progress_bar("embedding", sys.stderr) as progress:
        report = build_index(corpus, index, embedder=model, progress=progress)
    if (label or not_label) and not as_json:
        for row in report.replaced:
            if (row.before or row.denied_before) and row.is_relabelled:
                given = {"--label": row.there_in_either, "--not-label": row.denied_in_either}
                every = (f"{option} {as_argument(x)}" for option, own in given.items() for x in own)
                console.warn(
                    f"note: {row.id} was in the index under other labels; to keep all: "
                    f"{' '.join(every)}; "
                    "to keep it as a row of its own beside this one: another --id"
                )
    # The corpus is only what was added: rows that are not in it are not stale.
    _finish_build(replace(report, stale=()), as_json=as_json)


@index_app.command("remove")
@example("earful index remove sounds.index dog/rex-1.wav")
def index_remove(
    index: IndexArgument,
    ids: Annotated[list[str], typer.Argument(help="Ids of the rows.", metavar="ID...")],
    as_json: JsonOption = False,
) -> None:
    """Remove rows by id; an unknown id is an error and removes nothing."""
    from earful.index import Index

    n_removed = Index.open(index).remove(ids)
    print_result({"removed": n_removed}, f"{counted(n_removed, 'row')} removed", as_json=as_json)


@index_app.command("info")
@example("earful index info sounds.index")
def index_info(index: IndexArgument, as_json: JsonOption = False) -> None:
    """Show what an index holds and which embedder made it."""
    from earful.index import Index
    from earful.index.builder import rejection_lines

    opened = Index.open(index)
    info = opened.info.to_dict()
    rejected = opened.rejections()
    rows: list[list[str]] = []
    for key, value in info.items():
        if key == "not_labels":  # a table of its own
            continue
        if isinstance(value, dict):
            rows += [[f"{key}.{name}", str(item)] for name, item in value.items()]
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            rows.append([key, shown])
    notes = [why] if (why := opened.why_empty()) else []
    denied, counts = opened.not_labels, opened.labels
    said = {
        label: {"positive": counts.get(label, 0), "negative": denied.get(label, 0)}
        for label in dict(counts) | dict(denied)
    }
    found = {**info, "label_counts": said, "rejected": [one.to_dict() for one in rejected]}
    found["notes"] = notes
    lines = [f"note: {note}" for note in notes] + rejection_lines(rejected, "rejected ")
    if denied:
        lines.insert(0, console.table_of_labels(opened.labels, denied))
    print_result(found, "\n".join([console.table(rows), *lines]), as_json=as_json)


@index_app.command("verify")
@example("earful index verify sounds.index")
@expand_families(_CORPUS_ORDER)
def index_verify(
    index: IndexArgument,
    repair: Annotated[
        bool, typer.Option("--repair", help="Drop what is damaged and embed it again.")
    ] = False,
    corpus: Annotated[
        Path | None, typer.Option(help="Corpus that the index was built from, for --repair.")
    ] = None,
    root: RootOption = None,
    allow_outside: CorpusOutsideOption = False,
    *,
    reading: CorpusOptions,
    as_json: JsonOption = False,
) -> None:
    """Check that every file, row and recording is there and unchanged; --repair fixes it."""
    from earful.index import Index, verify_index

    mended: RepairReport | None = None
    reject_unused({"--corpus": corpus is not None and not repair}, "is for --repair")
    about_corpus = {
        **reading.given(),
        "--root": root is not None,
        "--allow-outside": allow_outside,
    }
    if corpus is None:
        reject_unused(about_corpus, "is about a corpus; give a --corpus")
    if repair:
        from earful.index.maintenance import repair_index

        opened = None
        if corpus is not None:
            opened = reading.open(corpus, root=root, allow_outside=allow_outside)
        with console.progress_bar("embedding", sys.stderr) as progress:
            mended = repair_index(index, opened, progress=progress)
    report = verify_index(Index.open(index))
    problems = [problem.to_dict() for problem in report.problems]
    found = {
        "checked": report.n_checked,
        "whole": report.n_whole,
        "unlisted": report.n_unlisted,
        **({"without_audio": report.n_without_audio} if report.n_without_audio else {}),
        **({"unheard": list(report.unheard)} if report.unheard else {}),
        "problems": problems,
    }
    lines = []
    if mended is not None:
        found["repair"] = mended.to_dict()
        lines.append(console.describe_repair(mended))
    for problem in problems:
        of_row = f"{problem['id']} ({problem['audio']})"
        where = of_row if problem["id"] else problem["audio"]
        lines.append(console.printable(f"{where}: {problem['what']}"))
    lines.append(
        f"{counted(report.n_checked, 'row')} checked, {report.n_whole} as "
        f"written, {counted(len(problems), 'problem')}"
    )
    if report.n_unlisted:
        lines.append(
            f"{report.n_unlisted} of its files are not in checksums.txt: only the digests of "
            "their rows were compared; --repair lists them"
        )
    if report.n_without_audio:
        lines.append(f"{counted(report.n_without_audio, 'row')} came without audio")
    if report.unheard:
        lines.append(console.printable(f"cannot be heard here: {listed(report.unheard)}"))
    print_result(found, "\n".join(lines), as_json=as_json)
    if problems or (mended is not None and mended.missing):
        raise typer.Exit(1)


@index_app.command("export")
@example("earful index export sounds.index sounds.csv")
def index_export(
    index: IndexArgument,
    target: Annotated[Path, typer.Argument(help="A .csv or .parquet file to write.")],
    as_json: JsonOption = False,
) -> None:
    """Write every row to CSV, or with its vector and class scores to Parquet."""
    from earful.index import Index, export_index

    if target.suffix.lower() not in (".csv", ".parquet"):
        raise typer.BadParameter(
            f"{target}: expected a file that ends in .csv or .parquet", param_hint="TARGET"
        )
    n_written = export_index(Index.open(index), target)
    text = f"{counted(n_written, 'row')} written to {console.printable(str(target))}"
    print_result({"written": n_written, "path": str(target)}, text, as_json=as_json)


@index_app.command("features")
@example("earful index features sounds.index --model flamingo/")
def index_features(
    index: IndexArgument,
    model: ModelOption = "",
    decoding: DecodingOption = "full",
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Encode every exemplar with a language model in advance, so that no query has to."""
    from earful.index import Index
    from earful.model import load_language_model
    from earful.rag.generation import precompute_features

    if not model:
        raise typer.BadParameter(
            "name a language model: one from `earful models list`, or a folder",
            param_hint="--model",
        )
    opened = Index.open(index)
    loaded = load_language_model(model, device=device, decoding=decoding)
    with console.counter("encoding", sys.stderr) as progress:
        report = precompute_features(opened, loaded, progress=progress)
    lines = [console.printable(f"  failed {id_}: {error}") for id_, error in report.failed]
    lines.append(
        f"{counted(report.kept, 'exemplar')} encoded, {len(report.failed)} failed in "
        f"{report.seconds:.1f} s"
    )
    print_result(report.to_dict(), "\n".join(lines), as_json=as_json)
    if report.failed:
        raise typer.Exit(SOME_FAILED)


@index_app.command("compact")
@example("earful index compact sounds.index")
def index_compact(index: IndexArgument) -> None:
    """Merge small fragments and drop versions that nobody can be reading any more."""
    from earful.index import Index

    Index.open(index).compact()
    typer.echo("compacted")


index_app.command("merge")(index_merge)
index_app.command("approximate")(index_approximate)
index_app.command("health")(index_health)
index_app.command("map")(index_map)
index_app.command("prepare")(index_prepare)
index_app.command("push")(index_push)
index_app.command("pull")(index_pull)
index_app.command("card")(index_card)


def _finish_build(report: BuildReport, *, as_json: bool) -> None:
    print_result(report.to_dict(), console.describe_build(report), as_json=as_json)
    if report.rejected:
        raise typer.Exit(SOME_FAILED)
