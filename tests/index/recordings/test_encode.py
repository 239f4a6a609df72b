import errno
import os
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from earful.errors import AudioError, CorpusError, ModelError, ScanError
from earful.index.recordings import (
    EncodedRecording,
    Encoder,
    EncodingProgress,
    FoundRecording,
    Hearing,
    StepStore,
    StoppedError,
    encode_many,
    find_recordings,
    verify_store,
)
from earful.model.audio import stream_blocks
from tests.support.step_stores import LevelSteps, files

RATE = LevelSteps.steps_rate


@pytest.fixture(autouse=True)
def decode_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARFUL_DECODE", "here")
    monkeypatch.setattr(os, "fsync", lambda _: None)


def record(path: Path, seconds: float, *, seed: int = 0, rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * rate))
    soundfile.write(path, samples, rate, subtype="PCM_16")
    return path


def encode(
    paths: list[Path], folder: Path, embedder: Any = None, **given: Any
) -> list[EncodedRecording]:
    hearing = given.pop("hearing", Hearing())
    encoder = Encoder(embedder or LevelSteps(), hearing)
    store = StepStore.open_for(folder, encoder.settings)
    found = [FoundRecording(path=str(path)) for path in paths]
    return list(encode_many(found, store, encoder, **given))


def steps_of(folder: Path, one: EncodedRecording) -> NDArray[np.float16]:
    return np.asarray(StepStore.open(folder).steps(one.key))


