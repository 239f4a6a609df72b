"""``earful events``: what a scan found, exported, cut into clips, evaluated and counted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from earful import console
from earful.commands.options import JsonOption, example, print_result, split_labels
from earful.wording import counted

events_app = typer.Typer(
    help="Export, cut out, evaluate and count what a scan found.", no_args_is_help=True
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
    chosen = found.select(labels=label, min_score=min_score)
    names = [name.strip() for name in formats.split(",") if name.strip()]
    if not names:
        raise typer.BadParameter("expected one format at least, got ''", param_hint="--format")
    target = folder / "export" if out is None else out
    written = export_events(
        chosen,
        found.recordings,
        target,
        names,
        options=ExportOptions(
            audacity_score=audacity_score, audacity_band=audacity_band, scan=found.scan
        ),
    )
    text = f"{counted(len(chosen), 'event')} written to {counted(len(written), 'file')} in {target}"
    result = {"events": len(chosen), "files": [str(path) for path in written]}
    print_result(result, console.printable(text), as_json=as_json)


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

    keys = split_labels(by)
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
