"""An index of tones, and recordings to ask about; folders below may bring their own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from earful.index.builder import build_index
from earful.model.endpoint import EndpointSettings, load_endpoint
from earful.rag import FewShot
from earful.testing.stub_endpoint import StubEndpoint, serve_stub
from tests.support.labelled_tones import HZ, write_sound


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve takes each of low, middle and high, two of a group; the last nine are for tests."""
    root = tmp_path_factory.mktemp("a corpus")
    rows = ["file_name,label,group,split"]
    for label in ("low", "middle", "high"):
        for take in range(12):
            write_sound(root / label / f"{take}.wav", label, take)
            split = "train" if take < 9 else "test"
            rows.append(f"{label}/{take}.wav,{label},{label}-{take // 2},{split}")
    (root / "metadata.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture(scope="session")
def index(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("indexes") / "sounds.index"
    assert build_index(corpus, path, embedder="logmel").accepted == 36
    return path


@pytest.fixture(scope="module")
def few(index: Path) -> FewShot:
    return FewShot.open(index)


@pytest.fixture(scope="session")
def queries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three takes each of low, middle, high and hiss that the index does not have."""
    root = tmp_path_factory.mktemp("queries")
    for label in HZ:
        for take in range(100, 103):
            write_sound(root / label / f"{take}.wav", label, take)
    return root


@pytest.fixture
def query(queries: Path) -> Path:
    return queries / "low/100.wav"


@pytest.fixture
def behind_stub(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., FewShot]]:
    """Open the index with a model behind a stub."""
    pytest.importorskip("openai")
    monkeypatch.setenv("EARFUL_HOME", str(tmp_path))
    with ExitStack() as stack:

        def open_it(stub: StubEndpoint, **settings: Any) -> FewShot:
            stack.enter_context(serve_stub(stub))
            given = EndpointSettings(base_url=stub.address, **settings)
            return FewShot.open(index, model=load_endpoint("openai:", given))

        yield open_it
