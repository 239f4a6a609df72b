"""Killed with SIGKILL anywhere, nothing that was acknowledged is lost, and a rerun finishes.

Moments are drawn over the whole of an unkilled run and a little beyond. What a job has
acknowledged is what it had told this process before it was killed. Killed jobs are run again,
under the same threat, until they are done; then all is as after a run that nobody killed.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from earful.errors import ModelError
from earful.index import Index, verify_index
from earful.index.corpus import open_corpus
from earful.index.storage import IndexFolder
from earful.model.flamingo.checkpoint import open_flamingo_folder, verify_flamingo_folder
from earful.model.flamingo.checkpoint.folder import old_folder

pytestmark = [pytest.mark.slow, pytest.mark.trial, pytest.mark.timeout(900)]

Keep = Callable[..., None]

NURSERY = Path(__file__).with_name("nursery.py")
RATE = 8000
N_GOOD = 40
N_COPIES = 4
N_STEPS = 8
COMMIT_ROWS = 4
# From here on nothing says that a process should still be there.
END_OF_ORPHANS_S = 10.0
# No job takes that long.
LONGEST_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a job ended, what it had acknowledged, and how long it took."""

    code: int
    safe: int
    seconds: float

    @property
    def was_killed(self) -> bool:
        return self.code != 0


class Nursery:
    """Runs jobs in forks of a process that has imported everything, and kills them."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(NURSERY)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        self._n_jobs = 0
        self.orphans = 0

    def run(
        self, job: str, *, kill_after_s: float | None = None, apart: bool = False, **arguments: Any
    ) -> Ended:
        """Run a job.

        Args:
            job: A name of ``nursery.JOBS``.
            kill_after_s: Seconds from its beginning, imports apart, until it is killed.
            apart: Whether recordings are decoded in processes of their own; those must not
                outlive the job.
            arguments: Of the job.
        """
        self._n_jobs += 1
        mark = f"{self._process.pid}-{self._n_jobs}"
        environment = {"EARFUL_TRIAL": mark, "EARFUL_DECODE": "apart" if apart else "here"}
        self._send({"job": job, "arguments": arguments, "environment": environment})
        pid = safe = 0
        began = time.monotonic()
        killer: threading.Timer | None = None
        for word, number in self._answers():
            if word == "pid":
                pid = number
            elif word == "begin":
                began = time.monotonic()
                after_s = LONGEST_S if kill_after_s is None else kill_after_s
                killer = threading.Timer(after_s, kill, (pid,))
                killer.start()
            elif word == "safe":
                safe = number
            else:
                seconds = time.monotonic() - began
                if killer is not None:
                    killer.cancel()
                    killer.join()
                allowed = (0,) if kill_after_s is None else (0, -signal.SIGKILL)
                assert number in allowed, f"{job} ended with {number}"
                assert not orphans_of(mark), f"orphans of {job}"
                return Ended(code=number, safe=safe, seconds=seconds)
        raise AssertionError("the nursery ended")

    def close(self) -> None:
        self._process.communicate(timeout=60)

    def _send(self, told: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()

    def _answers(self) -> Iterator[tuple[str, int]]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            word, _, number = line.partition(" ")
            yield word, int(number)


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):  # it may have just ended
        os.kill(pid, signal.SIGKILL)


def orphans_of(mark: str) -> list[int]:
    """Return the processes that a job started and that do not end by themselves."""
    until = time.monotonic() + END_OF_ORPHANS_S
    while found := _started_by(mark):
        if time.monotonic() > until:
            return found
        time.sleep(0.02)
    return []


def _started_by(mark: str) -> list[int]:
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"EARFUL_TRIAL={mark}\0".encode() in environment.read_bytes():
                found.append(int(environment.parent.name))
        except OSError:  # another user's, or gone
            continue
    return found


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    started = Nursery()
    yield started
    started.close()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings of two samples that tell, four of them twice, and three that are none."""
    folder = tmp_path_factory.mktemp("sounds")
    for number in range(N_GOOD):
        angle = 0.1 + number / N_GOOD
        samples = np.array([np.cos(angle), np.sin(angle)] * 100, dtype=np.float32)
        path = folder / f"label{number % 4}/{number // 4:02}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, samples, RATE, subtype="FLOAT")
    for number in range(N_COPIES):
        shutil.copy(folder / f"label0/{number:02}.wav", folder / f"label3/copy{number}.wav")
    for number in range(3):
        (folder / f"label{number}/broken.wav").write_bytes(b"no audio at all")
    return folder