@pytest.fixture
def opens(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each recording is decoded."""
    counts: Counter[str] = Counter()
    stream = stream_blocks

    def counting(path: Any, **options: Any) -> Any:
        counts[os.path.basename(path)] += 1
        return stream(path, **options)

    monkeypatch.setattr("earful.index.recordings.encode.stream_blocks", counting)
    return counts


def test_steps_are_those_of_the_whole_recording(tmp_path: Path) -> None:
    path = record(tmp_path / "night.wav", 1500.3)
    (one,) = encode([path], tmp_path / "vectors")
    assert one.kept is not None
    samples, _ = soundfile.read(path, dtype="float32")
    whole = LevelSteps().embed_steps(samples)
    np.testing.assert_allclose(steps_of(tmp_path / "vectors", one), whole, atol=1e-3)
    assert one.kept.duration_s == pytest.approx(1500.3)
    assert one.kept.n_blocks == 3
    assert one.kept.levels.n == samples.size
    assert one.kept.levels.peak == pytest.approx(0.5, abs=0.01)


def test_no_recording_is_decoded_twice(tmp_path: Path, opens: Counter[str]) -> None:
    a, b = record(tmp_path / "a.wav", 3), record(tmp_path / "b.wav", 2, seed=1)
    copy = tmp_path / "copy.wav"
    copy.write_bytes(a.read_bytes())
    told: list[EncodingProgress] = []
    first = encode([a, b, copy], tmp_path / "vectors", on_progress=told.append, jobs=2)
    assert opens == {"a.wav": 1, "b.wav": 1}
    assert [one.same_as for one in first] == ["", "", str(a)]
    assert (told[-1].done, told[-1].total, told[-1].n_kept) == (3, 3, 0)
    assert told[-1].audio_s == pytest.approx(5)
    moved = a.rename(tmp_path / "moved.wav")
    again = encode([moved, b, copy], tmp_path / "vectors")
    assert sum(opens.values()) == 2
    assert all(one.was_kept for one in again)
    assert again[0].kept == first[0].kept


@pytest.mark.slow
def test_a_stopped_recording_goes_on_at_its_block(tmp_path: Path, opens: Counter[str]) -> None:
    path = record(tmp_path / "night.wav", 1500)
    encode([path], tmp_path / "whole")
    stop = threading.Event()

    class Stopping(LevelSteps):
        n_parts = 0

        def embed_steps(self, samples: Any, *, band_hz: Any = None) -> NDArray[np.float32]:
            self.n_parts += 1
            if self.n_parts == 14:
                stop.set()
            return super().embed_steps(samples, band_hz=band_hz)

    embedder = Stopping()
    encoder = Encoder(embedder)
    store = StepStore.open_for(tmp_path / "vectors", encoder.settings)
    key, size = store.key(path)
    with pytest.raises(StoppedError):
        encoder.encode(path, key, size, store, stop=stop)
    assert key not in store
    (begun,) = store.unfinished()
    assert begun.about is not None
    assert begun.about.n_blocks == 1
    embedder.n_parts = 100
    encode([path], tmp_path / "vectors", embedder)
    assert embedder.n_parts == 115  # the 15 minutes that were not kept
    assert files(tmp_path / "vectors") == files(tmp_path / "whole")
    assert opens["night.wav"] == 3


@pytest.mark.slow
@pytest.mark.parametrize("n_cores", [2, 3, 16])
def test_how_many_cores_embed_a_recording_changes_no_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_cores: int
) -> None:
    path = record(tmp_path / "night.wav", 750)
    encode([path], tmp_path / "one", jobs=1)
    monkeypatch.setenv("OMP_NUM_THREADS", str(n_cores))
    shares = iter([n_cores, 1, n_cores, 2] * 10)

    class Uneven(LevelSteps):
        """The earlier parts take longer, so that later ones are done before them."""

        def embed_steps(self, samples: Any, *, band_hz: Any = None) -> NDArray[np.float32]:
            time.sleep(float(abs(samples[0])) / 50)
            return super().embed_steps(samples, band_hz=band_hz)

    encoder = Encoder(Uneven())
    store = StepStore.open_for(tmp_path / "many", encoder.settings)
    key, size = store.key(path)
    heard: list[float] = []
    encoder.encode(path, key, size, store, share=lambda: next(shares), on_audio=heard.append)
    assert files(tmp_path / "many") == files(tmp_path / "one")
    assert sum(heard) == pytest.approx(750, abs=1)


def test_an_embedder_that_fails_ends_the_encoding(tmp_path: Path) -> None:
    class Failing(LevelSteps):
        def embed_steps(self, samples: Any, *, band_hz: Any = None) -> NDArray[np.float32]:
            raise ModelError("not finite")

    path, encoder = record(tmp_path / "night.wav", 300), Encoder(Failing())
    store = StepStore.open_for(tmp_path / "vectors", encoder.settings)
    key, size = store.key(path)
    with pytest.raises(ModelError, match="not finite"):
        encoder.encode(path, key, size, store, share=lambda: 2)


def test_a_failed_recording_costs_itself(tmp_path: Path) -> None:
    good = record(tmp_path / "good.wav", 2)
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"no audio at all")
    empty = tmp_path / "empty.wav"
    empty.touch()
    found = encode([broken, good, empty, tmp_path / "gone.wav"], tmp_path / "vectors")
    assert [bool(one.failed) for one in found] == [True, False, True, True]
    assert not found[0].failed.startswith(str(tmp_path))
    assert verify_store(StepStore.open(tmp_path / "vectors")).n_checked == 1
    assert StepStore.open(tmp_path / "vectors").unfinished() == []


def test_one_that_breaks_off_keeps_what_was_read(tmp_path: Path) -> None:
    path = record(tmp_path / "night.wav", 4)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    (one,) = encode([path], tmp_path / "vectors")
    assert one.kept is not None
    assert one.kept.cut_short.startswith("cut short at 1.99")
    assert len(steps_of(tmp_path / "vectors", one)) in (20, 21)


def test_a_full_disk_stops_and_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [record(tmp_path / f"{n}.wav", 2, seed=n) for n in range(3)]
    write = os.pwrite
    n_writes = 0

    def failing(*arguments: Any) -> int:
        nonlocal n_writes
        n_writes += 1
        if n_writes == 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", failing)
        with pytest.raises(ScanError, match=r"2 recordings are not encoded.*make room for .* MB"):
            encode(paths, tmp_path / "vectors", jobs=1)
    assert [one.was_kept for one in encode(paths, tmp_path / "vectors")] == [True, False, False]


def test_one_that_another_process_is_at_fails_for_now(tmp_path: Path) -> None:
    paths = [record(tmp_path / f"{n}.wav", 2, seed=n) for n in range(2)]
    encoder = Encoder(LevelSteps())
    store = StepStore.open_for(tmp_path / "vectors", encoder.settings)
    from earful.index.recordings import KeptRecording

    key, size = store.key(paths[0])
    with store.writer(key, KeptRecording(path=str(paths[0]), bytes=size)):
        found = encode(paths, tmp_path / "vectors")
    assert [(one.path, bool(one.failed)) for one in found] == [
        (str(paths[1]), False),
        (str(paths[0]), True),
    ]
    assert "another process" in found[1].failed


def test_slowed_recordings_have_the_steps_of_a_slower_file(tmp_path: Path) -> None:
    fast = record(tmp_path / "fast.wav", 4, rate=10 * RATE)
    slow = record(tmp_path / "slow.wav", 40, rate=RATE)
    (one,) = encode([fast], tmp_path / "fast", hearing=Hearing(slow=10))
    (other,) = encode([slow], tmp_path / "slow")
    np.testing.assert_array_equal(
        steps_of(tmp_path / "fast", one), steps_of(tmp_path / "slow", other)
    )
    settings = StepStore.open(tmp_path / "fast").settings
    assert settings.steps_rate == 10 * StepStore.open(tmp_path / "slow").settings.steps_rate


def test_hearing_is_checked() -> None:
    for wrong in ({"low_hz": -1}, {"low_hz": 9.0, "high_hz": 8.0}, {"slow": 0.5}, {"channel": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Hearing(**wrong)
    assert Hearing(low_hz=100).band_hz == (100, np.inf)


def test_recordings_are_found_in_folders(tmp_path: Path) -> None:
    for name in ("b/2.WAV", "b/10.wav", "a.flac", ".hidden/x.wav", "b/.x.wav", "notes.txt"):
        path = tmp_path / "night" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "out.wav").touch()
    (tmp_path / "night/linked.wav").symlink_to(tmp_path / "out.wav")
    (tmp_path / "night/more").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "night/pipe.wav")
    found = find_recordings([tmp_path / "night", tmp_path / "night/a.flac"])
    names = {os.path.relpath(one.path, tmp_path / "night"): one.skipped for one in found}
    assert list(names) == ["more", "a.flac", "linked.wav", "pipe.wav", "b/10.wav", "b/2.WAV"]
    assert [bool(skipped) for skipped in names.values()] == [True, False, True, True, False, False]
    followed = find_recordings([tmp_path / "night"], allow_outside=True)
    assert {os.path.basename(one.path) for one in followed if one.skipped} == {"pipe.wav", "more"}
    # As they were given.
    assert find_recordings([tmp_path / "night/notes.txt"])[0].path.endswith("night/notes.txt")
    with pytest.raises(CorpusError, match=r"gone\.wav: no such file"):
        find_recordings([tmp_path / "gone.wav"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match="no recording"):
        find_recordings([tmp_path / "empty"])


def test_a_missing_channel_is_a_failed_row(tmp_path: Path) -> None:
    (one,) = encode([record(tmp_path / "a.wav", 1)], tmp_path / "v", hearing=Hearing(channel=2))
    assert "--channel" in one.failed
    with pytest.raises(AudioError):
        StepStore.open(tmp_path / "v").key(tmp_path / "gone.wav")
