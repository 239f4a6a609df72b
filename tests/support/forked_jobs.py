"""A process that runs jobs one by one, each in a fork that may be killed.

Started by ``killed_jobs.py``, for ``reliability/test_kills_*.py``.

Slow imports are made once, here. LanceDB's threads do not come along into
a fork, and it starts new ones there, which is safe while it is idle. A job is a line of JSON
on standard input. Answers are lines, a word and a number: ``pid``; ``begin``; ``safe``, how
much the job has acknowledged; ``end``, how it ended.

The last jobs are broken on purpose: the trials have to find that out.
"""

import atexit
import json
import os
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import lancedb  # noqa: F401 - so that no fork has to import it
import numpy as np
from numpy.typing import NDArray

from earful.index import Index
from earful.index.builder import BuildOptions, build_index
from earful.index.builder.report import BuildProgress
from earful.index.corpus import open_corpus
from earful.index.distributed import Shard, Staging, UnitDriver, embed_rows, merge_indexes
from earful.index.distributed import merge as merge_module
from earful.index.maintenance import repair_index
from earful.index.recordings import SampleLevels, Steps, StepStore, StepWriter
from earful.index.storage import IndexedRows, IndexFolder, Row, Table
from earful.model import Fingerprint, ScriptedLanguageModel
from earful.model.audio import Clip
from earful.model.flamingo.checkpoint import FolderWriter, load_flamingo, writer
from earful.rag import FewShot
from earful.rag.evaluation import EvaluationSettings
from earful.rag.evaluation import evaluate as ask_every_arm
from earful.rag.evaluation.run_file import RunFile
from earful.rag.generation import precompute_features
from earful.rag.scan import ScanOptions, vectors_folder
from earful.rag.scan import scan as scan_for_sounds
from earful.rag.task import Task
from earful.testing import write_flamingo
from tests.support import sharing_jobs
from tests.support.labelling_jobs import labelling, labelling_hasty
from tests.support.step_stores import LevelSteps

warnings.filterwarnings("ignore", message="lancedb fork support")

COMMIT_ROWS = 4


class Direct:
    """The first two samples of a clip, as a direction."""

    fingerprint = Fingerprint(
        name="direct", revision="", weights_sha256="", dim=2, sample_rate=8000, windowing="whole"
    )

    def embed(self, clips: Sequence[Clip]) -> NDArray[np.float32]:
        time.sleep(0.003)
        vectors = np.stack([clip.samples[:2] for clip in clips])
        unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit


def say(word: str, number: int) -> None:
    os.write(1, f"{word} {number}\n".encode())


def build(corpus: str, index: str, shard: str = "") -> None:
    def tell(progress: BuildProgress) -> None:
        say("safe", progress.skipped + progress.committed)

    say("begin", 0)
    options = BuildOptions(batch_clips=COMMIT_ROWS, commit_rows=COMMIT_ROWS, n_decoders=2)
    only = Shard.parse(shard) if shard else None
    build_index(corpus, index, embedder=Direct(), options=options, shard=only, progress=tell)


def add(index: str, n_steps: int) -> None:
    """Add two rows and relabel one in each step; done again, a step changes nothing."""
    say("begin", 0)
    opened = Index.open(index)
    ids = [x.id for x in opened.vectors().exemplars if not x.id.startswith("new/")]
    rows = opened._folder.rows(ids)
    for step in range(n_steps):
        one, other = rows[ids[step]], rows[ids[-1 - step]]
        again = [(one, one.exemplar.id), (one, f"new/{one.exemplar.id}"), (other, f"new/{step}")]
        opened.add(
            [replace(r, exemplar=replace(r.exemplar, id=i, labels=("new",))) for r, i in again]
        )
        say("safe", step + 1)


def remove(index: str, n_steps: int) -> None:
    """Remove two rows in each step, unless they are gone."""
    say("begin", 0)
    opened = Index.open(index)
    there = {x.id for x in opened.vectors().exemplars}
    with opened._folder.writer():
        for step in range(n_steps):
            pair = [f"label{label}/{step:02}.wav" for label in (0, 1)]
            opened.remove([id_ for id_ in pair if id_ in there])
            say("safe", step + 1)


