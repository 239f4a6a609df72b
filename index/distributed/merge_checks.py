"""What a merge refuses: all of it before anything is written."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from earful.errors import IndexFolderError, IndexMismatchError
from earful.index.storage import (
    HEADER_NAME,
    IndexFolder,
    MergedShards,
    read_header,
    require_same_embedder,
)
from earful.wording import as_argument, counted, listed, quoted

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_NAMED: Final = 3
_NOTHING: Final = "Nothing was written"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """An index that is to be merged.

    Attributes:
        name: The name of its folder, without its ending.
        folder: The index.
    """

    name: str
    folder: IndexFolder

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Open it.

        Raises:
            IndexFolderError: It is missing, damaged or half made.
        """
        folder = IndexFolder.open(path)
        return cls(name=folder.path.resolve().stem, folder=folder)

    def __str__(self) -> str:
        return str(self.folder.path)


def require_parts(parts: Sequence[Part], target: Path) -> None:
    """Refuse parts that cannot be one index, by what their headers say.

    Args:
        parts: The parts.
        target: The folder of the merged index.

    Raises:
        IndexMismatchError: Two of them were made by different embedders.
        IndexFolderError: There are none, or one is there twice or is the merged index.
    """
    if not parts:
        raise IndexFolderError(
            f"{target}: no indexes to merge; expected at least one: `earful index merge PART.index "
            f"--index {as_argument(target)}`"
        )
    seen: dict[Path, Part] = {}
    for part in parts:
        place = part.folder.path.resolve()
        if place == target.resolve():
            raise IndexFolderError(
                f"{part}: is a part and the merged index; expected another folder for the merged "
                f"one, such as --index NEW.index. {_NOTHING}"
            )
        if place in seen:
            raise IndexFolderError(f"{part}: is given twice; give each part once. {_NOTHING}")
        seen[place] = part
    first = parts[0].folder
    others = [part.folder for part in parts[1:]]
    headers = [(one.path, one.header) for one in others]
    if os.path.lexists(target / HEADER_NAME):
        headers.append((target, read_header(target)))
    for path, header in headers:
        require_same_embedder(path, header.fingerprint, first.fingerprint, other=first.path)
        if header.n_classes != first.n_classes:
            raise IndexMismatchError(
                f"{path}: has {header.n_classes or 'no'} class scores a row, and {first.path} has "
                f"{first.n_classes or 'none'}; expected as many. The older one lacks them: build "
                f"it anew in a new folder. {_NOTHING}"
            )


