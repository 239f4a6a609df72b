from dataclasses import replace
from pathlib import Path

from earful.rag import FewShot
from earful.rag.evaluation import evaluate, repeat_run
from tests.support.tone_evaluations import QUICK, TASK, follower, listener


def test_a_repeated_run_shows_what_changed(index: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.json"
    settings = replace(QUICK, arms=("retrieved", "vote", "zero-shot"))
    evaluate(FewShot.open(index, model=listener()), TASK, settings=settings, out=out)
    same = repeat_run(FewShot.open(index, model=listener()), out)
    assert same.is_same
    assert same.describe() == f"{same.n_rows} of {same.n_rows} answers are the same"
    other = repeat_run(FewShot.open(index, model=follower()), out)
    assert not other.is_same
    # Without an ear or shots, a model gives the same answer for every tone.
    assert sum(", zero-shot: was " in line for line in other.different) == 12
