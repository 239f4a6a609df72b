"""``earful events``: what a scan found, as a page, exported, cut out, evaluated and counted."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from earful import console
from earful.command_line import told_if_interrupted
from earful.commands.options import (
    SOME_FAILED,
    JsonOption,
    example,
    one_of,
    print_result,
    split_labels,
    split_names,
)
from earful.wording import counted

if TYPE_CHECKING:
    from earful.index.annotations import ClipChoice
    from earful.rag.scan import EventEvaluation

events_app = typer.Typer(
    help="Look at, export, cut out, evaluate and count what a scan found.", no_args_is_help=True
)

ScanArgument = Annotated[Path, typer.Argument(help="Result of a scan.", metavar="SCAN")]
LabelsOption = Annotated[
    list[str], typer.Option("--label", help="Only events of this label. Repeatable.")
]


@events_app.command("export")
@example("earful events export night.scan --format raven,audacity")
def events_export(
    folder: ScanArgument,
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            help="csv, parquet, json, jsonl, raven, raven-combined, audacity, birdnet or "
            "kaleidoscope; several with commas between.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Folder to write; default: SCAN/export."),
    ] = None,
    label: LabelsOption = [],  # noqa: B006 - typer copies it
    min_score: Annotated[
        float | None, typer.Option(metavar="SCORE", help="Only events of this score at least.")
    ] = None,
    audacity_score: Annotated[
        bool, typer.Option("--audacity-score", help="Put the score behind Audacity's labels.")
    ] = False,
    audacity_band: Annotated[
        bool, typer.Option("--audacity-band", help="Give Audacity's labels their frequencies.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write what a scan found for Raven, Audacity, BirdNET's tools, Kaleidoscope or a table."""
    from earful.index.annotations import ExportOptions, export_events
    from earful.rag.scan import Events

    found = Events.open(folder)
    chosen = found.select(labels=label, min_score=min_score, with_missed=True)
    names = split_names(formats)
    if not names:
        raise typer.BadParameter("expected one format at least, got ''", param_hint="--format")
    target = folder / "export" if out is None else out
    written = export_events(
        chosen,
        found.recordings,
        target,
        names,
        denied=found.select_denied(labels=label, min_score=min_score),
        options=ExportOptions(
            audacity_score=audacity_score, audacity_band=audacity_band, scan=found.scan
        ),
    )
    text = f"{counted(len(chosen), 'event')} written to {counted(len(written), 'file')} in {target}"
    result = {"events": len(chosen), "files": [str(path) for path in written]}
    print_result(result, console.printable(text), as_json=as_json)