def require_shards(
    parts: Sequence[Part], target: IndexFolder | None, *, partial: bool, prefix: bool
) -> tuple[int, ...]:
    """Accept all shards of one corpus, or indexes that are no shards.

    Args:
        parts: The parts.
        target: The merged index, if there is one.
        partial: Whether shards may be missing.
        prefix: Whether the name of each part is to come before its ids.

    Returns:
        The shards that neither are given nor were merged before, from 1.

    Raises:
        IndexFolderError: Shards and other indexes are mixed; shards are missing, doubled,
            unfinished, of different corpora or numbers; the merged index is a shard.
    """
    if target is not None and target.header.shard is not None:
        raise IndexFolderError(
            f"{target.path}: is shard {target.header.shard} itself; expected a folder of its own "
            f"for the merged index. {_NOTHING}"
        )
    marks = [(part, part.folder.header.shard) for part in parts]
    shards = [(part, mark) for part, mark in marks if mark is not None]
    if not shards:
        return ()
    if others := [part for part, mark in marks if mark is None]:
        raise IndexFolderError(
            f"{others[0]}: is no shard, and {shards[0][0]} is shard {shards[0][1]}; merge the "
            f"shards first, and then the merged index with the others. {_NOTHING}"
        )
    first, wanted = shards[0]
    if prefix:
        raise IndexFolderError(
            f"{first}: is shard {wanted} of a corpus, whose ids are its own; leave out --prefix, "
            f"or no later build knows its rows. {_NOTHING}"
        )
    holders: dict[int, Part] = {}
    for part, mark in shards:
        if mark.n != wanted.n:
            raise IndexFolderError(
                f"{part}: is one of {mark.n} shards, and {first} one of {wanted.n}; expected "
                f"shards of one cut. {_NOTHING}"
            )
        if mark.corpus != wanted.corpus:
            raise IndexFolderError(
                f"{part}: was built from another table (digest {mark.corpus[:12]}) than {first} "
                f"({wanted.corpus[:12]}); build all shards from one table. {_NOTHING}"
            )
        if mark.i in holders:
            raise IndexFolderError(
                f"{part}: is shard {mark.i}/{mark.n}, and so is {holders[mark.i]}; give each shard "
                f"once. {_NOTHING}"
            )
        holders[mark.i] = part
        if not mark.done:
            raise IndexFolderError(
                f"{part}: its build has not come to its end; run it again with --shard "
                f"{mark.i}/{mark.n}, or leave this part out and give --partial. {_NOTHING}"
            )
    given = MergedShards(n=wanted.n, corpus=wanted.corpus, shards=tuple(sorted(holders)))
    there = given.with_all_of(None if target is None else target.header.merged).shards
    missing = tuple(i for i in range(1, wanted.n + 1) if i not in there)
    if missing and not partial:
        hint = ""
        if target is not None:
            hint = (
                f" {target.path} has no note of them: if they were merged into it all the same, "
                "give them again, and what is there is skipped."
            )
        raise IndexFolderError(
            f"{counted(len(missing), 'shard')} of {wanted.n} not given: {listed(missing)}; build "
            f"and give them, or accept that their rows are missing: --partial.{hint} {_NOTHING}"
        )
    return missing


def merged_shards(parts: Sequence[Part]) -> MergedShards | None:
    """Return which shards parts are, once they were accepted; ``None`` where they are none."""
    marks = [mark for part in parts if (mark := part.folder.header.shard) is not None]
    if not marks:
        return None
    shards = tuple(sorted(mark.i for mark in marks))
    return MergedShards(n=marks[0].n, corpus=marks[0].corpus, shards=shards)


def require_distinct_groups(parts: Sequence[Part], target: IndexFolder | None) -> None:
    """Refuse a group that indexes with different corpus roots both name.

    A group is one recording, site or speaker: two sites' ``2024-05-01`` would become one unseen.
    Shards are of one corpus, whose groups are the same wherever it lies.

    Raises:
        IndexFolderError: There is such a group; the message names it and both ways out.
    """
    are_shards = parts[0].folder.header.shard is not None
    merged = {} if target is None else _groups([target])
    sources = [("the merged index", merged)]
    if are_shards:
        sources.append(("the shards", _groups([part.folder for part in parts])))
    else:
        sources += [(str(part), _groups([part.folder])) for part in parts]
    seen: dict[str, list[tuple[str, set[Path]]]] = defaultdict(list)
    clashes = []
    for name, groups in sources:
        for group, roots in groups.items():
            for other, theirs in seen[group]:
                # What an earlier merge took for one knowingly is not asked about again.
                is_known = merged.get(group, set()) & roots and merged.get(group, set()) & theirs
                if not (roots & theirs or is_known):
                    clashes.append((group, other, name))
            seen[group].append((name, roots))
    if clashes:
        group, other, name = clashes[0]
        n_more = len({clash[0] for clash in clashes}) - 1
        more = f" and {counted(n_more, 'other')}" if n_more else ""
        raise IndexFolderError(
            f"{name}: has group {quoted(group)}{more}, and so has {other}, with recordings of "
            "another folder. If these are different recordings, give --prefix, which puts the "
            "name of each part before its ids and groups; if they are the same ones, give "
            f"--same-groups. {_NOTHING}"
        )


