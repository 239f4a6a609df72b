from dataclasses import replace
from pathlib import Path

import pytest

from earful.errors import TaskError
from earful.rag import FewShot
from earful.rag.evaluation import evaluate, write_verdict
from earful.rag.evaluation.arms import Arm
from earful.rag.task import load_task
from tests.support.tone_evaluations import QUICK, TASK, follower


def test_a_verdict_becomes_the_task_file_s_default(index: Path, tmp_path: Path) -> None:
    path = tmp_path / "tones.toml"
    path.write_text(
        '# What I wrote.\nname = "tones"\n\n[shots]\nk = 2  # for now\norder = "random"\n'
    )
    task = load_task(path)
    found = evaluate(FewShot.open(index, model=follower()), task, settings=QUICK)
    assert write_verdict(task, found.scorecard.verdict) == "arm = vote, k = 1, strategy = nearest"
    again = load_task(path)
    assert (again.arm, again.shots.k, again.shots.order) == ("vote", 1, "random")
    assert path.read_text().startswith("# What I wrote.\n")
    assert "# for now" in path.read_text()
    with pytest.raises(TaskError, match="has no file of its own"):
        write_verdict(TASK, found.scorecard.verdict)
    with pytest.raises(TaskError, match=r"is built in .*; copy /.*speech\.toml to a file"):
        write_verdict(load_task("speech"), found.scorecard.verdict)
    with pytest.raises(TaskError, match="the verdict is the probe arm"):
        write_verdict(task, replace(found.scorecard.verdict, arm=Arm(how="probe")))
    # A link stays one, and what it names keeps its mode.
    path.chmod(0o600)
    link = tmp_path / "linked.toml"
    link.symlink_to(path)
    write_verdict(load_task(link), found.scorecard.verdict)
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_text()
    path.chmod(0o444)
    with pytest.raises(TaskError, match="is read-only"):
        write_verdict(load_task(link), replace(found.scorecard.verdict, arm=Arm(how="vote", k=3)))
    assert path.read_text() == before
