"""A build killed with SIGKILL loses nothing it has acknowledged, and the rerun completes."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earful.errors import IndexFolderError
from earful.index.build import BuildOptions, build_index
from earful.index.corpus import open_corpus
from earful.index.store import Index

N_FILES = 60
N_TRIALS = 20
RATE = 8000

# The embedder stands in a file of its own, so that the child and this test share it.
EMBEDDER = '''
import time
import numpy as np
from earful.model.protocols import Fingerprint


class Slow:
    """The first two samples of a clip, as a direction; a fixed time a batch."""

    fingerprint = Fingerprint(
        name="slow", revision="", weights_sha256="", dim=2, sample_rate=8000, windowing="whole"
    )

    def __init__(self, seconds):
        self.seconds = seconds
        self.n_clips = 0

    def embed(self, clips):
        time.sleep(self.seconds)
        self.n_clips += len(clips)
        vectors = np.stack([clip.samples[:2] for clip in clips])
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
'''
# LanceDB takes seconds to import and starts threads, which a fork would lose: one process
# imports what LanceDB needs, and each build is a fork of it that imports the rest.
NURSERY = """
import os
import sys
import lance_namespace, pyarrow.dataset, pydantic, soundfile, soxr
from slow_embedder import Slow
from earful.index.build import BuildOptions, build_index


def say(word, number):
    os.write(1, b"%s %d\\n" % (word, number))


def build(corpus, index):
    import lancedb

    say(b"pid", os.getpid())
    build_index(
        corpus,
        index,
        embedder=Slow(0.01),
        options=BuildOptions(batch_clips=4, commit_rows=4, n_decoders=2),
        progress=lambda progress: say(b"safe", progress.skipped + progress.committed),
    )


for line in sys.stdin:
    pid = os.fork()
    if not pid:
        build(sys.argv[1], line.rstrip("\\n"))
        os._exit(0)
    say(b"end", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "sounds"
    for number in range(N_FILES):
        (folder / f"label{number % 5}").mkdir(parents=True, exist_ok=True)
        angle = 0.1 + number / N_FILES
        samples = np.array([np.cos(angle), np.sin(angle)] * 100, dtype=np.float32)
        path = folder / f"label{number % 5}/{number:02}.wav"
        soundfile.write(path, samples, RATE, subtype="FLOAT")
    (tmp_path / "slow_embedder.py").write_text(EMBEDDER)
    (tmp_path / "nursery.py").write_text(NURSERY)
    return folder


class Nursery:
    """Starts builds, one at a time, and kills them."""

    def __init__(self, folder: Path, corpus: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "nursery.py", str(corpus)],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )

    def build(self, index: Path, *, kill_at: tuple[int, float] | None = None) -> tuple[int, int]:
        """Build.

        Args:
            index: The index folder.
            kill_at: How many of the corpus's first rows are said to be safe, and how many
                seconds later it is killed.

        Returns:
            ``(code, n)``: the exit code of the build, ``-SIGKILL`` if it was killed, and
            how many of the corpus's first rows it has said to be safe.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{index}\n")
        self._process.stdin.flush()
        n_safe = pid = 0
        killer = None
        for line in self._process.stdout:
            word, _, number = line.partition(" ")
            if word == "pid":
                pid = int(number)
            elif word == "safe":
                n_safe = int(number)
            elif word == "end":
                if killer is not None:
                    killer.cancel()
                return int(number), n_safe
            if kill_at is not None and killer is None and n_safe >= kill_at[0]:
                killer = threading.Timer(kill_at[1], os.kill, (pid, signal.SIGKILL))
                killer.start()
        raise AssertionError("the nursery ended")

    def close(self) -> None:
        self._process.communicate(timeout=60)


@pytest.mark.slow
def test_a_killed_build_loses_no_acknowledged_row_and_the_rerun_completes(
    tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    from slow_embedder import Slow  # type: ignore[import-not-found]

    order = [row.exemplar.id for row in open_corpus(corpus)]
    whole = tmp_path / "whole"
    nursery = Nursery(tmp_path, corpus)
    nursery.build(tmp_path / "warm")
    began = time.monotonic()
    assert nursery.build(whole) == (0, N_FILES)
    commit_s = (time.monotonic() - began) / (N_FILES / 4)

    moments = random.Random(20)
    n_index = n_killed = n_partial = n_stored = 0
    index = tmp_path / "index0"
    for trial in range(N_TRIALS):
        n_before = n_stored
        # Every fourth is killed while it makes or opens the index, the others further on.
        if trial % 4:
            last = max(n_before + 1, N_FILES - 4)
            kill_at = (moments.randrange(n_before, last), moments.uniform(0, commit_s))
        else:
            kill_at = (0, moments.uniform(0, 2 * commit_s))
        code, n_safe = nursery.build(index, kill_at=kill_at)
        assert code in (0, -signal.SIGKILL)
        n_killed += code != 0
        stored = stored_ids(index)
        n_stored = len(stored)
        assert len(set(stored)) == n_stored
        # Rows are committed in the corpus's order; one commit of 4 may not have been told.
        assert set(stored) == set(order[:n_stored])
        assert max(n_before, n_safe) <= n_stored <= max(n_before, n_safe) + 4
        n_partial += n_before < n_stored < N_FILES
        if n_stored == N_FILES:
            n_index, n_stored = n_index + 1, 0
            index = tmp_path / f"index{n_index}"
    nursery.close()
    # Otherwise the moments were badly chosen and nothing was shown.
    assert n_killed >= N_TRIALS // 2
    assert n_partial >= N_TRIALS // 4

    for number in range(n_index + 1):
        path = tmp_path / f"index{number}"
        n_before = len(stored_ids(path))
        embedder = Slow(0.0)
        options = BuildOptions(batch_clips=4, commit_rows=4)
        report = build_index(corpus, path, embedder=embedder, options=options)
        assert (report.skipped, report.n) == (n_before, N_FILES)
        assert report.accepted == embedder.n_clips == N_FILES - n_before
        assert_equal(Index.open(path), Index.open(whole))


def stored_ids(index: Path) -> list[str]:
    """Return the ids in the table; none when the kill came before there was an index."""
    try:
        opened = Index.open(index)
    except IndexFolderError:
        assert not (index / "index.json").exists()
        return []
    # A kill between a commit and the header leaves the header's counts behind, no more.
    assert [problem for problem in opened.verify().problems if problem.id] == []
    ids: list[str] = opened.read_table(["id"]).column("id").to_pylist()
    return ids


def assert_equal(found: Index, wanted: Index) -> None:
    assert found.verify().problems == ()
    assert found.vectors().exemplars == wanted.vectors().exemplars
    assert len(found.vectors().exemplars) == N_FILES
    np.testing.assert_array_equal(found.vectors().vectors, wanted.vectors().vectors)
