"""An approximate index built in parts, each where its rows are, and committed as one.

1. ``train_partitions`` makes what all parts share: the centroids of the partitions and the
   rotation of the codes. They go into the index folder, as an array and JSON.
2. ``build_segment`` encodes the rows of one share of the table's files: any number of processes
   do so at once, on any machine that sees the folder. Nobody holds the writer lock meanwhile.
3. ``commit_segments`` checks what they wrote, moves it into the table and commits all at once.

::

    sounds.index/segments/partitions.json    version, rotation, digest of the next
    sounds.index/segments/centroids.npy      float32, shape (n_partitions, dim)
    sounds.index/segments/2-of-8.json        which rows the segment holds, and its own digests
    sounds.index/segments/2-of-8.lance/      the segment, beside links to the table

A worker sees the table through links, at one version, and writes beside them: a segment that is
half written is never among the table's files. What workers hand over is JSON, and never unpickled.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from earful.errors import IndexFolderError, MissingExtraError
from earful.index.remote import SEGMENTS_NAME
from earful.index.search.approximate.partitioning import checked_partitions
from earful.index.search.approximate.segment_records import Segment
from earful.index.storage import (
    LANCE_FOLDER,
    IndexFolder,
    manifest_name,
    translate_errors,
    write_text,
)
from earful.model.runtime import sha256_of
from earful.system import sync_file
from earful.wording import as_argument

_PARTITIONS: Final = "partitions.json"
_CENTROIDS: Final = "centroids.npy"
# Rows a partition that its centroid is looked for among.
_SAMPLED: Final = 256
INDEX_NAME: Final = "vector_idx"
INDICES: Final = "_indices"


@dataclass(frozen=True, slots=True, kw_only=True)
class Partitions:
    """What all segments of an approximate index share.

    Attributes:
        version: The table's version that they were trained on.
        n_partitions: How many.
        dim: Length of a vector.
        rotation: How codes are made of vectors: JSON of the library that makes them.
        centroids_sha256: Hex digest of the file of centroids.
        train_s: Time to train, in seconds.
    """

    version: int
    n_partitions: int
    dim: int
    rotation: str
    centroids_sha256: str
    train_s: float


def train_partitions(folder: IndexFolder, *, n_partitions: int | None = None) -> Partitions:
    """Train what the segments of an index share, and keep it in the index folder.

    Segments that were built with others before, and were not committed, are dropped.

    Args:
        folder: The index.
        n_partitions: How many; half the square root of the rows by default.

    Raises:
        IndexFolderError: There are too few rows, one is damaged, or the folder cannot be written.
        MissingExtraError: pylance is not installed.
        ValueError: ``n_partitions`` is outside its range.
    """
    lance = pylance()
    from lance.indices import IndicesBuilder

    table, dim = folder.table, folder.fingerprint.dim
    n_partitions = checked_partitions(len(table), n_partitions)
    table.check()
    started = time.perf_counter()
    with translate_errors(folder.path):
        dataset = lance.dataset(folder.path / LANCE_FOLDER, version=table.version)
        model = IndicesBuilder(dataset, "vector").train_ivf(
            n_partitions,
            distance_type="dot",
            sample_rate=min(_SAMPLED, len(table) // n_partitions),
        )
    centroids = np.asarray(model.centroids.flatten(), np.float32).reshape(-1, dim)
    rotation = lance.lance.indices.build_rq_model(dim, num_bits=1)
    train_s = time.perf_counter() - started
    home = folder.path / SEGMENTS_NAME
    try:
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        np.save(home / _CENTROIDS, centroids, allow_pickle=False)
        made = Partitions(
            version=table.version,
            n_partitions=len(centroids),
            dim=dim,
            rotation=rotation,
            centroids_sha256=sha256_of(home / _CENTROIDS),
            train_s=train_s,
        )
        write_text(home / _PARTITIONS, json.dumps(asdict(made)) + "\n")
    except OSError as error:
        raise IndexFolderError(
            f"{home}: cannot be written ({error.strerror}); choose a folder that can be written"
        ) from error
    return made


def find_partitions(folder: IndexFolder) -> tuple[Partitions, NDArray[np.float32]]:
    """Return what ``train_partitions`` kept, and the centroids, float32, ``(n_partitions, dim)``.

    Raises:
        IndexFolderError: There is nothing, or it is damaged.
    """
    home = folder.path / SEGMENTS_NAME
    again = f"`earful index approximate {as_argument(folder.path)} --train`"
    if not (home / _PARTITIONS).is_file():
        raise IndexFolderError(
            f"{folder.path}: the partitions of its segments were not trained; run {again} first"
        )
    try:
        values = json.loads((home / _PARTITIONS).read_text(encoding="utf-8"))
        made = Partitions(**values)
        if sha256_of(home / _CENTROIDS) != made.centroids_sha256:
            raise ValueError(f"{_CENTROIDS} is not the one that was written")
        centroids = np.load(home / _CENTROIDS, allow_pickle=False)
        if centroids.dtype != np.float32 or centroids.shape != (made.n_partitions, made.dim):
            raise ValueError(f"{_CENTROIDS} has shape {centroids.shape}")
        if made.dim != folder.fingerprint.dim:
            raise ValueError(
                f"vectors of {made.dim} numbers, the index has {folder.fingerprint.dim}"
            )
    except (OSError, ValueError, TypeError) as error:
        raise IndexFolderError(f"{home}: is damaged ({error}); run {again} again") from error
    return made, centroids


def build_segment(folder: IndexFolder, part: int, parts: int) -> Segment:
    """Build one part of an approximate index, beside the table, and keep what it is.

    A part that was built already is built again. The rows' files are compared with their digests.

    Args:
        folder: The index; several processes may build parts of it at once.
        part: Which part, from 1.
        parts: Of how many, each with about as many rows.

    Raises:
        IndexFolderError: The partitions were not trained, a file of the table is damaged, there
            are fewer fragments than parts, or the folder cannot be written.
        MissingExtraError: pylance is not installed.
        ValueError: ``part`` is not one of ``parts``.
    """
    if not 1 <= part <= parts:
        raise ValueError(f"part={part}, parts={parts}: expected a part from 1 to {parts}")
    lance = pylance()
    import pyarrow as pa

    made, centroids = find_partitions(folder)
    table = folder.table
    work = folder.path / SEGMENTS_NAME / f"{part}-of-{parts}.lance"
    try:
        _link_table(folder.path, work, table.version)
    except OSError as error:
        raise IndexFolderError(
            f"{work}: cannot be written ({error.strerror}); choose a folder that can be written"
        ) from error
    started = time.perf_counter()
    dataset = lance.dataset(work)
    own = _share(dataset, part, parts, folder.path)
    fragments = data_files(own)
    names = [f"{LANCE_FOLDER}/data/{name}" for files in fragments.values() for name in files]
    table.check_files(names)
    with translate_errors(folder.path):
        built = dataset.create_index_uncommitted(
            "vector",
            "IVF_RQ",
            name=INDEX_NAME,
            metric="dot",
            num_partitions=made.n_partitions,
            ivf_centroids=pa.FixedSizeListArray.from_arrays(pa.array(centroids.ravel()), made.dim),
            rabitq_model=made.rotation,
            num_bits=1,
            fragment_ids=list(fragments),
            replace=True,  # of this version's, which only the linked table names
        )
    kind, details = built.index_details
    home = work / INDICES / built.uuid
    segment = Segment(
        part=part,
        parts=parts,
        uuid=built.uuid,
        fragments=fragments,
        version=table.version,
        index_version=built.index_version,
        created=(built.created_at or datetime.now(UTC)).isoformat(),
        details=(kind, base64.b64encode(details).decode("ascii")),
        files={file.path: sha256_of(home / file.path) for file in built.files},
        sizes={file.path: file.size_bytes for file in built.files},
        centroids_sha256=made.centroids_sha256,
        n_rows=sum(fragment.count_rows() for fragment in own),
        build_s=time.perf_counter() - started,
    )
    for name in segment.files:
        sync_file(home / name)
    segment.write(work.with_suffix(".json"))
    return segment


def pylance() -> Any:
    """Return the package pylance.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import lance
    except ImportError as error:
        raise MissingExtraError(
            "an approximate index in parts needs pylance: pip install 'earful[lance]'; without "
            "it, `earful index approximate` builds the whole index in one process"
        ) from error
    return lance


