"""``earful index health``, ``map`` and ``prepare``: faults, a picture, and what answers need."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from earful import console
from earful.commands.load import usual_model
from earful.commands.options import (
    IndexArgument,
    JsonOption,
    example,
    one_of,
    print_json,
    print_result,
    split_labels,
)
from earful.wording import counted

_MOST_OF_A_KIND = 5


@example("earful index health sounds.index --html health.html")
def index_health(
    index: IndexArgument,
    html: Annotated[Path | None, typer.Option(help="Write the findings as a page.")] = None,
    k: Annotated[int, typer.Option("--k", "-k", min=1, help="Neighbours that vote.")] = 5,
    near_duplicate: Annotated[
        float,
        typer.Option(min=0.5, max=1.0, help="Similarity from which signals are compared; 1: none."),
    ] = 0.97,
    audio: Annotated[
        bool, typer.Option(help="Read the recordings, for copies, silence, clipping and durations.")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Look for wrong labels, copies, hubs, orphans, silence, clipping and odd durations."""
    from earful.index import Index
    from earful.index.health import (
        HealthLimits,
        check_health,
        counted_kind,
        doubt,
        summary,
        write_health_page,
    )

    opened = Index.open(index)
    limits = HealthLimits(k=k, near_duplicate=near_duplicate)
    if why := opened.why_empty():
        raise typer.BadParameter(f"{index}: {why}", param_hint="INDEX")
    with console.counter("listening", sys.stderr) as progress:
        found = check_health(opened, limits=limits, audio=audio, progress=progress)
    if html is not None:
        write_health_page(found, opened, html)
        console.warn(f"page: {html}")
    if as_json:
        print_json(found.to_dict())
        return
    lines = [summary(found)]
    if found.n_of:
        lines.append(", ".join(counted_kind(n, kind) for kind, n in found.n_of.items()))
    worst = [one for one in found.labels if one.accuracy == one.accuracy][:5]
    if worst:
        shown = ", ".join(f"{one.label} {one.accuracy:.1%}" for one in worst)
        lines.append(f"answered worst: {shown}")
    if denied := ", ".join(f"{one.label} {one.n_denied}" for one in found.labels if one.n_denied):
        lines.append(f"rows that say that a label is not there: {denied}")
    # A few of each kind, so that many of one do not hide the others.
    told: Counter[str] = Counter()
    for one in found.findings:
        told[one.kind] += 1
        if told[one.kind] <= _MOST_OF_A_KIND:
            named = ", ".join(one.ids[:3]) + (" ..." if len(one.ids) > 3 else "")
            lines += [f"{one.kind}: {named}", f"  {one.what}", f"  {one.next}"]
    more = [
        counted_kind(n - _MOST_OF_A_KIND, kind)
        for kind, n in found.n_of.items()
        if n > _MOST_OF_A_KIND
    ]
    if more:
        lines.append(f"and {', '.join(more)} more, which --json or --html lists")
    if caveat := doubt(found):
        lines.append(f"mind: {caveat}")
    typer.echo(console.printable_lines("\n".join(lines)))


@example("earful index map sounds.index --html map.html")
def index_map(
    index: IndexArgument,
    html: Annotated[Path | None, typer.Option(help="Write the map as a page.")] = None,
    method: Annotated[str, typer.Option(help="pca, or umap with the extra map.")] = "pca",
    color_by: Annotated[str, typer.Option(help="label, group or split.")] = "label",
    as_json: JsonOption = False,
) -> None:
    """Map an index onto a plane, to look at and to listen to."""
    from earful.index import Index
    from earful.index.health import COLOR_BY, METHODS, map_index, write_map_page

    if html is None and not as_json:
        raise typer.BadParameter("give --html FILE, or --json", param_hint="--html")
    chosen_method = one_of(METHODS, method, "--method")
    chosen_color = one_of(COLOR_BY, color_by, "--color-by")
    opened = Index.open(index)
    if opened.info.n < 3:
        rows = counted(opened.info.n, "row")
        raise typer.BadParameter(
            f"expected three rows or more for a map, got {rows} in {index}",
            param_hint="INDEX",
        )
    found = map_index(opened, method=chosen_method)
    if html is not None:
        with console.counter("listening", sys.stderr) as progress:
            write_map_page(found, opened, html, color_by=chosen_color, progress=progress)
        console.warn(f"page: {html}")
    kept = " and ".join(f"{share:.1%}" for share in found.explained)
    axes = f", whose two axes keep {kept} of the variance" if kept else ""
    text = f"{counted(len(found.ids), 'row')} by {found.method}{axes}"
    print_result(found.to_dict(), text, as_json=as_json)


@example("earful index prepare sounds.index --task machines.toml")
def index_prepare(
    index: IndexArgument,
    task: Annotated[str, typer.Option(help="Task: a built-in name or a file; default: all.")] = "",
    labels: Annotated[
        str, typer.Option(help="Labels to choose from, separated by commas; default: all.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Fit now what the first answer to a task would fit, and keep it with the index."""
    from earful.rag import FewShot

    if task and labels:
        raise typer.BadParameter("--task and --labels exclude each other", param_hint="--labels")
    few = FewShot.open(index)
    few.model = usual_model(few.embedder)
    names = split_labels(labels) if labels else None
    with console.counter("preparing", sys.stderr) as progress:
        fitted = few.prepare(task=task or None, labels=names, progress=progress)
    found = {"index": str(index), "n_cases": fitted.n_cases, "temperature": fitted.temperature}
    cases = counted(fitted.n_cases, "exemplar")
    told = f"ready: confidence is calibrated on {cases}" if fitted.n_cases else "ready"
    print_result(found, told, as_json=as_json)
