"""``earful labels``: what reviewers said, and what becomes of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earful import console
from earful.command_line import told_if_interrupted
from earful.commands.labels_console import (
    describe_agreement,
    describe_commit,
    label_table,
    summarise,
    summary_line,
    what_counts,
)
from earful.commands.options import (
    SOME_FAILED,
    DeviceOption,
    JsonOption,
    example,
    one_of,
    print_result,
    split_names,
)
from earful.commands.store_options import index_path
from earful.wording import as_argument, counted

if TYPE_CHECKING:
    from earful.index.labels import ItemState, Label, LabelJournal, LabelState, Polarity

labels_app = typer.Typer(
    help="Look at what reviewers said, settle it, and put it into an index.",
    no_args_is_help=True,
)

FolderArgument = Annotated[
    Path,
    typer.Argument(
        help="Result of a scan, or an index.", metavar="SCAN_OR_INDEX", parser=index_path
    ),
]
ReviewerOption = Annotated[
    str, typer.Option(metavar="NAME", help="Who says so.", show_default=False)
]
LabelsOption = Annotated[
    list[str], typer.Option("--label", help="Only what is about this label. Repeatable.")
]


@labels_app.command("show")
@example("earful labels show night.scan --status disputed")
def labels_show(
    folder: FolderArgument,
    label: LabelsOption = [],  # noqa: B006 - typer copies it
    reviewer: Annotated[
        str, typer.Option(metavar="NAME", help="Only what this reviewer said.")
    ] = "",
    status: Annotated[
        str,
        typer.Option(help="Only items that are positive, negative, unknown, skip or disputed."),
    ] = "",
    flagged: Annotated[
        bool, typer.Option("--flagged", help="Only what a reviewer flagged.")
    ] = False,
    last: Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the last N.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the labels in the order in which they were said, and what counts of them."""
    from earful.index.labels import Label

    if status:
        one_of(("positive", "negative", "unknown", "skip", "disputed"), status, "--status")
    journal, state = _read(folder)
    lines = journal.read()
    undone = {line.undo for line in lines if not isinstance(line, Label)}
    shown = [
        line
        for line in lines
        if isinstance(line, Label)
        and (not label or line.label in label or line.guess in label)
        and reviewer in ("", line.reviewer)
        and (line.flagged or not flagged)
        and (not status or (line.item in state.items and state.items[line.item].status == status))
    ]
    if last is not None:
        shown = shown[-last:]
    counts = [what_counts(line, state.items.get(line.item), undone) for line in shown]
    found = [{**line.to_dict(), "counts": said} for line, said in zip(shown, counts, strict=True)]
    summary = summarise(state)
    result = {"labels": found, **summary, "notes": list(state.notes)}
    told = [summary_line(folder, summary)]
    told += [console.printable(f"note: {note}") for note in state.notes]
    if shown:
        told.insert(0, label_table(shown, counts))
    print_result(result, "\n".join(told), as_json=as_json)


@labels_app.command("export")
@example("earful labels export night.scan --format raven,csv")
def labels_export(
    folder: FolderArgument,
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            help="csv, parquet, json and jsonl tell negatives and reviewers; raven, "
            "raven-combined, audacity, birdnet, birdnet-r and kaleidoscope hold positives; several "
            "with commas between.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Folder to write; default: SCAN/labels."),
    ] = None,
    label: LabelsOption = [],  # noqa: B006 - typer copies it
    as_json: JsonOption = False,
) -> None:
    """Write what reviewers said for Raven, Audacity, BirdNET's tools, Kaleidoscope or a table."""
    from earful.rag.review import export_labels

    _read(folder)
    names = split_names(formats)
    if not names:
        raise typer.BadParameter("expected one format at least, got ''", param_hint="--format")
    target = folder / "labels" if out is None else out
    written = export_labels(folder, target, names, labels=label)
    counts = ", ".join(f"{n:,} {name}" for name, n in written.counts.items()) or "no label"
    text = f"{counts} written to {counted(len(written.files), 'file')} in {target}"
    if written.only_positives and set(written.counts) - {"positive"}:
        text += f"\nnote: {', '.join(written.only_positives)} cannot say more than the positives"
    print_result(
        written.to_dict(), "\n".join(map(console.printable, text.split("\n"))), as_json=as_json
    )