def merge(parts: list[str], index: str) -> None:
    """Merge indexes, a few rows a commit."""
    merge_module._COMMIT_ROWS = COMMIT_ROWS  # type: ignore[misc]
    say("begin", 0)
    merge_indexes(parts, index, progress=lambda done, _: time.sleep(0.002))


def drive(corpus: str, index: str) -> None:
    """Stage units as workers do, and commit their records as a driver does."""
    options = BuildOptions(batch_clips=COMMIT_ROWS, commit_rows=2 * COMMIT_ROWS, n_decoders=2)
    say("begin", 0)
    rows = list(enumerate(opened := open_corpus(corpus)))
    folder = IndexFolder.open_or_create(index, Direct.fingerprint)
    with folder.writer():
        staging = Staging(folder.path, "run")
        driver = UnitDriver(
            folder,
            root=opened.root,
            n_rows=len(rows),
            options=options,
            staging=staging,
            on_commit=lambda: say("safe", len(folder.table)),
        )
        driver.take_up()
        for unit in driver.units(rows, n_rows=8):
            result = embed_rows(unit, Direct(), root=opened.root, options=options)
            driver.take_record(staging.write(result))
        driver.finish()
        folder.set_rejections(driver.rejections)


def compact(index: str) -> None:
    say("begin", 0)
    Index.open(index).compact()


def repair(corpus: str, index: str) -> None:
    say("begin", 0)
    repair_index(index, corpus, embedder=Direct())


def convert(folder: str, seed: int) -> None:
    writer._SHARD_BYTES = 100_000
    say("begin", 0)
    write_flamingo(folder, seed=seed)
    say("safe", 1)


def features(index: str, model: str) -> None:
    loaded = load_flamingo(model, device="cpu")
    say("begin", 0)
    precompute_features(Index.open(index), loaded, progress=lambda done, _: say("safe", done))


def evaluate(index: str, out: str) -> None:
    model = ScriptedLanguageModel(log_probability=lambda prompt, answer: -float(len(answer)))
    few = FewShot.open(index, model=model, embedder=Direct())
    settings = EvaluationSettings(
        shots=(0, 2), seeds=2, arms=("zero-shot", "retrieved", "vote", "random"), leaks="allow"
    )
    say("begin", 0)
    ask_every_arm(
        few,
        Task(name="all-labels"),
        settings=settings,
        out=Path(out),
        progress=lambda done, _: say("safe", done),
    )


def scan(night: str, examples: str, out: str) -> None:
    """Scan recordings; what is acknowledged is the number of blocks that are kept."""
    append = StepWriter.append

    def tell(writer: StepWriter, steps: Steps, levels: SampleLevels) -> None:
        time.sleep(0.002)
        append(writer, steps, levels)
        say("safe", kept_blocks(out))

    StepWriter.append = tell  # type: ignore[method-assign,assignment]
    say("begin", 0)
    scan_for_sounds(
        night, examples=examples, out=out, embedder=LevelSteps(), options=ScanOptions(jobs=2)
    )


def kept_blocks(out: str) -> int:
    """Return the number of blocks that a scan keeps by now."""
    store = StepStore.open(vectors_folder(Path(out)))
    begun = [one.about.n_blocks for one in store.unfinished() if one.about is not None]
    return sum(begun) + sum(store.about(key).n_blocks for key in store.keys())  # noqa: SIM118


def push(index: str, place: str, address: str, token: str) -> None:
    sharing_jobs.push(index, place, address, token, say=say)


def pull(place: str, index: str, address: str, token: str) -> None:
    sharing_jobs.pull(place, index, address, token, say=say)


# --- broken on purpose ---------------------------------------------------------------------


