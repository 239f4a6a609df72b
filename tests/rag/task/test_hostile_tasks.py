"""No task file hangs, crashes or opens a file that its owner did not put beside it."""

import os
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from earful import cli
from earful.errors import TaskError
from earful.rag.task import check_task, load_task
from earful.toml import MAX_PROBLEMS
from tests.support.nasty_tables import Nasty, nasty_tasks


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A task's folder, and beside it what it must not reach."""
    folder = tmp_path / "tasks"
    folder.mkdir()
    for path in (tmp_path / "outside.wav", folder / "a.wav"):
        path.write_bytes(b"RIFF")
    (tmp_path / "outside.csv").write_text("audio,label\noutside.wav,x\n")
    (folder / "climbs.csv").write_text("audio,label\n../outside.wav,x\n")
    (folder / "link.wav").symlink_to("../outside.wav")
    (folder / "link.csv").symlink_to("../outside.csv")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.wav").write_bytes(b"RIFF")
    (folder / "away").symlink_to("../other")
    os.mkfifo(folder / "pipe.csv")
    return folder


@pytest.mark.parametrize("nasty", [pytest.param(one, id=one.title) for one in nasty_tasks()])
def test_a_nasty_task_has_its_verdict(nasty: Nasty, folder: Path) -> None:
    path = folder / nasty.file
    path.write_bytes(nasty.content)
    before = sorted(os.listdir(folder))
    began = time.monotonic()
    found = check_task(path)
    with pytest.raises(TaskError) as caught:
        load_task(path)
    assert time.monotonic() - began < 10
    assert str(found[0]).startswith(f"{path}{nasty.at}")
    assert nasty.says in str(found[0])
    assert str(caught.value).startswith(str(found[0]))
    assert len(found) <= MAX_PROBLEMS
    assert all(len(str(problem)) < 2500 for problem in found)
    assert sorted(os.listdir(folder)) == before


@pytest.mark.parametrize(
    "examples",
    [
        '[[examples]]\naudio = "../outside.wav"\nlabel = "x"',
        '[[examples]]\naudio = "link.wav"\nlabel = "x"',
        'examples = "link.csv"',
        'examples = "climbs.csv"',
        'examples = "../outside.csv"',
    ],
)
def test_only_who_runs_a_task_can_let_its_examples_lie_outside(folder: Path, examples: str) -> None:
    path = folder / "t.toml"
    path.write_text(examples)
    (example,) = load_task(path, allow_outside=True).examples
    assert example.path == folder.parent / "outside.wav"
    assert check_task(path, allow_outside=True) == ()
    with pytest.raises(TaskError, match="lies outside"):
        load_task(path)
    path.write_text("allow_outside = true\n" + examples)
    with pytest.raises(TaskError, match="unknown key 'allow_outside'"):
        load_task(path)


def test_a_task_reached_by_a_link_has_the_examples_beside_the_link(folder: Path) -> None:
    (folder.parent / "t.toml").write_text('[[examples]]\naudio = "a.wav"\nlabel = "x"')
    (folder / "t.toml").symlink_to("../t.toml")
    assert load_task(folder / "t.toml").examples[0].path == folder / "a.wav"


def test_the_command_says_what_to_say(folder: Path) -> None:
    path = folder / "t.toml"
    path.write_text('[[examples]]\naudio = "/etc/passwd"\nlabel = "x"')
    refused = CliRunner().invoke(cli.app, ["tasks", "check", str(path)])
    assert refused.exit_code == 2
    assert f"error: {path}:2: /etc/passwd lies outside {folder}" in refused.stderr
    allowed = CliRunner().invoke(cli.app, ["tasks", "check", str(path), "--allow-outside"])
    assert (allowed.exit_code, allowed.stdout) == (0, "fine\n")
