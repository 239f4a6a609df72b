"""``earful index merge``, and the option that builds one shard of a corpus."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earful import console
from earful.commands.options import IndexOption, JsonOption, example, print_result
from earful.wording import counted

if TYPE_CHECKING:
    from earful.index.distributed import MergeReport, Shard

ShardOption = Annotated[
    str,
    typer.Option(
        "--shard",
        help="Build only this part, such as 3/64, into an index of its own; then `earful index "
        "merge`.",
        metavar="I/N",
    ),
]


def parse_shard(text: str) -> Shard | None:
    """Read ``--shard``; ``None`` where it is not given.

    Raises:
        typer.BadParameter: It has another form.
    """
    if not text:
        return None
    from earful.index.distributed import Shard

    try:
        return Shard.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--shard") from None


@example("earful index merge out/part-*.index --index sounds.index")
def index_merge(
    parts: Annotated[
        list[Path],
        typer.Argument(
            help="Shards of one corpus, or indexes by the same embedder.", metavar="PART..."
        ),
    ],
    index: IndexOption,
    partial: Annotated[
        bool, typer.Option("--partial", help="Accept that shards are missing.")
    ] = False,
    prefix: Annotated[
        bool,
        typer.Option(
            "--prefix", help="Put each part's name before its ids and groups, as site-a/ID."
        ),
    ] = False,
    same_groups: Annotated[
        bool,
        typer.Option(
            "--same-groups", help="Groups of one name are the same recording or site in all parts."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Merge shards or several people's indexes into one; run again after an interruption."""
    from earful.index.distributed import merge_indexes

    with console.counter("merging", sys.stderr) as progress:
        report = merge_indexes(
            parts,
            index,
            partial=partial,
            prefix=prefix,
            same_groups=same_groups,
            progress=progress,
        )
    print_result(report.to_dict(), _describe(report), as_json=as_json)


def _describe(report: MergeReport) -> str:
    lines = [
        f"{counted(report.parts, 'index', 'indexes')} merged: {counted(report.added, 'row')} "
        f"added, {report.same:,} there already, {report.n:,} in the index, "
        f"{len(report.rejected):,} rejected"
    ]
    if report.missing:
        lines.append(f"missing shards: {', '.join(map(str, report.missing))}")
    lines += [console.printable(f"note: {note}") for note in report.notes]
    return "\n".join(lines)
