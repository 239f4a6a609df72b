"""Jobs that run on one index at the same time, for ``reliability/test_races.py``.

Each job is a process: slow imports are made once, here, and then forked.
They come as JSON; what each counted is written beside the index. Readers go on until all
writers are done.
"""

import hashlib
import json
import os
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path, PurePosixPath
from time import sleep

import lancedb  # noqa: F401 - so that no fork has to import it
import numpy as np

from earful.errors import IndexBusyError
from earful.index import Index
from earful.index.builder import BuildOptions, build_index
from earful.index.corpus import Exemplar
from earful.index.storage import Row, table
from tests.support.small_corpus import DIM, Samples

warnings.filterwarnings("ignore", message="lancedb fork support")

STEP_ROWS = 3
AUDIO = b"the bytes of a recording"


def rows(root: Path, name: str, step: int) -> list[Row]:
    """Rows of one commit, whose vectors follow from their ids."""
    made = []
    for number in range(STEP_ROWS):
        id_ = f"{name}-{step:03}-{number}"
        drawn = np.random.default_rng([*id_.encode()]).standard_normal(DIM)
        made.append(
            Row(
                exemplar=Exemplar(id=id_, audio=PurePosixPath("one.wav"), labels=("dog",)),
                root=root,
                duration_s=1.0,
                file_sha256=hashlib.sha256(AUDIO).hexdigest(),
                content_sha256="0" * 64,
                vector=(drawn / np.linalg.norm(drawn)).astype(np.float32),
            )
        )
    return made


def until_free(write: Callable[[], object], counts: Counter[str]) -> None:
    """Write as soon as nobody else does."""
    while True:
        try:
            write()
        except IndexBusyError:
            counts["told_busy"] += 1
            sleep(0.002)
        else:
            counts["commits"] += 1
            return


def add(index: Path, counts: Counter[str], name: str, n_steps: int) -> None:
    opened = Index.open(index)
    for step in range(n_steps):
        made = rows(index.parent, name, step)
        until_free(lambda made=made: opened.add(made), counts)  # type: ignore[misc]


def add_and_remove(index: Path, counts: Counter[str], name: str, n_steps: int) -> None:
    """Add the commits that another process adds too, and remove them again."""
    opened = Index.open(index)
    for step in range(n_steps):
        made = rows(index.parent, name, step)
        until_free(lambda made=made: opened.add(made), counts)  # type: ignore[misc]
        ids = [row.exemplar.id for row in made]
        until_free(lambda ids=ids: opened.remove(ids), counts)  # type: ignore[misc]


def compact(index: Path, counts: Counter[str], name: str, n_steps: int) -> None:
    opened = Index.open(index)
    for _ in range(n_steps):
        until_free(opened.compact, counts)
        sleep(0.05)


def build(index: Path, counts: Counter[str], name: str, n_steps: int) -> None:
    options = BuildOptions(commit_rows=4, batch_clips=4, n_decoders=1)
    corpus = index.parent / name
    until_free(lambda: build_index(corpus, index, embedder=Samples(), options=options), counts)


def read(index: Path, counts: Counter[str], name: str, n_steps: int) -> None:
    """Search on and on: of every commit all rows are found or none, each as it was written."""
    opened = Index.open(index)
    query = rows(index.parent, "q", 0)[0].vector
    while not (index.parent / "stop").exists():
        if counts["reads"] % 3:
            # What was read before has to go on, too, so it is not renewed every time.
            opened.refresh()
        hits = opened.search(query, k=10_000, backend=name)  # type: ignore[arg-type]
        counts["reads"] += 1
        n_rows: Counter[str] = Counter()
        for hit in hits:
            commit, _, number = hit.exemplar.id.rpartition("-")
            n_rows[commit] += 1
            source, _, step = commit.rpartition("-")
            vector = rows(index.parent, source, int(step))[int(number)].vector
            assert abs(hit.similarity - float(vector @ query)) < 1e-5
        if name != "approximate":
            assert set(n_rows.values()) <= {STEP_ROWS}, n_rows
        counts["most_rows"] = max(counts["most_rows"], len(hits))


def run(index: Path, number: int, job: dict[str, object]) -> int:
    """Do a job in a fork of this process."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        counts: Counter[str] = Counter()
        kind = {job.__name__: job for job in (add, add_and_remove, compact, build, read)}
        kind[str(job["do"])](index, counts, str(job["name"]), int(str(job.get("n", 0))))
        (index.parent / f"counts-{number}.json").write_text(json.dumps(counts))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def main() -> None:
    # Readers of an old version lose it at once, not after an hour.
    table._KEEP_VERSIONS = timedelta(milliseconds=1)
    index, jobs = Path(sys.argv[1]), json.loads(sys.argv[2])
    pids = [run(index, number, job) for number, job in enumerate(jobs)]
    is_reader = [job["do"] == "read" for job in jobs]
    codes = [os.waitpid(pid, 0)[1] for pid, reads in zip(pids, is_reader, strict=True) if not reads]
    (index.parent / "stop").touch()
    codes += [os.waitpid(pid, 0)[1] for pid, reads in zip(pids, is_reader, strict=True) if reads]
    sys.exit(any(codes))


if __name__ == "__main__":
    main()
