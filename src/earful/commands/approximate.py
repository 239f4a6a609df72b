"""``earful index approximate``: an approximate index, in one process or in parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from earful import console
from earful.commands.merge import parse_shard
from earful.commands.options import (
    IndexArgument,
    JsonOption,
    example,
    print_result,
    reject_unused,
)
from earful.wording import as_argument, counted

if TYPE_CHECKING:
    from earful.index.search import Approximate

# From so many rows on one process takes minutes.
_ROWS_WORTH_PARTS: Final = 5_000_000


@example("earful index approximate sounds.index --recall 0.99")
def index_approximate(
    index: IndexArgument,
    recall: Annotated[
        float, typer.Option(min=0.01, max=1.0, help="Share of the true nearest rows to find.")
    ] = 0.95,
    k: Annotated[int, typer.Option("--k", "-k", min=1, help="Number of nearest rows.")] = 10,
    queries: Annotated[int, typer.Option(min=1, help="Rows that serve as queries.")] = 200,
    partitions: Annotated[
        int | None,
        typer.Option(min=2, help="Partitions; default: half the square root of the rows."),
    ] = None,
    train: Annotated[
        bool, typer.Option("--train", help="In parts, first: what all of them share.")
    ] = False,
    shard: Annotated[
        str, typer.Option(metavar="I/N", help="In parts, then: one part of N, such as 2/8.")
    ] = "",
    commit: Annotated[
        bool, typer.Option("--commit", help="In parts, last: all at once, and measure the recall.")
    ] = False,
    drop: Annotated[bool, typer.Option("--drop", help="Remove approximate search.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Prepare approximate search in a large index, and measure its recall."""
    from earful.index import Index, commit_segments, index_segment, train_partitions

    steps = {"--train": train, "--shard": bool(shard), "--commit": commit, "--drop": drop}
    chosen = [name for name, given in steps.items() if given]
    if len(chosen) > 1:
        raise typer.BadParameter(
            f"expected one of {', '.join(steps)}, got {' and '.join(chosen)}", param_hint=chosen[1]
        )
    if chosen and not train:
        reject_unused({"--partitions": partitions is not None}, "is for --train")
    if train or shard or drop:
        measured = {"--recall": recall != 0.95, "--k": k != 10, "--queries": queries != 200}
        reject_unused(measured, "is for --commit, which measures the recall")
    part = parse_shard(shard)
    opened = Index.open(index)
    if drop:
        opened.drop_approximate()
        print_result({"dropped": True}, "approximate search removed", as_json=as_json)
    elif train:
        made = train_partitions(opened, n_partitions=partitions)
        text = (
            f"{made.n_partitions} partitions trained in {made.train_s:.1f} s; now, anywhere and at "
            f"once: earful index approximate {as_argument(index)} --shard 1/N, and so on"
        )
        found = {"partitions": made.n_partitions, "train_s": made.train_s}
        print_result(found, text, as_json=as_json)
    elif part:
        segment = index_segment(opened, part.i, part.n)
        text = (
            f"part {segment.part} of {segment.parts}: {counted(segment.n_rows, 'row')} in "
            f"{segment.build_s:.1f} s; after the last: earful index approximate "
            f"{as_argument(index)} --commit"
        )
        found = {
            "part": segment.part,
            "parts": segment.parts,
            "rows": segment.n_rows,
            "build_s": segment.build_s,
        }
        print_result(found, text, as_json=as_json)
    else:
        if commit:
            measure = commit_segments(opened, recall=recall, k=k, n_queries=queries)
        else:
            if len(opened) >= _ROWS_WORTH_PARTS:
                console.warn(
                    f"note: one process takes minutes for {len(opened):,} rows; several, also on "
                    "other machines, each take a part with --train, --shard I/N and --commit, for "
                    "which pip install 'earful[lance]'"
                )
            measure = opened.index_approximately(
                recall=recall, k=k, n_queries=queries, n_partitions=partitions
            )
        print_result(measure.to_dict(), _described(measure, index), as_json=as_json)


def _described(made: Approximate, index: object) -> str:
    """Render the recall and speed of approximate search, and whether it is worth using."""
    rows = [
        [f"{probed.n_probes}", f"{probed.refine}", f"{probed.recall:.1%}", f"{probed.ms:.1f}"]
        for probed in made.tried
    ]
    rows.append(["exact", "", "100.0%", f"{made.exact_ms:.1f}"])
    lines = [
        f"{made.n_partitions} partitions of {made.n_rows:,} rows, "
        f"{made.size_bytes / 1e6:.1f} MB, made in {made.build_s:.1f} s",
        console.table(
            rows,
            header=["partitions seen", "refined", f"recall@{made.k}", "ms a query"],
            right="0123",
        ),
        f"tested with {made.n_queries} rows and their {made.k} nearest neighbours; recall "
        f"{made.recall:.1%} with {made.n_probes} partitions, {made.wanted:.1%} asked for",
    ]
    if made.recall < made.wanted:
        lines.append("this is the best it can do: filter to fewer rows, or search exactly")
    if made.ms >= made.exact_ms:
        lines.append(
            "exact search is as fast here once the vectors are in memory: approximate search "
            "saves only the memory and the time to read them"
        )
    lines.append(f"use it: earful search RECORDING --index {index} --backend approximate")
    return "\n".join(lines)