def _link_table(index: Path, work: Path, version: int) -> None:
    """Make a table that shares a version's rows with the index's, and nothing that is written.

    Raises:
        OSError: The folder cannot be written.
    """
    shutil.rmtree(work, ignore_errors=True)
    manifest = index / manifest_name(version)
    (work / manifest.parent.name).mkdir(parents=True)
    shutil.copyfile(manifest, work / manifest.parent.name / manifest.name)
    for shared in ("data", "_deletions"):
        if (target := index / LANCE_FOLDER / shared).is_dir():
            (work / shared).symlink_to(os.path.relpath(target, work))


def _share(dataset: Any, part: int, parts: int, index: Path) -> list[Any]:
    """Return the fragments of one part: neighbours, about as many rows in each."""
    fragments = dataset.get_fragments()
    if len(fragments) < parts:
        raise IndexFolderError(
            f"{index}: its rows lie in {len(fragments)} fragments, expected {parts} or more for "
            f"{parts} parts; take fewer parts"
        )
    n_rows = np.array([fragment.count_rows() for fragment in fragments])
    middles = (np.cumsum(n_rows) - n_rows / 2) / n_rows.sum()
    own = np.minimum((middles * parts).astype(int), parts - 1)
    # A fragment with more rows than a part leaves a part without any: deal by number then.
    if len(np.unique(own)) < parts:
        own = np.arange(len(fragments)) * parts // len(fragments)
    return [fragment for fragment, its in zip(fragments, own, strict=True) if its == part - 1]


def data_files(fragments: Iterable[Any]) -> dict[int, list[str]]:
    """Return the names of the data files of fragments, by their numbers."""
    return {
        fragment.fragment_id: [file.path for file in fragment.data_files()]
        for fragment in fragments
    }
