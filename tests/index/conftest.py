"""Rows to store, for the tests of the index folder."""

import hashlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from numpy.typing import NDArray

from earful.index import Index
from earful.index.corpus import Exemplar
from earful.index.storage import Row
from earful.model import Fingerprint

DIM = 4


MakeRow = Callable[..., Row]


@pytest.fixture
def fingerprint() -> Fingerprint:
    return Fingerprint(
        name="toy", revision="", weights_sha256="ab", dim=DIM, sample_rate=8000, windowing="whole"
    )


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """An empty corpus root."""
    folder = tmp_path.resolve() / "sounds"
    folder.mkdir()
    return folder


@pytest.fixture
def make_row(sounds: Path) -> MakeRow:
    """Make a row whose audio file exists, with a vector drawn from its id."""

    def make(
        id_: str,
        *,
        vector: NDArray[np.float32] | None = None,
        root: Path | None = None,
        labels: tuple[str, ...] = ("dog",),
        split: str = "",
        group: str = "",
    ) -> Row:
        folder = root or sounds
        audio = PurePosixPath(f"{hashlib.sha256(id_.encode()).hexdigest()[:8]}.wav")
        content = f"the bytes of {id_}".encode()
        (folder / audio).write_bytes(content)
        if vector is None:
            seed = int.from_bytes(hashlib.sha256(id_.encode()).digest()[:4], "big")
            drawn = np.random.default_rng(seed).standard_normal(DIM)
            vector = (drawn / np.linalg.norm(drawn)).astype(np.float32)
        return Row(
            exemplar=Exemplar(id=id_, audio=audio, labels=labels, split=split, group=group),
            root=folder,
            duration_s=1.5,
            file_sha256=hashlib.sha256(content).hexdigest(),
            content_sha256=hashlib.sha256(content * 2).hexdigest(),
            vector=vector,
        )

    return make


@pytest.fixture
def index(tmp_path: Path, fingerprint: Fingerprint, make_row: MakeRow) -> Index:
    """Two commits: a, then b."""
    made = Index.create(tmp_path / "sounds.index", fingerprint)
    made.add([make_row("a")])
    made.add([make_row("b")])
    return made
