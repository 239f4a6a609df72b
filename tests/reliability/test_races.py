"""Writers at the same time never lose a row in silence, and readers always see a whole commit."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from earful.errors import IndexFolderError
from earful.index import Index, verify_index
from tests.support import index_races
from tests.support.small_corpus import Samples, write_corpus

pytestmark = [pytest.mark.slow, pytest.mark.trial, pytest.mark.timeout(300)]

N_STEPS = 25
N_FILES = 40
Job = dict[str, object]


@pytest.fixture
def index(tmp_path: Path) -> Index:
    (tmp_path / "one.wav").write_bytes(index_races.AUDIO)
    return Index.create(tmp_path / "raced.index", Samples.fingerprint)


def race(index: Index, jobs: list[Job]) -> list[Counter[str]]:
    """Run jobs at the same time; return what each counted."""
    script = index_races.__file__
    (index.path.parent / "stop").unlink(missing_ok=True)
    found = subprocess.run(
        [sys.executable, script, index.path, json.dumps(jobs)],
        check=False,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        },
    )
    assert found.returncode == 0, found.stderr
    return [
        Counter(json.loads((index.path.parent / f"counts-{number}.json").read_text()))
        for number in range(len(jobs))
    ]


def ids(index: Index) -> set[str]:
    opened = Index.open(index.path)
    assert verify_index(opened).problems == ()
    return {exemplar.id for exemplar in opened.vectors().exemplars}


def ids_of(index: Index, name: str) -> set[str]:
    root = index.path.parent
    return {
        row.exemplar.id for step in range(N_STEPS) for row in index_races.rows(root, name, step)
    }


def test_writers_and_readers_at_the_same_time(
    index: Index, monkeypatch: pytest.MonkeyPatch, keep_figures: Callable[..., None]
) -> None:
    monkeypatch.setattr("earful.index.search.approximate.partitioning.LEAST_ROWS", 100)
    for step in range(40):
        index.add(index_races.rows(index.path.parent, "first", step))
    index.index_approximately(recall=0.5, k=5, n_queries=5)
    before = ids(index)
    writers: list[Job] = [
        {"do": "add", "name": "left", "n": N_STEPS},
        {"do": "add", "name": "right", "n": N_STEPS},
        # The rows of one commit twice, in two processes, against one that removes them.
        {"do": "add", "name": "both", "n": N_STEPS},
        {"do": "add_and_remove", "name": "both", "n": N_STEPS},
        {"do": "compact", "name": "", "n": N_STEPS // 3},
    ]
    readers: list[Job] = [{"do": "read", "name": name} for name in ("exact", "half", "approximate")]
    counts = race(index, writers + readers)
    after = ids(index)
    # Nobody's rows are lost, and nothing is there that nobody wrote.
    assert before | ids_of(index, "left") | ids_of(index, "right") <= after
    rest = after - before - ids_of(index, "left") - ids_of(index, "right")
    assert rest <= ids_of(index, "both")
    assert len(rest) % index_races.STEP_ROWS == 0
    total = sum(counts, Counter())
    assert all(reader["reads"] > 10 for reader in counts[len(writers) :])
    keep_figures(
        "races",
        writers=len(writers),
        readers=len(readers),
        commits=total["commits"],
        told_busy=total["told_busy"],
        reads=total["reads"],
    )


def test_builds_of_one_corpus_at_the_same_time(
    tmp_path: Path, index: Index, keep_figures: Callable[..., None]
) -> None:
    write_corpus(tmp_path / "sounds", N_FILES)
    counts = race(index, [{"do": "build", "name": "sounds"}] * 3)
    assert len(ids(index)) == N_FILES
    total = sum(counts, Counter())
    assert total["told_busy"] > 0
    keep_figures("races-builds", builds=len(counts), told_busy=total["told_busy"], rows=N_FILES)


def test_an_index_is_made_once(tmp_path: Path, index: Index) -> None:
    with pytest.raises(IndexFolderError, match="holds an index already"):
        Index.create(index.path, Samples.fingerprint)