@pytest.fixture(scope="module")
def whole(nursery: Nursery, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The index that a build makes when nobody kills it."""
    path = tmp_path_factory.mktemp("whole") / "sounds.index"
    assert nursery.run("build", corpus=str(corpus), index=str(path)).safe == N_GOOD + N_COPIES
    return path


def contents(index: Index) -> dict[str, object]:
    """Return all that an index holds of its rows; none is there twice."""
    ids = index.read_table(["id"]).column("id").to_pylist()
    assert len(ids) == len(set(ids)), "a row is there twice"
    rows = index.vectors()
    return {
        exemplar.id: (exemplar, vector.tobytes(), content)
        for exemplar, vector, content in zip(
            rows.exemplars, rows.vectors, rows.content, strict=True
        )
    }


def require_same(found: object, wanted: object) -> None:
    """Compare without showing: a diff of so much would take minutes."""
    same = found == wanted
    assert same, "not what an unkilled run gives"


def assert_same_index(found: Path, wanted: Path) -> None:
    one, other = Index.open(found), Index.open(wanted)
    assert verify_index(one).problems == verify_index(other).problems == ()
    require_same(contents(one), contents(other))
    assert one.rejections() == other.rejections()
    assert (one.info.n, one.info.labels) == (other.info.n, other.info.labels)


@dataclass(kw_only=True)
class Counts:
    """What is kept of a series of trials."""

    trials: int = 0
    killed: int = 0
    acknowledged: int = 0
    finished: int = 0

    def moment(self, moments: random.Random, seconds: float) -> float | None:
        """Draw when to kill the next run, which takes so long when nobody does.

        Every eighth is left alone: a machine that has become slower would never see one end.
        """
        return None if self.trials % 8 == 7 else moments.uniform(0, 1.1 * seconds)

    def note(self, ended: Ended) -> None:
        self.trials += 1
        self.killed += ended.was_killed

    def keep(self, keep_figures: Keep, name: str, unit: str = "rows") -> None:
        """Keep them; without a unit for jobs that acknowledge nothing before they end."""
        # Otherwise the moments were badly chosen, and nothing was shown.
        assert self.killed >= self.trials // 8
        assert self.finished >= 2
        acknowledged = {f"{unit}_acknowledged": self.acknowledged} if unit else {}
        keep_figures(
            name,
            trials=self.trials,
            killed=self.killed,
            reruns_finished=self.finished,
            **acknowledged,
        )


# --- an index ------------------------------------------------------------------------------


def kill_builds(
    nursery: Nursery,
    corpus: Path,
    whole: Path,
    folder: Path,
    *,
    n: int,
    seed: int,
    job: str = "build",
    apart: bool = False,
) -> Counts:
    wanted = contents(Index.open(whole))
    order = [row.exemplar.id for row in open_corpus(corpus) if row.exemplar.id in wanted]
    told: dict[str, Any] = {"corpus": str(corpus)}
    seconds = min(
        nursery.run("build", index=str(folder / f"unkilled{n}"), apart=apart, **told).seconds
        for n in range(2)
    )
    moments = random.Random(seed)
    counts = Counts()
    index, before = folder / "index0", 0
    while counts.trials < n or before:
        after_s = counts.moment(moments, seconds)
        ended = nursery.run(job, index=str(index), kill_after_s=after_s, apart=apart, **told)
        counts.note(ended)
        rows = stored(index)
        # Rows are committed in the corpus's order; one commit may not have been told.
        assert len(rows) >= max(before, ended.safe), "an acknowledged row is lost"
        require_same(rows, {id_: wanted[id_] for id_ in order[: len(rows)]})
        assert len(rows) <= max(before, ended.safe) + COMMIT_ROWS
        counts.acknowledged += max(0, ended.safe - before)
        before = len(rows)
        if not ended.was_killed:
            assert_same_index(index, whole)
            counts.finished += 1
            shutil.rmtree(index)
            index, before = folder / f"index{counts.finished}", 0
    return counts


def stored(index: Path) -> dict[str, object]:
    """Return the rows of an index; none when the kill came before there was one."""
    return contents(Index.open(index)) if (index / "index.json").exists() else {}


@pytest.mark.parametrize("apart", [False, True], ids=["here", "apart"])
def test_killed_builds(
    nursery: Nursery,
    corpus: Path,
    whole: Path,
    tmp_path: Path,
    keep_figures: Keep,
    *,
    apart: bool,
) -> None:
    n = 30 if apart else 100
    counts = kill_builds(nursery, corpus, whole, tmp_path, n=n, seed=20 + apart, apart=apart)
    counts.keep(keep_figures, "kills-build-decoding-apart" if apart else "kills-build")


@pytest.mark.parametrize("job", ["add", "remove"])
def test_killed_changes(
    nursery: Nursery, whole: Path, tmp_path: Path, keep_figures: Keep, job: str
) -> None:
    states = [contents(Index.open(whole))]
    for step in range(N_STEPS):
        index = shutil.copytree(whole, tmp_path / f"state{step}")
        seconds = nursery.run(job, index=str(index), n_steps=step + 1).seconds
        states.append(contents(Index.open(index)))
    assert len({len(state) for state in states}) == N_STEPS + 1
    moments = random.Random(21)
    counts = Counts()
    index, before = shutil.copytree(whole, tmp_path / "index0"), 0
    while counts.trials < 40 or before:
        after_s = counts.moment(moments, seconds)
        ended = nursery.run(job, index=str(index), n_steps=N_STEPS, kill_after_s=after_s)
        counts.note(ended)
        found = contents(Index.open(index))
        n_done = next(n for n, state in enumerate(states) if state == found)
        assert max(before, ended.safe) <= n_done <= max(before, ended.safe) + 1
        counts.acknowledged += (2 if job == "remove" else 3) * max(0, ended.safe - before)
        before = n_done
        if not ended.was_killed:
            assert_same_index(index, tmp_path / f"state{N_STEPS - 1}")
            counts.finished += 1
            shutil.rmtree(index)
            index, before = shutil.copytree(whole, tmp_path / f"index{counts.finished}"), 0
    counts.keep(keep_figures, f"kills-{job}")


def test_killed_compactions(
    nursery: Nursery, whole: Path, tmp_path: Path, keep_figures: Keep
) -> None:
    wanted = contents(Index.open(whole))
    warm = shutil.copytree(whole, tmp_path / "warm")
    seconds = nursery.run("compact", index=str(warm)).seconds
    moments = random.Random(22)
    counts = Counts()
    index = shutil.copytree(whole, tmp_path / "index0")
    while counts.trials < 40:
        after_s = counts.moment(moments, seconds)
        ended = nursery.run("compact", index=str(index), kill_after_s=after_s)
        counts.note(ended)
        require_same(contents(Index.open(index)), wanted)
        if not ended.was_killed:
            assert_same_index(index, whole)
            counts.finished += 1
            shutil.rmtree(index)
            index = shutil.copytree(whole, tmp_path / f"index{counts.finished}")
    counts.keep(keep_figures, "kills-compact", unit="")


def test_killed_repairs(
    nursery: Nursery, corpus: Path, whole: Path, tmp_path: Path, keep_figures: Keep
) -> None:
    wanted = contents(Index.open(whole))
    order = [row.exemplar.id for row in open_corpus(corpus) if row.exemplar.id in wanted]
    damaged = tmp_path / "damaged"
    shutil.copytree(corpus, damaged / "sounds")
    index = damaged / "sounds.index"
    nursery.run("build", **parts(damaged))
    first = min(index.glob("table/*/data/*"), key=lambda path: path.stat().st_mtime_ns)
    first.write_bytes(first.read_bytes()[:100])
    # Only the rows of the first commit can be embedded again: the others must be kept.
    for id_ in order[COMMIT_ROWS:]:
        (damaged / "sounds" / id_).unlink()
    warm = shutil.copytree(damaged, tmp_path / "warm")
    seconds = nursery.run("repair", **parts(warm)).seconds
    moments = random.Random(29)
    counts = Counts()
    place = shutil.copytree(damaged, tmp_path / "place0")
    while counts.trials < 20 or counts.finished < 2:
        after_s = counts.moment(moments, seconds)
        ended = nursery.run("repair", kill_after_s=after_s, **parts(place))
        counts.note(ended)
        if not ended.was_killed:
            require_same(contents(Index.open(place / "sounds.index")), wanted)
            counts.finished += 1
            shutil.rmtree(place)
            place = shutil.copytree(damaged, tmp_path / f"place{counts.finished}")
    counts.keep(keep_figures, "kills-repair", unit="")


def parts(folder: Path) -> dict[str, Any]:
    return {"corpus": str(folder / "sounds"), "index": str(folder / "sounds.index")}


# --- what is kept beside it, and other files -----------------------------------------------


def test_killed_features(nursery: Nursery, whole: Path, tmp_path: Path, keep_figures: Keep) -> None:
    model = tmp_path / "flamingo"
    nursery.run("convert", folder=str(model), seed=0)
    warm = shutil.copytree(whole, tmp_path / "warm")
    seconds = nursery.run("features", index=str(warm), model=str(model)).seconds
    wanted = kept_features(warm)
    rows = IndexFolder.open(whole).rows(contents(Index.open(whole)))
    order = [row.content_sha256 for row in rows.values()]
    moments = random.Random(23)
    counts = Counts()
    index, before = shutil.copytree(whole, tmp_path / "index0"), 0
    while counts.trials < 20 or before:
        after_s = counts.moment(moments, seconds)
        ended = nursery.run("features", index=str(index), model=str(model), kill_after_s=after_s)
        counts.note(ended)
        found = kept_features(index)
        require_same(found, {name: wanted.get(name) for name in found})
        missing = set(order[: ended.safe]) - {Path(name).stem[:64] for name in found}
        assert not missing, "kept features are lost"
        counts.acknowledged += max(0, ended.safe - before)
        before = len(found)
        if not ended.was_killed:
            require_same(found, wanted)
            counts.finished += 1
            shutil.rmtree(index)
            index, before = shutil.copytree(whole, tmp_path / f"index{counts.finished}"), 0
    counts.keep(keep_figures, "kills-features", "features")


def kept_features(index: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (index / "features").rglob("*.npy")}


def kill_conversions(
    nursery: Nursery, folder: Path, *, n: int, seed: int, job: str = "convert"
) -> Counts:
    digests = []
    for number in range(2):
        unkilled = folder / f"unkilled{number}"
        seconds = nursery.run("convert", folder=str(unkilled), seed=number).seconds
        digests.append(whole_model(unkilled))
    moments = random.Random(seed)
    counts = Counts()
    place = folder / "models/flamingo"
    place.parent.mkdir()
    while counts.trials < n or not counts.finished:
        target = counts.finished % 2
        after_s = counts.moment(moments, seconds)
        ended = nursery.run(job, folder=str(place), seed=target, kill_after_s=after_s)
        counts.note(ended)
        counts.acknowledged += ended.safe
        if place.exists():
            found = digests.index(whole_model(place))
            assert found == target or not ended.safe
        elif counts.finished:
            # Between two renames; what stood there waits for the next conversion.
            assert whole_model(old_folder(place)) == digests[1 - target]
        if not ended.was_killed:
            assert os.listdir(place.parent) == ["flamingo"]
            assert whole_model(place) == digests[target]
            counts.finished += 1
    return counts


def whole_model(folder: Path) -> str:
    """Return the digest of a converted model that is all there."""
    try:
        problems = verify_flamingo_folder(folder)
        digest = open_flamingo_folder(folder).weights_sha256
    except ModelError as error:
        problems, digest = (str(error),), ""
    assert problems == (), "half a model"
    return digest


def test_killed_conversions(nursery: Nursery, tmp_path: Path, keep_figures: Keep) -> None:
    counts = kill_conversions(nursery, tmp_path, n=60, seed=24)
    counts.keep(keep_figures, "kills-convert", "models")


def kill_evaluations(
    nursery: Nursery, whole: Path, folder: Path, *, n: int, seed: int, job: str = "evaluate"
) -> Counts:
    unkilled = folder / "unkilled.json"
    seconds = nursery.run("evaluate", index=str(whole), out=str(unkilled)).seconds
    wanted = without_timings(unkilled)
    moments = random.Random(seed)
    counts = Counts()
    out, before = folder / "runs/run.json", 0
    out.parent.mkdir()
    while counts.trials < n or before:
        after_s = counts.moment(moments, seconds)
        ended = nursery.run(job, index=str(whole), out=str(out), kill_after_s=after_s)
        counts.note(ended)
        if out.exists():
            require_same(without_timings(out), wanted)
        else:
            items = answered(out.with_name("run.json.partial"))
            assert len(items) == len(set(items)), "an answer is there twice"
            assert len(items) >= max(before, ended.safe), "an acknowledged answer is lost"
            assert len(items) <= max(before, ended.safe) + 1
            counts.acknowledged += max(0, ended.safe - before)
            before = len(items)
        if not ended.was_killed:
            assert os.listdir(out.parent) == ["run.json"]
            counts.finished += 1
            out.unlink()
            before = 0
    return counts


def answered(partial: Path) -> list[str]:
    """Return the items that a partial has whole lines of."""
    if not partial.exists():
        return []
    whole_lines = partial.read_text().split("\n")[1:-1]
    return [json.loads(line)["item"] for line in whole_lines]


def without_timings(run: Path) -> str:
    """Return a run's file with its timings set to zero, otherwise as it is."""
    document = json.loads(run.read_text())
    document["embedding_s"] = 0.0
    for row in document["rows"]:
        row["spent_s"] = 0.0
    return json.dumps(document, indent=1)


def test_killed_evaluations(
    nursery: Nursery, whole: Path, tmp_path: Path, keep_figures: Keep
) -> None:
    counts = kill_evaluations(nursery, whole, tmp_path, n=60, seed=25)
    counts.keep(keep_figures, "kills-evaluate", "answers")


# --- these trials can fail -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("job", "told"),
    [
        ("build_boasting", "an acknowledged row is lost"),
        ("build_doubling", "a row is there twice"),
        ("build_leaving", "orphans of build_leaving"),
    ],
)
def test_a_broken_build_is_found_out(
    nursery: Nursery,
    corpus: Path,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    job: str,
    told: str,
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "END_OF_ORPHANS_S", 0.5)
    with pytest.raises(AssertionError, match=told):
        kill_builds(nursery, corpus, whole, tmp_path, n=60, seed=26, job=job)


def test_a_converter_that_writes_in_place_is_found_out(nursery: Nursery, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="half a model"):
        kill_conversions(nursery, tmp_path, n=60, seed=27, job="convert_in_place")


def test_a_run_that_is_rewritten_is_found_out(
    nursery: Nursery, whole: Path, tmp_path: Path
) -> None:
    with pytest.raises(AssertionError, match="an acknowledged answer is lost"):
        kill_evaluations(nursery, whole, tmp_path, n=60, seed=28, job="evaluate_rewriting")
