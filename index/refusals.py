"""What an index refuses to take in, each with its reason."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from earful.errors import IndexFolderError, IndexMismatchError
from earful.files import temporary_name
from earful.index.storage import CHECKSUMS_NAME, HEADER_NAME, LOCK_NAME, TABLE_FOLDER, KnownRow, Row
from earful.model import Fingerprint
from earful.wording import as_argument

_UNIT_TOLERANCE = 1e-3


def refuse_mismatch(index: Path, mine: Fingerprint, theirs: Fingerprint) -> None:
    """Let only the embedder pass that an index was made with.

    The digest of the weights says which they are: the same weights under another name or
    in another folder pass, as long as all else is equal.

    Raises:
        IndexMismatchError: The fingerprints differ; the message says where.
    """
    if mine.weights_sha256 and mine.weights_sha256 == theirs.weights_sha256:
        theirs = replace(theirs, name=mine.name, revision=mine.revision)
    differences = mine.differences(theirs)
    if not differences:
        return
    if mine.name != theirs.name:
        way_out = f"use {mine.name!r} (--embedder {as_argument(mine.name)} of `earful index build`)"
    elif mine.revision != theirs.revision:
        way_out = f"use revision {mine.revision!r}"
    else:
        way_out = "use the same weights and settings"
    raise IndexMismatchError(
        f"{index}: was built with embedder {mine.name!r}, and this is {theirs.name!r} "
        f"({'; '.join(differences)}). Similarities across the two would mean nothing: {way_out}, "
        "or build the index anew"
    )


def refuse_used_folder(folder: Path) -> None:
    """Let an empty folder pass, and one in which a kill left an index half made.

    Raises:
        IndexFolderError: There is an index, or somebody else's files.
    """
    present = set(os.listdir(folder))
    if HEADER_NAME in present:
        raise IndexFolderError(f"{folder}: holds an index already; open that, or name a new folder")
    half_made = {LOCK_NAME, TABLE_FOLDER, CHECKSUMS_NAME, temporary_name(HEADER_NAME)}
    # The lock comes first: without it, even a folder called "table" is somebody else's.
    if foreign := sorted(present - half_made if LOCK_NAME in present else present):
        raise IndexFolderError(
            f"{folder}: holds other files ({', '.join(foreign[:3])}); want a new folder or an index"
        )


def refuse_bad_vectors(rows: Sequence[Row], dim: int) -> None:
    """Let finite unit vectors of the right length pass.

    Raises:
        ValueError: A vector is another.
    """
    for row in rows:
        norm = float(np.linalg.norm(row.vector))
        # Written so that NaN is refused too.
        if row.vector.shape != (dim,) or not abs(norm - 1.0) <= _UNIT_TOLERANCE:
            raise ValueError(
                f"vector of {row.exemplar.id!r}: shape {row.vector.shape}, norm {norm}; "
                f"want ({dim},) and 1"
            )


def refuse_clashes(folder: Path, rows: Sequence[Row], known: Mapping[str, KnownRow]) -> None:
    """Let rows pass whose ids are new, or replace a row of the same corpus.

    Raises:
        IndexFolderError: An id stands twice, or belongs to another corpus root.
    """
    seen: set[str] = set()
    for row in rows:
        id_ = row.exemplar.id
        if id_ in seen:
            raise IndexFolderError(f"{folder}: id {id_!r} stands twice among the new rows")
        seen.add(id_)
        if id_ in known and known[id_].root != row.root:
            raise IndexFolderError(
                f"{folder}: id {id_!r} belongs to a row from {known[id_].root}, and now "
                f"comes from {row.root}; give it another id, or remove the old row first"
            )
