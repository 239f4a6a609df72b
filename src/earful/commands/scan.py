"""``earful scan``: where in hours of recordings a sound is."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from earful import console
from earful.command_line import told_if_interrupted
from earful.commands.option_families import expand_families
from earful.commands.options import SOME_FAILED, DeviceOption, JsonOption, example, print_json
from earful.commands.scan_console import event_time, scan_meter
from earful.commands.scan_options import (
    SCAN_ORDER,
    DetectorOptions,
    ExampleOptions,
    LookingOptions,
)
from earful.model import DEFAULT_EMBEDDER
from earful.wording import as_argument, counted, duration_text

if TYPE_CHECKING:
    from earful.index.annotations import Event, RecordingRow
    from earful.rag.scan import Events, ScanPlan, ScanProgress

_MOST_RECORDINGS = 20


@example("earful scan night/ --examples calls.txt --out night.scan")
@expand_families(SCAN_ORDER)
def scan(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Recordings, and folders of some, read to their bottom."),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="DIR", show_default=False, help="Folder of the result; goes on."
        ),
    ],
    vectors: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder of what is kept of recordings; default: OUT/vectors."
        ),
    ] = None,
    keep_scores: Annotated[
        bool, typer.Option("--keep-scores", help="Write the scores of all windows, too.")
    ] = False,
    allow_outside: Annotated[
        bool, typer.Option("--allow-outside", help="Follow links that lead out of a folder.")
    ] = False,
    embedder: Annotated[
        str, typer.Option(help="Embedder: a name from `earful models list`, or a folder.")
    ] = DEFAULT_EMBEDDER,
    device: DeviceOption = "auto",
    jobs: Annotated[int | None, typer.Option(min=1, help="Cores to use; default: all.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count, check and estimate; decode and write nothing.")
    ] = False,
    as_json: JsonOption = False,
    *,
    examples: ExampleOptions,
    detector: DetectorOptions,
    looking: LookingOptions,
) -> None:
    """Find sounds in hours of recordings, from a few examples of each.

    Every recording is decoded once; what is kept of it answers the next question in seconds.
    Interrupted, the same command goes on.
    """
    sources, settings = examples.sources(out), detector.settings()
    options = looking.options(
        vectors=vectors,
        keep_scores=keep_scores,
        jobs=jobs,
        device=device,
        allow_outside=allow_outside,
    )
    from earful.rag import scan as scans

    if dry_run:
        plan = scans.rehearse_scan(
            paths, examples=sources, out=out, embedder=embedder, settings=settings, options=options
        )
        if as_json:
            print_json(plan.to_dict())
        else:
            typer.echo(describe_plan(plan, out))
        raise typer.Exit(SOME_FAILED if plan.failed else 0)
    if not (vectors or out / "vectors").exists():
        from earful.model.audio import warm_up

        warm_up()  # later questions seldom decode anything

    def print_line(row: RecordingRow, events: Sequence[Event]) -> None:
        print_json(recording_line(row, events))

    kept = (
        f"what was decoded is kept in {vectors or out / 'vectors'}; the same command goes on where "
        "it was"
    )
    with told_if_interrupted(kept), scan_meter(sys.stderr) as meter:
        found = scans.scan(
            paths,
            examples=sources,
            out=out,
            embedder=embedder,
            settings=settings,
            options=options,
            on_progress=meter,
            on_recording=print_line if as_json else None,
        )
    if as_json:
        for note in found.notes:
            console.warn(f"note: {note}")
        if why := found.why_nothing:
            console.warn(f"note: nothing was scanned: {why}")
    else:
        typer.echo(describe_scan(found, out, meter.last))
    if found.failed:
        raise typer.Exit(1 if found.why_nothing else SOME_FAILED)


def recording_line(row: RecordingRow, events: Sequence[Event]) -> dict[str, Any]:
    """Return a recording and its events as plain JSON values."""
    from earful.rag.scan import row_dict

    return {**row_dict(row), "events": [row_dict(event) for event in events]}


def describe_scan(found: Events, out: Path, last: ScanProgress | None) -> str:
    """Render what a scan found: hours, labels, recordings, and the next step."""
    rows = found.recordings
    sites = {row.site for row in rows} - {""}
    head = [counted(len(rows), "recording"), duration_text(found.hours * 3600)]
    head += [counted(len(sites), "site")] if sites else []
    lines = [console.printable(f"{out}: {', '.join(head)}"), encoding_line(last)]
    lines.append(
        console.table(
            [
                [
                    one.label,
                    str(one.n_examples),
                    one.background,
                    f"{one.threshold:.2f}",
                    f"{one.n_events:,}",
                    f"{one.n_recordings:,}",
                    f"{one.per_hour:.1f}",
                ]
                for one in found.summaries
            ],
            header=[
                *("label", "examples", "background", "threshold", "events", "in recordings"),
                "per hour",
            ],
            right="13456",
        )
    )
    lines += _recording_lines(found)
    notes = [note for one in found.summaries for note in one.notes]
    lines += [console.printable(f"note: {note}") for note in [*found.notes, *notes]]
    for row in rows:
        if row.status != "ok":
            lines.append(console.printable(f"  {row.status} {row.recording}: {row.reason}"))
    wrote = console.printable(f"wrote {out / 'events.csv'}")
    if len(found):
        lines.append(f"{wrote}; look at it: earful events page {as_argument(out)}")
        lines += _review_line(found, out)
    elif why := found.why_nothing:
        lines.append(f"{wrote}: nothing was scanned: {console.printable(why)}")
    else:
        lines.append(f"{wrote}: nothing was found")
    return "\n".join(lines)


def _review_line(found: Events, out: Path) -> list[str]:
    """Render the command that opens the page of a scan, where its index is known."""
    sources = found.scan.get("sources")
    index = sources.get("index") if isinstance(sources, dict) else None
    if not isinstance(index, str):
        return []
    return [
        f"listen and label: earful serve --index {as_argument(index)} --scan {as_argument(out)}"
    ]


def encoding_line(last: ScanProgress | None) -> str:
    """Render how much was encoded, and how fast."""
    if last is None or not last.encoding.total:
        return "encoding  nothing to do"
    done = last.encoding
    if not done.audio_s:
        return f"encoding  [{done.done}/{done.total}]  all kept"
    return (
        f"encoding  [{done.done}/{done.total}]  {duration_text(done.audio_s)}  "
        f"{done.seconds:.0f} s  ({done.audio_s / max(done.seconds, 1e-9):.0f} x real time; "
        f"{done.n_kept} decoded before)"
    )


def _recording_lines(found: Events) -> list[str]:
    """Render a line for each recording with events, the first twenty of them."""
    by_recording: dict[str, list[Event]] = defaultdict(list)
    for event in found:
        by_recording[event.recording].append(event)
    holding = [row.recording for row in found.recordings if row.recording in by_recording]
    lines = []
    for name in holding[:_MOST_RECORDINGS]:
        own = sorted(by_recording[name], key=lambda event: event.start_s)
        first, last = (event_time(event) for event in (own[0], own[-1]))
        when = f"at {first}" if len(own) == 1 else f"first {first}, last {last}"
        lines.append(console.printable(f"{name}: {counted(len(own), 'event')}, {when}"))
    if len(holding) > _MOST_RECORDINGS:
        lines.append(f"... and {len(holding) - _MOST_RECORDINGS} more with events")
    return lines


def describe_plan(plan: ScanPlan, out: Path) -> str:
    """Render what a scan would do."""
    of_examples = ""
    if n := plan.n_missing_examples:
        of_examples = f", {n} of which {'holds' if n == 1 else 'hold'} examples alone"
    lines = [
        console.printable(
            f"{out}: {counted(plan.n_recordings, 'recording')}, {duration_text(plan.total_s)}"
        ),
        f"would decode {counted(plan.n_missing, 'recording')}{of_examples}, "
        f"{duration_text(plan.missing_s)}, and keep {plan.missing_bytes / 1e6:.1f} MB; "
        f"{plan.n_kept} kept already",
        console.table(
            [[label, str(n), str(negative)] for label, n, negative in plan.examples],
            header=["label", "examples", "negatives"],
            right="12",
        ),
    ]
    lines += [console.printable(f"note: {note}") for note in plan.notes]
    lines += [
        console.printable(f"  {kind} {path}: {why}")
        for kind, several in (("skipped", plan.skipped), ("would fail", plan.failed))
        for path, why in several
    ]
    return "\n".join(lines)
