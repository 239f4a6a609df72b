import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from numpy.typing import NDArray

from earful.errors import IndexMismatchError, ModelError, PromptError, UnknownNameError
from earful.index import Index
from earful.index.builder import build_index
from earful.index.corpus import Exemplar
from earful.index.search import SearchFilter
from earful.index.storage import Row
from earful.model import Fingerprint
from earful.model.audio import Clip, load_audio
from earful.rag import FewShot
from earful.rag.retrieval import Query, ShotSet
from earful.rag.task import Example, Task, load_task
from tests.support.labelled_tones import RATE, sound, write_wav


def test_a_recording_of_the_index_never_meets_itself(few: FewShot, corpus: Path) -> None:
    path = corpus / "low" / "3.wav"
    for asked in (path, str(path), os.path.relpath(path), load_audio(path)):
        evidence = few.classify(asked).evidence
        assert all(hit.path != path.resolve() for hit in evidence)
    # Its group holds the takes 2 and 3.
    evidence = few.classify(path, group="low-1", shots=30).evidence
    names = {str(hit.exemplar.audio) for hit in evidence}
    assert not names & {"low/2.wav", "low/3.wav"}
    assert len(evidence) == 30


def test_a_renamed_or_linked_copy_does_not_help(few: FewShot, corpus: Path, tmp_path: Path) -> None:
    original = (corpus / "high" / "5.wav").resolve()
    copy = Path(shutil.copy(original, tmp_path / "copy.wav"))
    link = tmp_path / "link.wav"
    link.symlink_to(original)
    for asked in (copy, link):
        assert all(hit.path != original for hit in few.classify(asked).evidence)


def test_a_query_that_leaves_no_exemplar_is_refused(index: Path, tmp_path: Path) -> None:
    few = FewShot.open(index)
    path = write_wav(tmp_path / "one.wav", sound("low", 77), RATE)
    clip = load_audio(path)
    task = Task(
        name="t",
        examples=(
            load_task_example(path, tmp_path, "a"),
            load_task_example(path, tmp_path, "b", end_s=0.4),
        ),
    )
    with pytest.raises(PromptError, match="every exemplar that could answer is from the same"):
        few.classify(path, task=task)
    assert few.classify(replace(clip, source="", content_sha256="other"), task=task).text


def load_task_example(path: Path, folder: Path, label: str, end_s: float | None = None) -> Example:
    end = "" if end_s is None else f", end_s = {end_s}"
    toml = folder / f"{label}.toml"
    toml.write_text(f'examples = [{{audio = "{path.name}", label = "{label}"{end}}}]')
    return load_task(toml).examples[0]


def test_a_change_is_made_to_the_shots_of_one_retriever_only(few: FewShot, query: Path) -> None:
    seen: list[str] = []

    def keep_farthest(query: Query, found: ShotSet) -> ShotSet:
        seen.append(query.name)
        return replace(
            found, rows=found.rows[-1:], similarities=found.similarities[-1:], hits=found.hits[-1:]
        )

    before = few.classify(query, shots=3)
    changed = FewShot(retriever=few.retriever.with_change(keep_farthest))
    assert changed.classify(query, shots=3).evidence == before.evidence[-1:]
    assert seen == [str(query)]
    assert few.classify(query, shots=3).evidence == before.evidence
    # Candidates and calibration are shared, not computed again.
    task = Task(name="t")
    assert changed.retriever.prepare(task) is few.retriever.prepare(task)


def test_search_finds_and_filters(few: FewShot, corpus: Path, queries: Path) -> None:
    hits = few.search(corpus / "low/0.wav", k=3)
    assert hits[0].similarity == pytest.approx(1.0, abs=1e-6)
    assert hits[0].exemplar.id == "low/0.wav"
    only = SearchFilter(labels=frozenset({"high"}), splits=frozenset({"test"}))
    found = few.search(queries / "low/100.wav", k=20, filter=only)
    assert sorted(hit.exemplar.id for hit in found) == ["high/10.wav", "high/11.wav", "high/9.wav"]
    where = SearchFilter(where="split = 'test'")
    assert len(few.search(queries / "low/100.wav", k=20, filter=where)) == 9


