"""A file that crashes, hangs or bloats its decoder costs one process and gets one error."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earful.errors import AudioError, EarfulError
from earful.index.builder import build_index
from earful.model.audio import (
    AudioLimits,
    load_audio,
    load_isolated,
    probe_isolated,
    stop_decoding,
)
from earful.model.audio.clip import probe_audio
from earful.model.audio.sandbox import isolated
from earful.model.audio.sandbox.connections import TooFewSamplesError, _read_samples
from earful.model.audio.sandbox.pool import WorkerPool
from earful.model.audio.sandbox.worker import ProcessLimits
from tests.support.facilities import needs

RATE = 8000

# The real worker, except that some file names do what a hostile file may do to a decoder.
HOSTILE = """
import os, signal, sys, time
import numpy as np
from earful.model.audio.sandbox import worker_process

load_audio = worker_process.load_audio


def load(path, **options):
    if "crash" in path:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "once" in path and not os.path.exists(path + ".seen"):
        open(path + ".seen", "w").close()
        os.kill(os.getpid(), signal.SIGSEGV)
    if "spin" in path:
        while True:
            pass
    if "wait" in path:
        time.sleep(1000)
    if "bloat" in path:
        np.ones(1 << 30)
    if "bug" in path:
        raise IndexError("list index out of range")
    if "noise" in path:
        os.write(2, b"Error A : 07")
    return load_audio(path, **options)


worker_process.load_audio = load
if __name__ == "__main__":
    worker_process.main(sys.argv[1:])
"""


@pytest.fixture
def hostile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Path]:
    """Make decoders of file names that do harm; return a folder of their own."""
    script = tmp_path / "hostile.py"
    script.write_text(HOSTILE, encoding="utf-8")
    # A busy machine gives a second of processor time in many seconds.
    wall_s = 2.0 if "wait" in request.node.name else 60.0
    # A watchdog sees memory as it is filled, which takes time.
    cpu_s = 20.0 if "bloat" in request.node.name else 1.0
    limits = ProcessLimits(cpu_s=cpu_s, wall_s=wall_s, memory_bytes=1 << 30)
    pool = WorkerPool(limits, [str(script)])
    monkeypatch.setattr(isolated, "_pool", pool)
    monkeypatch.delenv("EARFUL_DECODE", raising=False)
    folder = tmp_path / "sounds"
    folder.mkdir()
    yield folder
    pool.stop()


def write(path: Path, *, seed: int = 0) -> Path:
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, RATE // 4)
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, noise, RATE)
    return path


def test_a_clip_and_a_header_are_those_of_decoding_here(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav")
    there = load_isolated(path, sample_rate=16_000, start_s=0.05, end_s=0.2)
    here = load_audio(path, sample_rate=16_000, start_s=0.05, end_s=0.2)
    assert np.array_equal(there.samples, here.samples)
    assert (there.sample_rate, there.source, there.start_s, there.content_sha256) == (
        (here.sample_rate, here.source, here.start_s, here.content_sha256)
    )
    there.samples[0] = 0.0  # a caller may write to what it was given
    assert probe_isolated(path) == probe_audio(path)


@pytest.mark.parametrize(
    ("options", "says"),
    [({"start_s": 9.0}, "lasts 0.250 s"), ({"limits": AudioLimits(max_duration_s=0.1)}, "0.10 s")],
)
def test_errors_are_those_of_decoding_here(
    tmp_path: Path, options: dict[str, object], says: str
) -> None:
    path = write(tmp_path / "a.wav")
    with pytest.raises(AudioError, match=says) as there:
        load_isolated(path, **options)  # type: ignore[arg-type]
    with pytest.raises(AudioError) as here:
        load_audio(path, **options)  # type: ignore[arg-type]
    assert str(there.value) == str(here.value)


@pytest.mark.slow
def test_one_clip_after_the_other_leaves_nothing_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolated, "_pool", WorkerPool())
    rng = np.random.default_rng(2)
    kept = []
    # The third is so long that its memory is given back.
    for number, n in enumerate((9000, 200, 17 << 20, 40, 9000)):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, rng.uniform(-1, 1, n).astype(np.float32), RATE, subtype="FLOAT")
        kept.append((load_isolated(path, limits=AudioLimits(max_duration_s=9999)), path))
    for clip, path in kept:
        wanted, _ = soundfile.read(path, dtype="float32")
        assert np.array_equal(clip.samples, wanted)
    assert len(isolated._pool._idle) == 1
    isolated._pool.stop()


def test_a_process_that_gives_too_little_is_found_out() -> None:
    file = os.memfd_create("short")
    os.write(file, bytes(12))
    with pytest.raises(TooFewSamplesError, match=r"12 bytes of samples.* 16"):
        _read_samples({"n_samples": 4}, [file])


def test_a_wrong_argument_stays_a_value_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="sample_rate=-1"):
        load_isolated(write(tmp_path / "a.wav"), sample_rate=-1)


def test_paths_are_relative_to_where_the_caller_stands_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe_isolated(write(tmp_path / "first.wav"))
    write(tmp_path / "there" / "a.wav")
    monkeypatch.chdir(tmp_path / "there")
    assert load_isolated("a.wav").duration_s == 0.25


def test_a_name_that_is_not_unicode_arrives(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n.wav"))
    write(tmp_path / "a.wav").rename(path)
    assert load_isolated(path).source == str(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("crash.wav", r"crash\.wav: decoding it crashed \(SIGSEGV\)"),
        ("spin.wav", r"spin\.wav: decoding it took more than 1 s of processor time"),
        ("wait.wav", r"wait\.wav: decoding it took more than 2 s"),
        ("bloat.wav", r"bloat\.wav: decoding it takes more memory than the 1024 MiB"),
        ("bug.wav", r"bug\.wav: its decoder failed \(IndexError: list index out of range\)"),
    ],
)
def test_a_hostile_file_gets_one_error_and_the_next_file_its_clip(
    hostile: Path, name: str, says: str
) -> None:
    bad, good = write(hostile / name), write(hostile / "good.wav")
    with pytest.raises(AudioError, match=says):
        load_isolated(bad)
    assert load_isolated(good).duration_s == 0.25


def test_a_file_is_blamed_only_for_what_it_does_to_a_fresh_process(hostile: Path) -> None:
    assert load_isolated(write(hostile / "once.wav")).duration_s == 0.25


def test_a_process_that_was_warmed_up_takes_the_first_file(hostile: Path) -> None:
    isolated.warm_up()
    isolated.warm_up()
    (warm,) = isolated._pool._idle
    load_isolated(write(hostile / "good.wav"))
    assert isolated._pool._idle == [warm]


def test_libraries_in_c_do_not_write_to_our_standard_error(
    hostile: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    load_isolated(write(hostile / "noise.wav"))
    assert capfd.readouterr().err == ""


@pytest.mark.slow
def test_a_build_goes_on_past_files_that_break_decoders(hostile: Path, tmp_path: Path) -> None:
    for number, name in enumerate(["a", "crash", "b", "spin", "bloat", "bug", "c"]):
        write(hostile / "hum" / f"{name}.wav", seed=number)
    report = build_index(hostile, tmp_path / "index", embedder="logmel")
    assert report.accepted == 3
    assert [Path(item.audio).stem for item in report.rejected] == ["bloat", "bug", "crash", "spin"]


def test_stopping_frees_whoever_waits(hostile: Path) -> None:
    bad = write(hostile / "wait.wav")
    errors: list[Exception] = []

    def wait() -> None:
        try:
            load_isolated(bad)
        except AudioError as error:
            errors.append(error)

    load_isolated(write(hostile / "good.wav"))
    thread = threading.Thread(target=wait)
    thread.start()
    while not isolated._pool._busy:
        time.sleep(0.01)
    stop_decoding()
    thread.join(timeout=2)
    assert "was stopped" in str(errors[0])
    assert load_isolated(hostile / "good.wav").duration_s == 0.25


def test_many_threads_get_their_own_files(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{number}.wav", seed=number) for number in range(40)]
    found: dict[Path, bool] = {}

    def check(mine: list[Path]) -> None:
        for path in mine:
            found[path] = np.array_equal(load_isolated(path).samples, load_audio(path).samples)

    threads = [threading.Thread(target=check, args=(paths[first::4],)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(found.values()) == [True] * 40


def test_no_process_outlives_the_one_it_decodes_for(hostile: Path, tmp_path: Path) -> None:
    """Killed in the middle of a file, too, when nobody is left to end them."""
    path = write(hostile / "wait.wav")
    script = f"""