@labels_app.command("undo")
@example("earful labels undo night.scan 41 --reviewer ana")
def labels_undo(
    folder: FolderArgument,
    numbers: Annotated[
        list[int], typer.Argument(help="Numbers of labels, as `show` lists them.", metavar="SEQ...")
    ],
    reviewer: ReviewerOption,
    as_json: JsonOption = False,
) -> None:
    """Take back labels; the journal keeps them, and what the reviewer said before counts again."""
    from earful.errors import LabelError

    journal, _ = _read(folder)
    undone: list[Label] = []
    for seq in numbers:
        try:
            undone.append(journal.undo(seq, reviewer))
        except LabelError as error:
            before = ", ".join(str(one.seq) for one in undone)
            said = f"{error}; taken back before it: {before}" if before else str(error)
            raise LabelError(said, field=error.field) from error
    lines = [
        console.printable(
            f"took back {one.seq}: {one.polarity} {one.label} at {one.start_s:.2f} s of "
            f"{one.recording}"
        )
        for one in undone
    ]
    print_result([one.to_dict() for one in undone], "\n".join(lines), as_json=as_json)


@labels_app.command("import")
@example("earful labels import night.scan reviewed.csv --reviewer ana")
def labels_import(
    folder: FolderArgument,
    tables: Annotated[
        list[Path],
        typer.Argument(
            help="events.csv or clips.csv whose column review was filled in, or marked events in "
            "any format (Raven, Audacity, BirdNET, DCASE, TextGrid, a table with times).",
            metavar="TABLE...",
        ),
    ],
    reviewer: ReviewerOption,
    label_column: Annotated[
        str, typer.Option(metavar="COLUMN", help="Column that names the sound.")
    ] = "",
    column: Annotated[
        list[str],
        typer.Option(
            metavar="FIELD=COLUMN", help="Column of a field, such as start_s=von. Repeatable."
        ),
    ] = [],  # noqa: B006 - typer copies it
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count and check; write nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Add what tables say to the labels of a scan."""
    from earful.rag.review import import_labels, is_index

    _read(folder)
    if is_index(folder):
        raise typer.BadParameter(
            f"{folder} is an index, which takes tables by `earful index add TABLE --index "
            f"{as_argument(folder)}`; expected the result of a scan",
            param_hint="SCAN_OR_INDEX",
        )
    columns = dict(_pair(one) for one in column)
    report = import_labels(
        folder,
        tables,
        reviewer=reviewer,
        label_column=label_column or None,
        columns=columns,
        dry_run=dry_run,
    )
    verb = "would be added" if dry_run else "added"
    lines = [
        f"{counted(len(report.labels), 'label')} {verb}, {report.n_known:,} known already; "
        f"{report.n_events:,} of events that the scan found",
        *(f"note: {note}" for note in report.notes),
    ]
    print_result(report.to_dict(), "\n".join(map(console.printable, lines)), as_json=as_json)


@labels_app.command("commit")
@example("earful labels commit night.scan --index sounds.index --dry-run")
def labels_commit(
    folder: FolderArgument,
    index: Annotated[
        Path | None,
        typer.Option(
            "--index",
            "-i",
            metavar="DIR",
            help="Index folder, or its address; default: SCAN_OR_INDEX itself.",
            parser=index_path,
        ),
    ] = None,
    device: DeviceOption = "auto",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count; decode and write nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make an index hold what counts: positives, and negatives as what a sound is not.

    Rows whose label was taken back or is disputed by now are removed. Run again, it does what is
    left to do.
    """
    from earful.rag.review import commit_labels, is_index

    _read(folder)
    if index is None and not is_index(folder):
        raise typer.BadParameter(
            f"expected the index that the labels of {folder} go into", param_hint="--index"
        )
    target = folder if index is None else index
    kept = f"what was committed to {target} is kept; the same command does what is left to do"
    with told_if_interrupted(kept):
        report = commit_labels(folder, target, dry_run=dry_run, device=device)
    print_result(report.to_dict(), describe_commit(report, target), as_json=as_json)
    if report.failed or report.missing:
        raise typer.Exit(SOME_FAILED)


@labels_app.command("agreement")
@example("earful labels agreement night.scan")
def labels_agreement(folder: FolderArgument, as_json: JsonOption = False) -> None:
    """Tell how far reviewers agree: Cohen's kappa for each label, and where they differ."""
    from earful.index.labels import find_agreement

    _, state = _read(folder)
    found = find_agreement(state)
    print_result(found.to_dict(), describe_agreement(found), as_json=as_json)


@labels_app.command("resolve")
@example("earful labels resolve night.scan 9f3a01c2d4e5b6a7 --label wren --reviewer eva")
def labels_resolve(
    folder: FolderArgument,
    item: Annotated[
        str, typer.Argument(help="Id of a disputed item, or how it begins; see `agreement`.")
    ],
    reviewer: ReviewerOption,
    label: Annotated[
        str,
        typer.Option(help="What it is; may be left out with --polarity if they differ about one."),
    ] = "",
    polarity: Annotated[
        str,
        typer.Option(
            help="positive, negative, or unknown where nobody can tell; positive with --label."
        ),
    ] = "",
    comment: Annotated[str, typer.Option(help="Why.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Settle what reviewers differ about; what is said here counts."""
    from dataclasses import replace

    journal, state = _read(folder)
    choices: tuple[Polarity, ...] = ("positive", "negative", "unknown")
    said = one_of(choices, polarity or "positive", "--polarity")
    found = _disputed(state, item)
    words = found.opinions
    names = sorted({one.label for one in words})
    if not label and (not polarity or len(names) > 1):
        raise typer.BadParameter(_choice(folder, words, reviewer), param_hint="--label")
    settled = journal.append(
        replace(
            words[-1],
            label=label or names[0],
            polarity=said,
            reviewer=reviewer,
            source="resolve",
            queue="",
            seen_ms=None,
            comment=comment,
            flagged=False,
            seq=0,
            at=None,
        )
    )
    text = f"settled as {settled.seq}: {settled.polarity} {settled.label}"
    print_result(settled.to_dict(), console.printable(text), as_json=as_json)


def _read(folder: Path) -> tuple[LabelJournal, LabelState]:
    """Return the journal of a scan or an index, and what it says.

    Raises:
        typer.BadParameter: The folder is neither.
    """
    from earful.index.labels import LabelJournal, journal_path
    from earful.rag.review import is_index
    from earful.rag.scan import is_scan

    if not is_scan(folder) and not is_index(folder):
        raise typer.BadParameter(
            f"expected a folder that `earful scan --out` wrote, or an index, got {folder}",
            param_hint="SCAN_OR_INDEX",
        )
    journal = LabelJournal(journal_path(folder))
    return journal, journal.state()


def _disputed(state: LabelState, item: str) -> ItemState:
    """Return a disputed item by its id, or by how it begins."""
    found = [item] if item in state.items else [one for one in state.items if one.startswith(item)]
    if len(found) != 1:
        what = "none" if not found else f"{len(found)} of them"
        raise typer.BadParameter(
            f"expected the id of a disputed item, as `earful labels agreement` lists them; "
            f"{what} begins so: {item!r}",
            param_hint="ITEM",
        )
    said = state.items[found[0]]
    if said.status != "disputed":
        raise typer.BadParameter(
            f"{found[0]} is not disputed; it counts as {said.status}", param_hint="ITEM"
        )
    return said


def _choice(folder: Path, words: Sequence[Label], reviewer: str) -> str:
    """Return what reviewers said of an item, and the commands that settle it either way."""
    said = "; ".join(f"{one.reviewer}: {one.polarity} {one.label}" for one in words)
    start = f"earful labels resolve {as_argument(folder)} {as_argument(words[0].item)}"
    commands = dict.fromkeys(
        f"{start} --label {as_argument(one.label)} --polarity {one.polarity} "
        f"--reviewer {as_argument(reviewer)}"
        for one in words
    )
    return f"expected what counts ({said}): `{'` or `'.join(commands)}`"


def _pair(text: str) -> tuple[str, str]:
    name, equals, column = text.partition("=")
    if not (name and equals):
        raise typer.BadParameter(f"expected FIELD=COLUMN, got {text!r}", param_hint="--column")
    return name, column
