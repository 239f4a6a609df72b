"""What would make earful slow, counted: calls, passes, bytes and imports, never seconds."""

import json
import os
import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from torch.utils._python_dispatch import TorchDispatchMode

from earful.index import Index
from earful.index.builder import BuildOptions, build_index
from earful.index.corpus import Exemplar
from earful.index.search import SearchFilter, VectorSet
from earful.model import load_embedder, load_language_model
from earful.model.audio import Clip
from earful.model.encoders import pack_for_cpu
from earful.model.flamingo import FlamingoLanguageModel, NumpyFlamingo
from earful.model.runtime import can_pack
from earful.model.tiny import TinyEmbedder
from earful.rag import FewShot
from tests.support.small_htsat import SMALL, random_htsat, spectrograms

RATE = 44_100
# What a command imports may grow by this much before it is worth a look.
MOST_MODULES_OF_HELP = 330


def write_corpus(folder: Path, n: int) -> Path:
    rng = np.random.default_rng(0)
    for number in range(n):
        path = folder / ("low" if number % 2 else "high") / f"{number:02}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.3 * rng.standard_normal(RATE // 2), RATE)
    return folder


def imported(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys, json\nprint(json.dumps(list(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


@contextmanager
def counted(owner: object, name: str) -> Iterator[list[int]]:
    """Count how often a method is called, with the length of its first argument."""
    calls: list[int] = []
    method: Callable[..., object] = getattr(owner, name)

    def count(first: Sequence[object], *rest: object, **named: object) -> object:
        calls.append(len(first))
        return method(first, *rest, **named)

    setattr(owner, name, count)
    try:
        yield calls
    finally:
        delattr(owner, name)


# --- imports ---------------------------------------------------------------------------------


def test_help_imports_next_to_nothing() -> None:
    modules = imported(
        "import sys; sys.argv = ['earful', '--help']\n"
        "from earful.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass"
    )
    heavy = {"torch", "numpy", "lancedb", "pyarrow", "transformers", "faiss", "soundfile", "rich"}
    assert not heavy & modules
    assert len(modules) < MOST_MODULES_OF_HELP


@pytest.mark.slow
def test_the_shipped_models_answer_without_torch_or_transformers(tmp_path: Path) -> None:
    query = tmp_path / "query.wav"
    soundfile.write(query, 0.3 * np.random.default_rng(1).standard_normal(RATE), RATE)
    task = str(task_file(tmp_path))
    modules = imported(
        "from earful import FewShot\n"
        "from earful.model.registry import load_language_model\n"
        f"few = FewShot.from_task({task!r}, model=load_language_model('earful-small'))\n"
        f"few.classify({str(query)!r}, task={task!r})"
    )
    assert not {"torch", "transformers", "lancedb", "pandas", "matplotlib"} & modules


def test_an_index_is_asked_without_torch(tmp_path: Path) -> None:
    corpus, index = write_corpus(tmp_path / "corpus", 8), tmp_path / "sounds.index"
    build_index(corpus, index)
    query = str(corpus / "low/01.wav")
    modules = imported(
        "from earful import FewShot\n"
        f"few = FewShot.open({str(index)!r}, model='earful-small')\n"
        f"few.classify({query!r})\n"
        f"few.ask({query!r}, 'Do you hear low?')\n"
        f"few.caption({query!r})"
    )
    assert "onnxruntime" in modules
    assert not {"torch", "transformers"} & modules


# --- encoder calls -----------------------------------------------------------------------------


def test_a_build_encodes_each_recording_once_in_full_batches(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", 21)
    embedder = load_embedder("logmel")
    with counted(embedder, "embed") as calls:
        build_index(
            corpus, tmp_path / "index", embedder=embedder, options=BuildOptions(batch_clips=8)
        )
        assert calls == [8, 8, 5]
        build_index(corpus, tmp_path / "index", embedder=embedder)
    assert calls == [8, 8, 5]  # nothing is encoded again


@pytest.mark.slow
def test_windows_of_many_clips_go_through_the_encoder_together() -> None:
    embedder = load_embedder("earful-tiny", device="cpu")
    assert isinstance(embedder, TinyEmbedder)
    noise = np.random.default_rng(0).normal(0, 0.1, RATE * 4).astype(np.float32)
    clip = Clip(samples=noise, sample_rate=RATE)
    n_windows = len(embedder.published_outputs(clip))
    with counted(embedder, "encode") as calls:
        embedder.embed([clip] * 6)
    assert sum(calls) == 6 * n_windows
    assert len(calls) == 1


class Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what torch is asked to do."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: Counter[str] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.calls[func._schema.name] += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.slow
@pytest.mark.skipif(not can_pack(torch.float32), reason="no packed products in this torch")
def test_the_packed_encoder_runs_the_fewest_operations() -> None:
    packed = pack_for_cpu(random_htsat(SMALL), torch.float32)
    decibels = spectrograms(SMALL, 2, 256)
    with torch.inference_mode(), Operations() as counting:
        packed(decibels)
    n_blocks = sum(SMALL.depths)
    calls = counting.calls
    # Query, key and value in one; out; wider; narrower; and the reduction between stages.
    assert calls["mkldnn::_linear_pointwise"] == 4 * n_blocks + len(SMALL.depths) - 1
    assert calls["aten::gelu"] == 0  # it goes along with a product
    assert calls["aten::add"] == 0
    assert calls["aten::index_select"] <= n_blocks + len(SMALL.depths) - 1


# --- passes per query ----------------------------------------------------------------------------


def task_file(folder: Path, n_labels: int = 3) -> Path:
    rng = np.random.default_rng(3)
    labels = [f"sound {number}" for number in range(n_labels)]
    for label in labels[:3]:
        (folder / "examples" / label).mkdir(parents=True)
        for number in range(2):
            path = folder / "examples" / label / f"{number}.wav"
            soundfile.write(path, 0.3 * rng.standard_normal(RATE), RATE)
    task = folder / "task.toml"
    task.write_text(
        'name = "sounds"\nkind = "classify"\nquestion = "What is heard?"\n'
        f'labels = {json.dumps(labels)}\nexamples = "examples"\n',
        encoding="utf-8",
    )
    return task


@pytest.mark.parametrize("n_labels", [3, 12])
def test_any_number_of_labels_is_scored_in_one_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_labels: int
) -> None:
    model = load_language_model("earful-small", device="cpu")
    assert isinstance(model, FlamingoLanguageModel)
    task = task_file(tmp_path, n_labels)
    few = FewShot.from_task(task, model=model)
    query = tmp_path / "query.wav"
    soundfile.write(query, 0.3 * np.random.default_rng(1).standard_normal(RATE), RATE)
    network = model.network
    assert isinstance(network, NumpyFlamingo)
    passes: list[int] = []
    read = network.read

    def count(ids: NDArray[np.int64], *rest: Any) -> NDArray[np.float32]:
        passes.append(len(ids))
        return read(ids, *rest)

    monkeypatch.setattr(network, "read", count)
    answer = few.classify(query, task=task, arm="model")
    assert len(answer.scores) == n_labels
    assert len(passes) == 1


# --- bytes and memory ----------------------------------------------------------------------------


@pytest.fixture
def rows() -> VectorSet:
    rng = np.random.default_rng(0)
    vectors: NDArray[np.float64] = rng.normal(size=(20_000, 64))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    exemplars = [
        Exemplar(id=f"{n:05}", audio=PurePosixPath("a.wav"), labels=(f"{n % 50}",))
        for n in range(len(vectors))
    ]
    return VectorSet(
        exemplars=exemplars,
        paths=[Path("/a.wav")] * len(exemplars),
        content=[""] * len(exemplars),
        vectors=vectors.astype(np.float32),
    )


def peak_bytes(work: Callable[[], object]) -> int:
    work()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_search_sets_aside_no_more_than_its_scores(rows: VectorSet) -> None:
    query = rows.vectors[0]
    n_bytes = rows.vectors.nbytes
    one = peak_bytes(lambda: rows.search(query, k=10))
    assert one < 4 * len(rows) * 4 < n_bytes / 10
    chosen = SearchFilter(labels=frozenset({"7"}))
    assert peak_bytes(lambda: rows.search(query, k=10, filter=chosen)) < n_bytes / 20


def test_vectors_are_read_once(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", 12)
    build_index(corpus, tmp_path / "index", embedder=load_embedder("logmel"))
    index = Index.open(tmp_path / "index")
    query = index.vectors().vectors[0]

    def bytes_read() -> int:
        lines = Path(f"/proc/{os.getpid()}/io").read_text().splitlines()
        return int(dict(line.split(": ") for line in lines)["rchar"])

    before = bytes_read()
    empty = bytes_read() - before  # what looking takes
    before = bytes_read()
    for _ in range(5):
        index.search(query, k=3)
    assert bytes_read() - before <= empty + 16