@events_app.command("clips")
@example("earful events clips night.scan --label wren --most 100 --choose balanced")
def events_clips(
    folder: ScanArgument,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Folder to write; default: SCAN/clips."),
    ] = None,
    label: LabelsOption = [],  # noqa: B006 - typer copies it
    min_score: Annotated[
        float | None, typer.Option(metavar="SCORE", help="Only events of this score at least.")
    ] = None,
    pad_s: Annotated[
        float, typer.Option(metavar="SECONDS", help="What is kept before and after each event.")
    ] = 1.0,
    most: Annotated[
        int | None, typer.Option(min=1, help="Clips of each label at most; default: all.")
    ] = None,
    choose: Annotated[
        str,
        typer.Option(
            help="Which: top scores, random, balanced over all scores, or uncertain (next to the "
            "threshold)."
        ),
    ] = "top",
    name: Annotated[
        str, typer.Option(help="Names of files: earful (score first), or birdnet.")
    ] = "earful",
    seed: Annotated[int, typer.Option(min=0, help="For random choices.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Cut events out of their recordings, with a table that `earful index build` takes."""
    from earful.index.annotations import ClipOptions, write_clips
    from earful.rag.scan import Events, find_recording

    choices: tuple[ClipChoice, ...] = ("top", "random", "balanced", "uncertain")
    forms: tuple[Literal["earful", "birdnet"], ...] = ("earful", "birdnet")
    found = Events.open(folder)
    chosen = found.select(labels=label, min_score=min_score)
    target = folder / "clips" if out is None else out
    options = ClipOptions(
        pad_s=pad_s,
        most=most,
        choose=one_of(choices, choose, "--choose"),
        thresholds={one.label: one.threshold for one in found.summaries},
        name=one_of(forms, name, "--name"),
        seed=seed,
    )
    kept = f"the clips written by now stay in {target}, listed; the same command writes all"
    with told_if_interrupted(kept):
        report = write_clips(
            chosen,
            target,
            find_recording=lambda name: find_recording(name, folder),
            options=options,
        )
    lines = [f"{counted(len(report.paths), 'clip')} written to {target}, listed in {report.table}"]
    failures = Counter(report.failed)
    lines += [
        f"  failed {recording}: {counted(n, 'clip')}: {why.removeprefix(f'{recording}: ')}"
        for (recording, why), n in failures.items()
    ]
    result = {
        "clips": [str(path) for path in report.paths],
        "table": str(report.table),
        "failed": [{"recording": recording, "error": why} for recording, why in report.failed],
    }
    print_result(result, "\n".join(map(console.printable, lines)), as_json=as_json)
    if report.failed:
        raise typer.Exit(SOME_FAILED)


@events_app.command("page")
@example("earful events page night.scan --html night.html")
def events_page(
    folder: ScanArgument,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Page; default: SCAN/events.html.")
    ] = None,
    label: LabelsOption = [],  # noqa: B006 - typer copies it
    min_score: Annotated[
        float | None, typer.Option(metavar="SCORE", help="Only events of this score at least.")
    ] = None,
    most: Annotated[
        int, typer.Option(metavar="N", min=0, help="Best and most doubtful events with a player.")
    ] = 200,
    most_minutes: Annotated[
        float,
        typer.Option(
            "--most-minutes",
            metavar="MINUTES",
            min=0.0,
            help="Minutes that are drawn in stretches of ten, those with most events.",
        ),
    ] = 60.0,
    as_json: JsonOption = False,
) -> None:
    """Write a page to look at and listen to: spectrograms with marks, players, hours of the day."""
    from earful.rag.scan import Events, find_recording, write_scan_page

    found = Events.open(folder)
    path = folder / "events.html" if html is None else html
    write_scan_page(
        found, path, labels=label, min_score=min_score, most=most, most_minutes=most_minutes
    )
    heard = {event.recording for event in found.select(labels=label, min_score=min_score)}
    gone = sorted(name for name in heard if not find_recording(name, folder).is_file())
    lines = [f"wrote {path}"]
    if gone:
        lines.append(
            f"note: {counted(len(gone), 'recording')} cannot be played, such as {gone[0]}, which "
            "is neither here nor beside the scan; put it there, or run the command where the scan "
            "was run"
        )
    text = "\n".join(map(console.printable, lines))
    print_result({"html": str(path), "missing": gone}, text, as_json=as_json)


@events_app.command("evaluate")
@example("earful events evaluate night.scan reference.csv --metric iou,collar")
def events_evaluate(
    folder: ScanArgument,
    reference: Annotated[
        list[Path],
        typer.Argument(
            help="Marked events in any format, which know all of them.", metavar="REFERENCE..."
        ),
    ],
    metric: Annotated[
        str,
        typer.Option(
            help="iou (overlap of 0.3, as in DCASE's task 5), collar (ends within 0.2 s), segment "
            "(of a second) or psds (after --keep-scores); several with commas."
        ),
    ] = "iou",
    label: LabelsOption = [],  # noqa: B006 - typer copies it
    n_given: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="So many first events of each recording are examples and do not count; default: "
            "the scan's --first.",
        ),
    ] = None,
    label_column: Annotated[
        str, typer.Option(metavar="COLUMN", help="Column of the reference that names the sound.")
    ] = "",
    seed: Annotated[int, typer.Option(min=0, help="For the interval over recordings.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Compare what a scan found with what is there: precision, recall and F1."""
    from earful.rag.scan import METRICS, Events, evaluate_scan

    metrics = [
        one_of(METRICS, name, "--metric") for name in split_labels(metric, "--metric", "metric")
    ]
    found = evaluate_scan(
        Events.open(folder),
        reference,
        metrics=metrics,
        labels=label,
        n_given=n_given,
        label_column=label_column or None,
        seed=seed,
    )
    text = "\n\n".join(describe_evaluation(one) for one in found)
    print_result([one.to_dict() for one in found], text, as_json=as_json)


def describe_evaluation(found: EventEvaluation) -> str:
    """Render one metric: its value, then a line for each label."""
    between = ""
    if found.interval is not None:
        between = f" ({found.interval.low:.2f} to {found.interval.high:.2f} over recordings)"
    what = "PSDS" if found.metric == "psds" else "mean F1"
    lines = [f"{found.metric}: {what} {found.value:.3f}{between}, {found.hours:.2f} h evaluated"]
    if found.metric == "psds":
        rows = [[name, f"{value:.3f}"] for name, value in found.psds_by_label.items()]
        lines.append(console.table(rows, header=["label", "PSDS"], right="1"))
    else:
        rows = [
            [
                name,
                f"{one.f1:.3f}",
                f"{one.precision:.3f}",
                f"{one.recall:.3f}",
                *(f"{n:,}" for n in (one.found, one.false, one.missed)),
            ]
            for name, one in found.by_label.items()
        ]
        header = ["label", "F1", "precision", "recall", "found", "false", "missed"]
        lines.append(console.table(rows, header=header, right="123456"))
        lines.append(f"{found.false_per_hour:.1f} false events an hour")
        if len(found.by_set) > 1:
            n_sets = sum(one.n_true > 0 for one in found.by_set.values())
            lines.append(f"harmonic mean of {counted(n_sets, 'site')}: {found.harmonic_mean:.3f}")
    if found.n_given:
        lines.append(f"the first {found.n_given} events of each recording are examples")
    return "\n".join([*lines, *(console.printable(f"note: {note}") for note in found.notes)])


@events_app.command("density")
@example("earful events density night.scan --by site,hour")
def events_density(
    folder: ScanArgument,
    by: Annotated[
        str,
        typer.Option(help="site, hour (of the day), date or recording; several with commas."),
    ] = "site,hour",
    label: LabelsOption = [],  # noqa: B006 - typer copies it
    as_json: JsonOption = False,
) -> None:
    """Count events for each hour that was recorded; what was heard in vain has a row, too."""
    from earful.rag.scan import Events, count_density

    keys = split_labels(by, "--by", "key")
    rows = count_density(Events.open(folder), keys, labels=label)
    text = console.table(
        [
            [
                *(value or "unknown" for value in row.values),
                row.label,
                f"{row.n_events:,}",
                f"{row.hours:.2f}",
                "" if row.per_hour is None else f"{row.per_hour:.2f}",
            ]
            for row in rows
        ],
        header=[*keys, "label", "events", "hours recorded", "per hour"],
        right="".join(str(len(keys) + place) for place in (1, 2, 3)),
    )
    print_result([row.to_dict(keys) for row in rows], text, as_json=as_json)
