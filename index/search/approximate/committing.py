"""Segments become the approximate index of a table, all in one commit."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from earful.errors import IndexFolderError
from earful.index.remote import SEGMENTS_NAME
from earful.index.search.approximate.partitioning import measure_recall, require_sensible
from earful.index.search.approximate.segment_records import Segment, find_segments
from earful.index.search.approximate.segments import (
    INDEX_NAME,
    INDICES,
    Partitions,
    data_files,
    find_partitions,
    pylance,
)
from earful.index.search.approximate.settings import Approximate, search_all_meanwhile
from earful.index.search.approximate.truth import find_truth
from earful.index.storage import LANCE_FOLDER, IndexFolder
from earful.model.runtime import sha256_of
from earful.system import sync_folder
from earful.wording import as_argument


def commit_segments(folder: IndexFolder, *, recall: float, k: int, n_queries: int) -> Approximate:
    """Make the segments that were built the approximate index, in one commit, and measure it.

    Nothing is committed unless every part is there, was built with the same partitions, is as it
    was written, and holds rows that are still where they were. Rows that were added since are
    found as well, compared one by one until ``compact``.

    Args:
        folder: The index; the caller holds the writer lock.
        recall: As ``partition_rows`` takes it.
        k: As ``partition_rows`` takes it.
        n_queries: As ``partition_rows`` takes it.

    Raises:
        IndexFolderError: A part is missing or damaged, the table was compacted since, or the
            folder cannot be written.
        MissingExtraError: pylance is not installed.
        ValueError: A number is outside its range.
    """
    require_sensible(recall=recall, k=k, n_queries=n_queries)
    lance = pylance()
    made, _ = find_partitions(folder)
    table = folder.table
    segments = find_segments(folder)
    _require_complete(folder.path, segments, made)
    dataset = lance.dataset(folder.path / LANCE_FOLDER)
    _require_in_place(folder.path, segments, dataset)
    truth = find_truth(table, folder.fingerprint.dim, k=k, n_queries=n_queries)
    for segment in segments:
        _move_files(folder.path, segment)
    field = dataset.lance_schema.field("vector").id()

    def commit() -> None:
        newest = lance.dataset(folder.path / LANCE_FOLDER)
        newest.commit_existing_index_segments(
            INDEX_NAME, "vector", [_as_index(segment, field) for segment in segments]
        )

    search_all_meanwhile(folder.path, made.n_partitions)
    size_bytes = table.replace_vector_index(commit)
    table.index_columns()
    measured = measure_recall(
        table,
        truth,
        recall=recall,
        n_partitions=made.n_partitions,
        build_s=made.train_s + sum(segment.build_s for segment in segments),
        size_bytes=size_bytes,
    )
    measured.write(folder.path)
    # Last: after a kill before this, the same call begins with what was built.
    shutil.rmtree(folder.path / SEGMENTS_NAME, ignore_errors=True)
    return measured


def _require_complete(index: Path, segments: Sequence[Segment], made: Partitions) -> None:
    command = f"earful index approximate {as_argument(index)}"
    if not segments:
        raise IndexFolderError(
            f"{index}: no part of the approximate index was built; run `{command} --shard 1/1`, or "
            "a part of several in each process"
        )
    counts = {segment.parts for segment in segments}
    if len(counts) > 1:
        raise IndexFolderError(
            f"{index}: parts of {' and of '.join(map(str, sorted(counts)))} were built, expected "
            f"all of one number; begin again with `{command} --train`"
        )
    (parts,) = counts
    if missing := sorted(set(range(1, parts + 1)) - {segment.part for segment in segments}):
        raise IndexFolderError(
            f"{index}: part {missing[0]} of {parts} was not built ({len(segments)} of {parts} "
            f"were); run `{command} --shard {missing[0]}/{parts}`"
        )
    for segment in segments:
        if segment.centroids_sha256 != made.centroids_sha256:
            raise IndexFolderError(
                f"{index}: part {segment.part} of {parts} was built with other partitions; run "
                f"`{command} --shard {segment.part}/{parts}` again"
            )


def _require_in_place(index: Path, segments: Sequence[Segment], dataset: Any) -> None:
    """Refuse segments of rows that were moved since, or that two of them hold."""
    there = data_files(dataset.get_fragments())
    held: set[int] = set()
    for segment in segments:
        moved = any(there.get(number) != files for number, files in segment.fragments.items())
        if moved or held.intersection(segment.fragments):
            raise IndexFolderError(
                f"{index}: the rows of part {segment.part} of {segment.parts} have moved since it "
                "was built, as `earful index compact` moves them; begin again with `earful index "
                f"approximate {as_argument(index)} --train`"
            )
        held.update(segment.fragments)


def _move_files(index: Path, segment: Segment) -> None:
    """Move a segment's files into the table, after comparing them with their digests.

    A run that was killed may have moved them already.
    """
    inside = Path(SEGMENTS_NAME) / f"{segment.part}-of-{segment.parts}.lance" / INDICES
    built, target = index / inside / segment.uuid, index / LANCE_FOLDER / INDICES / segment.uuid
    source = target if target.is_dir() else built
    for name, sha256 in segment.files.items():
        try:
            found = sha256_of(source / name)
        except OSError:
            found = "none"
        if found != sha256:
            raise IndexFolderError(
                f"{source / name}: expected digest {sha256[:12]}, got {found[:12]}; build that "
                f"part again: `earful index approximate {as_argument(index)} --shard "
                f"{segment.part}/{segment.parts}`"
            )
    if source == built:
        try:
            target.parent.mkdir(exist_ok=True)
            os.rename(built, target)
            sync_folder(target.parent)
        except OSError as error:
            raise IndexFolderError(
                f"{target}: cannot be written ({error.strerror}); choose a folder that can be "
                "written"
            ) from error


def _as_index(segment: Segment, field: int) -> Any:
    """Return what the library commits of a segment."""
    from lance.bitmap import Bitmap
    from lance.dataset import Index, IndexFile

    kind, details = segment.details
    return Index(
        uuid=segment.uuid,
        name=INDEX_NAME,
        fields=[field],
        dataset_version=segment.version,
        fragment_ids=Bitmap(segment.fragments),
        index_version=segment.index_version,
        created_at=datetime.fromisoformat(segment.created),
        files=[IndexFile(path=name, size_bytes=size) for name, size in segment.sizes.items()],
        index_details=(kind, base64.b64decode(details)),
    )