def build_boasting(corpus: str, index: str) -> None:
    """Acknowledge rows before they are committed."""
    add_rows = IndexFolder.add

    def boast(opened: IndexFolder, rows: Sequence[Row]) -> None:
        say("safe", len(opened.indexed_rows()) + len(rows))
        time.sleep(0.01)
        add_rows(opened, rows)

    IndexFolder.add = boast  # type: ignore[method-assign,assignment]
    build(corpus, index)


def build_doubling(corpus: str, index: str) -> None:
    """Forget what is there, and append instead of merging."""
    IndexedRows.get = lambda rows, id_: None  # type: ignore[method-assign,assignment]
    Table.upsert = Table.append  # type: ignore[method-assign]
    build(corpus, index)


def merge_doubling(parts: list[str], index: str) -> None:
    """Forget what an earlier merge has written."""
    merge_module.require_free_of_clashes = lambda *_, **__: set()  # type: ignore[attr-defined]
    merge(parts, index)


def build_leaving(corpus: str, index: str) -> None:
    """Start a process that nobody ends."""
    subprocess.Popen(["sleep", "60"], start_new_session=True, stdout=subprocess.DEVNULL)
    build(corpus, index)


def convert_in_place(folder: str, seed: int) -> None:
    """Write into the folder itself."""
    begin = FolderWriter.__enter__

    def enter(writer: FolderWriter) -> FolderWriter:
        begin(writer)
        os.rmdir(writer._partial)
        writer._partial = writer._folder
        writer._folder.mkdir(exist_ok=True)
        return writer

    FolderWriter.__enter__ = enter  # type: ignore[method-assign,assignment]
    FolderWriter.__exit__ = lambda writer, *_: writer._lock.release()  # type: ignore[method-assign]
    FolderWriter._put_in_place = lambda _: None  # type: ignore[method-assign,assignment]
    convert(folder, seed)


def evaluate_rewriting(index: str, out: str) -> None:
    """Empty the file of the run and write again what was in it."""
    resume = RunFile._resume

    def rewrite(file: RunFile) -> Any:
        done = resume(file)
        os.ftruncate(file._descriptor, 0)
        file._write_line(json.dumps({"digest": file._digest}))
        for item, rows in done.items():
            time.sleep(0.01)
            file.append(item, rows)
        return done

    RunFile._resume = rewrite  # type: ignore[method-assign,assignment]
    evaluate(index, out)


def scan_boasting(night: str, examples: str, out: str) -> None:
    """Acknowledge a block before it is there."""
    append = StepWriter.append

    def boast(writer: StepWriter, steps: Steps, levels: SampleLevels) -> None:
        say("safe", kept_blocks(out) + 1)
        time.sleep(0.01)
        append(writer, steps, levels)

    StepWriter.append = boast  # type: ignore[method-assign,assignment]
    say("begin", 0)
    scan_for_sounds(
        night, examples=examples, out=out, embedder=LevelSteps(), options=ScanOptions(jobs=1)
    )


def push_piecemeal(index: str, place: str, address: str, token: str) -> None:
    """Commit each file by itself."""
    sharing_jobs.push_piecemeal(index, place, address, token, say=say)


SOUND = (
    *(build, add, remove, compact, repair, convert, features, evaluate, scan, labelling),
    *(merge, drive, push, pull),
)
BROKEN = (
    *(build_boasting, build_doubling, build_leaving, convert_in_place, evaluate_rewriting),
    *(scan_boasting, labelling_hasty, merge_doubling, push_piecemeal),
)
JOBS: dict[str, Callable[..., None]] = {job.__name__: job for job in (*SOUND, *BROKEN)}


def main() -> None:
    for line in sys.stdin:
        told = json.loads(line)
        pid = os.fork()
        if not pid:
            os.environ.update(told["environment"])
            say("pid", os.getpid())
            _end(JOBS[told["job"]], told["arguments"])
        say("end", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def _end(job: Callable[..., None], arguments: dict[str, Any]) -> NoReturn:
    """Do a job, and leave as any program does, but for what the parent has to tidy up."""
    code = 1
    try:
        job(**arguments)
        code = 0
    except Exception:
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        os._exit(code)


if __name__ == "__main__":
    main()