import threading, time
from earful.model.audio.sandbox import isolated
from earful.model.audio.sandbox.pool import WorkerPool
isolated._pool = WorkerPool(command=[{str(tmp_path / "hostile.py")!r}])
threading.Thread(target=isolated.load_isolated, args=({str(path)!r},), daemon=True).start()
while not any(worker.is_ready for worker in isolated._pool._busy):
    time.sleep(0.01)
print(*[worker.pid for worker in isolated._pool._busy], flush=True)
time.sleep(100)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while Path(f"/proc/{worker}").exists() and time.monotonic() < deadline:
        if "Z" in Path(f"/proc/{worker}/stat").read_text(encoding="ascii").split(")")[1].split()[0]:
            break
        time.sleep(0.02)
    else:
        assert not Path(f"/proc/{worker}").exists()


@needs("fork")
def test_a_forked_child_has_processes_of_its_own(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav")
    script = f"""
import os
from earful.model.audio.sandbox import isolated
from earful.model.audio.sandbox.pool import WorkerPool
isolated.load_isolated({str(path)!r})
ours = isolated._pool._idle[0].pid
child = os.fork()
isolated.load_isolated({str(path)!r})
theirs = isolated._pool._idle[0].pid
if not child:
    os._exit(0 if theirs != ours else 1)
assert theirs == ours
assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_process_that_cannot_be_started_is_no_files_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolated, "_pool", WorkerPool(command=["-c", "raise SystemExit(7)"]))
    path = write(tmp_path / "a.wav")
    with pytest.raises(EarfulError, match=r"exit status 7.*EARFUL_DECODE=here") as told:
        load_isolated(path)
    assert not isinstance(told.value, AudioError)
    monkeypatch.setenv("EARFUL_DECODE", "here")
    assert load_isolated(path).duration_s == 0.25


def test_modules_in_the_working_folder_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "soundfile.py").write_text("raise SystemExit('a stranger ran')", encoding="utf-8")
    path = write(tmp_path / "a.wav")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(isolated, "_pool", WorkerPool())
    assert load_isolated(path).duration_s == 0.25
    isolated.stop_decoding()
