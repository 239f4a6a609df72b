"""A stub hub that the hub's own client talks to, and an index to push."""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import huggingface_hub.constants
import pytest

from earful.index import Index
from earful.model import Fingerprint
from tests.index.conftest import MakeRow
from tests.support.stub_hub import StubHub, stub_hub


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[StubHub]:
    """A hub of this machine, with a token that may write in the environment."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    # Of the client itself, which its users see as little of.
    warnings.filterwarnings("ignore", "Use 'content=", DeprecationWarning)
    with stub_hub() as found:
        monkeypatch.setenv("HF_ENDPOINT", found.address)
        monkeypatch.setenv("HF_TOKEN", found.token)
        yield found


@pytest.fixture
def fingerprint(fingerprint: Fingerprint) -> Fingerprint:
    """That of an embedder that comes with earful."""
    return replace(fingerprint, name="logmel")


@pytest.fixture
def shared(tmp_path: Path, fingerprint: Fingerprint, make_row: MakeRow) -> Index:
    """Rows under several licences, written in two commits."""
    told = {
        "zero": ("CC0", {}),
        "by": ("CC BY 4.0", {"author": "Ada", "url": "https://example.org/by"}),
        "nameless": ("CC-BY-4.0", {}),
        "nc": ("http://creativecommons.org/licenses/by-nc/3.0/", {"author": "Bob"}),
        "none": ("", {}),
    }
    rows = []
    for id_, (licence, meta) in told.items():
        row = make_row(id_, labels=("dog",) if id_ in ("zero", "by") else ("rain",))
        rows.append(replace(row, exemplar=replace(row.exemplar, licence=licence, meta=meta)))
    made = Index.create(tmp_path / "sounds.index", fingerprint)
    made.add(rows[:2])
    made.add(rows[2:])
    return made
