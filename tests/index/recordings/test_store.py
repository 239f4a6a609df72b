import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from earful.errors import AudioError, ScanError, ScanMismatchError
from earful.index.recordings import (
    BusyRecordingError,
    KeptRecording,
    StepStore,
    verify_store,
)
from earful.model.audio import AudioLimits, file_sha256, open_source
from tests.support.step_stores import BLOCK, DIM, Stopped, files, settings, steps_of, stop_at, write

KEY = "ab" * 32


@pytest.fixture(autouse=True, scope="module")
def no_flush() -> Iterator[None]:
    """A process that ends loses nothing that it wrote; only a power cut asks for flushes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture
def store(tmp_path: Path) -> StepStore:
    return StepStore.open_for(tmp_path / "vectors", settings())


def test_steps_are_read_back_as_they_were_written(store: StepStore) -> None:
    kept = write(store, KEY, 7)
    assert (kept.n_blocks, kept.n_steps) == (3, 7)
    assert (kept.levels.n, kept.levels.peak, kept.levels.n_clipped) == (300, 0.2, 3)
    assert store.about(KEY) == kept
    found = store.steps(KEY)
    assert isinstance(found, np.memmap)
    np.testing.assert_array_equal(found, steps_of(7))
    assert store.keys() == [KEY]
    assert KEY in store
    assert sorted(files(store.folder)) == [f"ab/{KEY}.json", f"ab/{KEY}.npy", "store.json"]
    # Any NumPy reads it, without us.
    np.testing.assert_array_equal(np.load(store.folder / "ab" / f"{KEY}.npy"), steps_of(7))


@hypothesis_settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 8), stops=st.lists(st.integers(0, 30), max_size=5))
def test_stopped_anywhere_a_store_is_as_if_nobody_had_stopped_it(
    tmp_path_factory: pytest.TempPathFactory, n: int, stops: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("stores")
    whole = StepStore.open_for(folder / "whole", settings())
    write(whole, KEY, n)
    store = StepStore.open_for(folder / "stopped", settings())
    made: list[int] = []
    for stop in stops:
        with pytest.MonkeyPatch.context() as patch:
            stop_at(patch, stop)
            try:
                write(store, KEY, n, made=made.append)
            except Stopped:
                continue
    write(store, KEY, n, made=made.append)
    assert files(store.folder) == files(whole.folder)
    # Each stop costs one block at most.
    n_blocks = -(-n // BLOCK)
    assert set(made) == set(range(n_blocks))
    assert len(made) <= n_blocks + len(stops)
    assert not store.unfinished()


def test_what_a_count_does_not_cover_is_cut_off(store: StepStore) -> None:
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, 10)
        with pytest.raises(Stopped):
            write(store, KEY, 9)
    (unfinished,) = store.unfinished()
    assert unfinished.about is not None
    n = unfinished.about.n_blocks
    assert 0 < n < 3
    with open(store.folder / "ab" / f"{KEY}.part", "ab") as file:
        file.write(b"torn")
    made: list[int] = []
    write(store, KEY, 9, made=made.append)
    assert made == list(range(n, 3))
    np.testing.assert_array_equal(store.steps(KEY), steps_of(9))


def test_a_beginning_that_was_damaged_is_made_again(store: StepStore) -> None:
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, 10)
        with pytest.raises(Stopped):
            write(store, KEY, 9)
    part = store.folder / "ab" / f"{KEY}.part"
    content = bytearray(part.read_bytes())
    content[130] ^= 1
    part.write_bytes(content)
    made: list[int] = []
    write(store, KEY, 9, made=made.append)
    assert made == [0, 1, 2]
    assert verify_store(store).problems == ()


def test_a_live_process_keeps_others_out(store: StepStore) -> None:
    begun = KeptRecording(path="night.wav", bytes=99)
    with store.writer(KEY, begun):
        assert [found.is_busy for found in store.unfinished()] == [True]
        with pytest.raises(BusyRecordingError, match=r"night\.wav"), store.writer(KEY, begun):
            pass
        with pytest.raises(BusyRecordingError):
            store.remove([KEY])
    # Nothing was kept, so nothing is left.
    assert store.unfinished() == []
    write(store, KEY, 2)
    with store.writer(KEY, begun) as writer:
        assert writer.is_finished
        assert writer.kept.n_steps == 2


def test_a_recording_is_found_by_its_content(store: StepStore, tmp_path: Path) -> None:
    path = tmp_path / "night.wav"
    content = bytearray(os.urandom(3 << 20))
    path.write_bytes(content)
    key, size = store.key(path)
    assert size == 3 << 20
    assert store.key(path.rename(tmp_path / "moved.wav"))[0] == key
    for place, same in ((0, False), (-1, False), ((1 << 20) + 5, True)):
        changed = bytearray(content)
        changed[place] ^= 1
        path.write_bytes(changed)
        assert (store.key(path)[0] == key) is same
    path.write_bytes(content[:-1])
    assert store.key(path)[0] != key
    other = StepStore.open_for(tmp_path / "other", settings(low_hz=100.0))
    assert other.key(tmp_path / "moved.wav")[0] != key
    with pytest.raises(AudioError, match="no such file"):
        store.key(tmp_path / "gone.wav")


def test_a_store_of_other_settings_is_refused(store: StepStore) -> None:
    with pytest.raises(ScanMismatchError, match=r"low_hz: 0\.0 / 100\.0.*--vectors"):
        StepStore.open_for(store.folder, settings(low_hz=100.0))
    assert StepStore.open_for(store.folder, settings()).settings == store.settings


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match=r"store\.json: cannot be read"):
        StepStore.open(tmp_path)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ScanError, match="--vectors"):
        StepStore.open_for(tmp_path, settings())
    store_file = tmp_path / "store.json"
    plain = json.dumps({"format": "earful-steps", "version": 1, "settings": settings().to_dict()})
    for broken in (
        "nothing",
        "[]",
        plain.replace('"version": 1', '"version": 2'),
        plain.replace("low_hz", "lower_hz"),
        plain.replace('"dim": 4', '"dim": "4"'),
    ):
        store_file.write_text(broken)
        with pytest.raises(ScanError, match=r"store\.json"):
            StepStore.open(tmp_path)


def test_verify_finds_what_is_damaged(store: StepStore, tmp_path: Path) -> None:
    keys = [f"{n:02x}" * 32 for n in range(5)]
    for key in keys:
        write(store, key, 4)
    assert verify_store(store).to_dict() == {
        "n_checked": 5,
        "n_unfinished": 0,
        "n_absent": 5,
        "problems": (),
    }

    def damage(key: str, ending: str, change: bytes | None) -> None:
        path = store.folder / key[:2] / f"{key}{ending}"
        if change is None:
            path.unlink()
        else:
            path.write_bytes(change)

    array = (store.folder / "01" / f"{keys[1]}.npy").read_bytes()
    damage(keys[1], ".npy", array[:-1] + bytes([array[-1] ^ 1]))
    damage(keys[2], ".npy", array[:-DIM])
    damage(keys[3], ".json", None)
    damage(keys[4], ".json", b"{}")
    found = verify_store(store)
    assert [problem.key for problem in found.problems] == keys[1:]
    assert all("earful recordings remove" in problem.what for problem in found.problems)
    assert store.remove(keys[1:]) == 4
    assert verify_store(store).problems == ()
    assert sorted(os.listdir(store.folder)) == ["00", "store.json"]


def test_verify_reads_recordings_when_asked(store: StepStore, tmp_path: Path) -> None:
    path = tmp_path / "night.wav"
    path.write_bytes(bytes(3 << 20))
    key, size = store.key(path)
    write(store, key, 2)
    about = replace(store.about(key), path=str(path), bytes=size, sha256=file_sha256(path))
    about.write(store.folder / key[:2] / f"{key}.json")
    assert verify_store(store, files=True).problems == ()
    content = bytearray(path.read_bytes())
    content[(1 << 20) + 9] = 1
    path.write_bytes(content)
    assert verify_store(store).problems == ()
    (problem,) = verify_store(store, files=True).problems
    assert "changed" in problem.what


def test_verify_reads_recordings_of_any_size(
    store: StepStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, size = tmp_path / "week.wav", 5 << 30
    with open(path, "wb") as file:
        file.truncate(size)
    write(store, KEY, 2)
    about = replace(store.about(KEY), path=str(path), bytes=size, sha256="ef" * 32)
    about.write(store.folder / KEY[:2] / f"{KEY}.json")

    def refuse_or_say(path: str, *, limits: AudioLimits) -> str:
        with open_source(path, max_bytes=limits.max_file_bytes):
            return "ef" * 32

    # Hashing so much would take a while.
    monkeypatch.setattr("earful.index.recordings.verify.file_sha256", refuse_or_say)
    assert verify_store(store, files=True).problems == ()
    small = AudioLimits(max_file_bytes=1 << 32)
    assert verify_store(store, files=True, limits=small).problems