def test_search_by_text_needs_an_embedder_with_text(few: FewShot) -> None:
    with pytest.raises(ModelError, match=r"'logmel' has no text.*laion/clap-htsat-unfused"):
        few.search(text="a dog")
    with pytest.raises(ValueError, match="either audio or text"):
        few.search()
    with pytest.raises(UnknownNameError, match="did you mean 'faiss'"):
        few.search(text="a dog", backend="fais")


class TextAndTones:
    """An embedder of two axes: low and high; words name them."""

    fingerprint = Fingerprint(
        name="axes", revision="", weights_sha256="", dim=2, sample_rate=RATE, windowing="whole"
    )

    def embed(self, clips: Sequence[Clip]) -> NDArray[np.float32]:
        rows = []
        for clip in clips:
            spectrum = np.abs(np.fft.rfft(clip.samples)) ** 2
            hz = np.fft.rfftfreq(clip.samples.size, 1 / clip.sample_rate)
            energies = np.sqrt([spectrum[hz < 500].sum(), spectrum[hz >= 500].sum()])
            rows.append(energies / np.linalg.norm(energies))
        return np.array(rows, dtype=np.float32)

    def embed_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([[1, 0] if "low" in text else [0, 1] for text in texts], np.float32)


def test_search_by_text_and_an_embedder_of_ones_own(
    corpus: Path, queries: Path, tmp_path: Path
) -> None:
    build_index(corpus, tmp_path / "axes.index", embedder=TextAndTones())
    few = FewShot.open(tmp_path / "axes.index", embedder=TextAndTones())
    assert {hit.exemplar.answer for hit in few.search(text="a low tone", k=5)} == {"low"}
    assert few.classify(queries / "low/100.wav").text == "low"
    with pytest.raises(ValueError, match="sentence to search with is empty"):
        few.search(text=" ")
    with pytest.raises(IndexMismatchError, match="axes"):
        FewShot.open(tmp_path / "axes.index", embedder="logmel")


@pytest.mark.slow
def test_new_rows_of_the_index_are_seen(corpus: Path, queries: Path, tmp_path: Path) -> None:
    path = tmp_path / "growing.index"
    build_index(corpus, path, embedder="logmel")
    few = FewShot.open(path)
    query = queries / "hiss/100.wav"
    assert few.classify(query).text != "hiss"
    write_wav(tmp_path / "more" / "hiss" / "1.wav", sound("hiss", 1), RATE)
    clip = load_audio(tmp_path / "more/hiss/1.wav", sample_rate=44_100)
    assert few.index is not None
    few.index.add(
        [
            Row(
                exemplar=Exemplar(id="new", audio=PurePosixPath("hiss/1.wav"), labels=("hiss",)),
                root=(tmp_path / "more").resolve(),
                duration_s=clip.duration_s,
                file_sha256="0" * 64,
                content_sha256=clip.content_sha256,
                vector=few.embedder.embed([clip])[0],
            )
        ]
    )
    assert few.classify(query).evidence[0].exemplar.id == "new"


@pytest.mark.slow
def test_ten_thousand_rows_cost_milliseconds(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(25, 512))
    truth = rng.integers(0, 25, 10_000)
    vectors = (centres[truth] + 2.0 * rng.normal(size=(10_000, 512))).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)

    class Far(TextAndTones):
        fingerprint = replace(TextAndTones.fingerprint, dim=512)

        def embed(self, clips: Sequence[Clip]) -> NDArray[np.float32]:
            return vectors[:1]

    index = Index.create(tmp_path / "large.index", Far.fingerprint)
    index.add(
        [
            Row(
                exemplar=Exemplar(
                    id=f"{row:05}",
                    audio=PurePosixPath(f"{row}.wav"),
                    labels=(f"label {truth[row]}",),
                ),
                root=tmp_path,
                duration_s=1.0,
                file_sha256="0" * 64,
                content_sha256=f"{row:064}",
                vector=vectors[row],
            )
            for row in range(10_000)
        ]
    )
    few = FewShot(embedder=Far(), index=index)
    clip = Clip(samples=np.ones(100, np.float32), sample_rate=RATE)
    for strategy in ("nearest", "balanced", "diverse", "random"):
        few.classify(clip, strategy=strategy)
        spent_s = []
        for _ in range(5):
            start = time.perf_counter()
            few.classify(clip, strategy=strategy)
            spent_s.append(time.perf_counter() - start)
        # A few milliseconds; the bound leaves room for a busy machine.
        assert min(spent_s) < 0.05, strategy