def require_free_of_clashes(
    parts: Sequence[Part],
    target: IndexFolder | None,
    *,
    prefix: bool,
    read: Callable[[Part], Iterable[pa.RecordBatch]],
) -> set[str]:
    """Refuse an id that stands for different rows.

    Args:
        parts: The parts.
        target: The merged index, if there is one.
        prefix: Whether the name of each part comes before its ids.
        read: Yields the rows of a part, with other ids and new digests.

    Returns:
        The ids that occur more than once, each time of an equal row.

    Raises:
        IndexFolderError: There is one; the message names it and a way out.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if prefix and len({part.name for part in parts}) < len(parts):
        names = [part.name for part in parts]
        (twice, *_) = [name for name in names if names.count(name) > 1]
        raise IndexFolderError(
            f"two parts are called {quoted(twice)}; expected different names with --prefix: rename "
            f"one of the folders. {_NOTHING}"
        )
    named = [(str(part), _ids(part.folder, f"{part.name}/" if prefix else "")) for part in parts]
    if target is not None:
        named.append(("the merged index", _ids(target, "")))
    ids = pa.concat_tables([table for _, table in named])
    counts = ids.group_by("id").aggregate([("id", "count")])
    several = counts.filter(pc.greater(counts["id_count"], 1)).column("id")
    if not len(several):
        return set()
    digests: dict[str, tuple[str, str]] = {}
    clashes: list[tuple[str, str, str]] = []

    def compare(name: str, found: Iterator[tuple[str, str]]) -> None:
        for id_, digest in found:
            first = digests.setdefault(id_, (digest, name))
            if first[0] != digest:
                clashes.append((id_, first[1], name))

    for (name, table), part in zip(named, [*parts, None], strict=False):
        again = table.filter(pc.is_in(table["id"], value_set=several.combine_chunks()))
        if not len(again):
            continue
        if prefix and part is not None:
            # Their digests are those of rows with other ids and groups.
            wanted = set(again.column("id").to_pylist())
            for batch in read(part):
                compare(name, _digests_of(batch, wanted))
        else:
            compare(name, zip(*again.to_pydict().values(), strict=True))
    if clashes:
        id_, one, other = clashes[0]
        more = [quoted(clash[0]) for clash in clashes[1:_MOST_NAMED]]
        others = f" (also {', '.join(more)}; {len(clashes):,} in all)" if more else ""
        way_out = (
            "merge into a new folder, where nothing is left of an earlier merge"
            if "the merged index" in (one, other)
            else "give --prefix, which puts the name of each part before its ids"
        )
        raise IndexFolderError(
            f"id {quoted(id_)} stands for different rows in {one} and in {other}{others}; "
            f"{way_out}. {_NOTHING}"
        )
    return set(several.to_pylist())


def natural_order(where: str) -> list[tuple[int, int, str]]:
    """Return the key that sorts places as people do: row 9 before row 10.

    >>> sorted(["t.csv:10", "t.csv:9"], key=natural_order)
    ['t.csv:9', 't.csv:10']
    """
    parts = re.findall(r"[0-9]+|[^0-9]+", where)
    return [(0, int(p), p) if p[0] in "0123456789" else (1, 0, p) for p in parts]


def _ids(folder: IndexFolder, prefix: str) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    found = folder.table.read(["id", "row_sha256"])
    if not prefix:
        return found
    ids = pc.binary_join_element_wise(pa.scalar(prefix), found["id"], "")
    return pa.table({"id": ids, "row_sha256": found["row_sha256"]}).cast(found.schema)


def _digests_of(batch: pa.RecordBatch, wanted: set[str]) -> Iterator[tuple[str, str]]:
    columns = (batch.column(name).to_pylist() for name in ("id", "row_sha256"))
    return (pair for pair in zip(*columns, strict=True) if pair[0] in wanted)


def _groups(folders: Iterable[IndexFolder]) -> dict[str, set[Path]]:
    """Return the groups of indexes, with the corpus roots of their rows."""
    groups: dict[str, set[Path]] = defaultdict(set)
    for folder in folders:
        roots = folder.roots()
        found = folder.table.read(["group", "root"])
        pairs = found.group_by(["group", "root"]).aggregate([]).to_pylist()
        for pair in pairs:
            if pair["group"] and 0 <= pair["root"] < len(roots):
                groups[pair["group"]].add(roots[pair["root"]])
    return groups
