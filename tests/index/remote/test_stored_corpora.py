"""Corpora in stores: folders and tables of addresses, built like those of this machine."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from earful.errors import AudioError, StoreError
from earful.index import Index, build_index, open_corpus
from earful.model import load_embedder
from earful.model.audio import file_sha256, load_audio
from earful.object_stores import forget_copies
from earful.rag import FewShot
from tests.index.remote.conftest import Machine
from tests.support.tones import write_tone

Put = Callable[[str, bytes], None]
LABELS = ("high", "low")


@pytest.fixture
def put(memory: Any, machine: Machine) -> Put:
    import obstore

    forget_copies()
    return lambda key, data: obstore.put(memory, key, data) and None


@pytest.fixture
def sounds_here(tmp_path: Path) -> Path:
    """Four recordings in a folder a label, on this machine."""
    folder = tmp_path / "corpus"
    for n, label in enumerate(LABELS * 2):
        path = folder / label / f"{n}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_tone(path, 2000 - 900 * (n % 2) + 40 * n, n)
    return folder


@pytest.fixture
def uploaded(sounds_here: Path, put: Put) -> Path:
    for path in sounds_here.rglob("*.wav"):
        put(f"corpus/{path.relative_to(sounds_here).as_posix()}", path.read_bytes())
    return sounds_here


def rows_of(index: Index) -> list[tuple[Any, ...]]:
    columns = ["id", "audio", "labels", "file_sha256", "content_sha256"]
    return [tuple(map(str, row.values())) for row in index.read_table(columns).to_pylist()]


def test_a_folder_in_a_store_is_built_like_one_here(uploaded: Path, tmp_path: Path) -> None:
    here = tmp_path / "here.index"
    there = tmp_path / "there.index"
    build_index(uploaded, here, embedder="earful-tiny")
    report = build_index("s3://sounds/corpus/", there, embedder="earful-tiny")
    assert report.accepted == 4
    assert rows_of(Index.open(here)) == rows_of(Index.open(there))
    text = (there / "index.json").read_text(encoding="utf-8")
    assert "s3://sounds/corpus" in text
    assert "cache-here" not in text


@pytest.mark.slow
def test_a_table_of_addresses(uploaded: Path, put: Put, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text(
        "file_name,label\ns3://sounds/corpus/high/0.wav,high\ns3://sounds/corpus/low/1.wav,low\n"
        "s3://sounds/corpus/low/none.wav,low\n",
        encoding="utf-8",
    )
    report = build_index(table, tmp_path / "x.index", embedder="earful-tiny")
    assert (report.accepted, len(report.rejected)) == (2, 1)
    assert "s3://sounds/corpus/low/none.wav: no such object" in report.rejected[0].error
    put("corpus/table.csv", b"file_name,label\nhigh/0.wav,high\nlow/3.wav,low\n")
    report = build_index(
        "s3://sounds/corpus/table.csv", tmp_path / "y.index", embedder="earful-tiny"
    )
    assert (report.accepted, report.rejected) == (2, ())


def test_metadata_beside_recordings_in_a_store(uploaded: Path, put: Put, tmp_path: Path) -> None:
    put("corpus/metadata.csv", b"file_name,label\nhigh/0.wav,high\n")
    corpus = open_corpus("s3://sounds/corpus")
    assert [row.exemplar.labels for row in corpus] == [("high",)]


@pytest.mark.slow
def test_an_unchanged_object_is_not_fetched_again_and_a_changed_one_is(
    uploaded: Path, put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = tmp_path / "x.index"
    build_index("s3://sounds/corpus", index, embedder="earful-tiny")
    forget_copies()
    fetched: list[str] = []
    from earful.object_stores import ObjectStore

    real = ObjectStore.download

    def count(self: ObjectStore, name: str, *args: Any, **options: Any) -> str:
        fetched.append(name)
        return real(self, name, *args, **options)

    monkeypatch.setattr(ObjectStore, "download", count)
    shutil.rmtree(next(tmp_path.glob("cache-here/stores/tree")))
    report = build_index("s3://sounds/corpus", index, embedder="earful-tiny")
    assert (report.skipped, fetched) == (4, [])
    write_tone(tmp_path / "new.wav", 3000, 9)
    put("corpus/high/0.wav", (tmp_path / "new.wav").read_bytes())
    report = build_index("s3://sounds/corpus", index, embedder="earful-tiny")
    assert (report.accepted, report.skipped, fetched) == (1, 3, ["corpus/high/0.wav"])


@pytest.mark.slow
def test_a_removed_object_is_stale_at_resume(uploaded: Path, memory: Any, tmp_path: Path) -> None:
    import obstore

    index = tmp_path / "x.index"
    build_index("s3://sounds/corpus", index, embedder="earful-tiny")
    obstore.delete(memory, "corpus/low/1.wav")
    report = build_index("s3://sounds/corpus", index, embedder="earful-tiny")
    assert report.stale == ("low/1.wav",)


@pytest.mark.slow
def test_questions_take_addresses_and_never_meet_their_own_recording(
    uploaded: Path, tmp_path: Path
) -> None:
    index = tmp_path / "x.index"
    build_index("s3://sounds/corpus", index, embedder="earful-tiny")
    few = FewShot.open(index, embedder=load_embedder("earful-tiny"))
    answer = few.classify("s3://sounds/corpus/high/0.wav")
    assert answer.audio == "s3://sounds/corpus/high/0.wav"
    assert answer.to_dict() == few.classify(uploaded / "high/0.wav").to_dict() | {
        "audio": "s3://sounds/corpus/high/0.wav"
    }
    assert "high/0.wav" not in {shot.exemplar.id for shot in answer.evidence}


def test_bytes_and_digests_are_those_of_the_file(uploaded: Path) -> None:
    here, there = uploaded / "low/1.wav", "s3://sounds/corpus/low/1.wav"
    assert file_sha256(there) == file_sha256(here)
    assert load_audio(there).content_sha256 == load_audio(here).content_sha256


def test_copies_are_bounded(
    uploaded: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    size = (uploaded / "low/1.wav").stat().st_size
    monkeypatch.setenv("EARFUL_CACHE_BYTES", str(2 * size))
    monkeypatch.setattr("earful.object_stores.copies._FRESH_S", -1.0)
    for path in sorted(uploaded.rglob("*.wav")):
        file_sha256(f"s3://sounds/corpus/{path.relative_to(uploaded).as_posix()}")
    kept = [p for p in tmp_path.glob("cache-here/stores/copies/*/*") if p.suffix == ".wav"]
    assert sum(path.stat().st_size for path in kept) <= 2 * size


def test_copies_are_not_looked_through_for_each_one(
    uploaded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from earful.object_stores import copies

    looked: list[int] = []
    real = copies._make_room

    def count(folder: Path, size: int, most: int) -> int:
        looked.append(size)
        return real(folder, size, most)

    monkeypatch.setattr(copies, "_make_room", count)
    for path in uploaded.rglob("*.wav"):
        file_sha256(f"s3://sounds/corpus/{path.relative_to(uploaded).as_posix()}")
    assert len(looked) == 1


def test_one_object_is_copied_by_many_threads_at_once(
    uploaded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from earful.object_stores import ObjectStore

    together, real = Barrier(8), ObjectStore.download

    def download(self: ObjectStore, name: str, *args: Any, **options: Any) -> str:
        found = real(self, name, *args, **options)
        together.wait(20)
        return found

    monkeypatch.setattr(ObjectStore, "download", download)
    with ThreadPoolExecutor(8) as threads:
        digests = set(threads.map(file_sha256, ["s3://sounds/corpus/low/1.wav"] * 8))
    assert digests == {file_sha256(uploaded / "low/1.wav")}


def test_an_odd_bound_of_copies_is_named(uploaded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARFUL_CACHE_BYTES", "2 GB")
    with pytest.raises(StoreError, match=r"EARFUL_CACHE_BYTES='2 GB': expected a whole number"):
        file_sha256("s3://sounds/corpus/low/1.wav")


def test_too_large_an_object_is_refused_before_it_is_fetched(
    uploaded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from earful.model.audio import AudioLimits
    from earful.object_stores import ObjectStore

    monkeypatch.setattr(ObjectStore, "download", None)
    with pytest.raises(AudioError, match=r"over the limit max_file_bytes=100"):
        load_audio("s3://sounds/corpus/low/1.wav", limits=AudioLimits(max_file_bytes=100))


def test_a_key_that_no_file_can_have_is_named(put: Put, memory: Any) -> None:
    put("corpus/high/" + "x" * 300 + ".wav", b"")
    with pytest.raises(StoreError, match="a part of its key has 304 bytes"):
        open_corpus("s3://sounds/corpus")
