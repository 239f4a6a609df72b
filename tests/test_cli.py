"""The command line as a whole: usage, help, interruptions, the demo."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from earful import cli

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, earful_command: Run, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    return earful_command


def every_command() -> Iterator[tuple[str, ...]]:
    for name, command in get_command(cli.app).commands.items():  # type: ignore[attr-defined]
        below = getattr(command, "commands", {})
        for one in below:
            yield name, one
        if not below:
            yield (name,)


def test_wrong_usage_is_exit_code_two(run: Run) -> None:
    assert run("classify", "a.wav")[0] == 2
    assert run("search", "--index", "s.index")[0] == 2
    assert run("nonsense")[0] == 2
    shots = "'--shots': input should be greater than or equal to 0, got '-1'"
    for words, message in (
        (("classify", "a.wav", "--shots", "-1"), shots),
        (("index", "approximate", "s.index", "--recall", "much"), "got 'much'"),
    ):
        code, _, err = run(*words)
        assert code == 2
        assert message in " ".join(err.split())
    assert run("classify", "a.wav", "--index", "s.index", "--task", "t", "--labels", "a")[0] == 2


def test_every_help_page_has_an_example_with_options_that_exist(run: Run) -> None:
    for words in every_command():
        code, out, _ = run(*words, "--help")
        assert code == 0
        example, options = out.split("Example:\n")[1].split("Options:")
        command = " ".join(example.split("\n\n")[0].split())
        assert command.startswith(f"earful {' '.join(words)}")
        used = [word for word in shlex.split(command) if word.startswith("-")]
        assert [option for option in used if f"{option} " not in options] == [], command


def test_the_page_of_commands_has_every_command() -> None:
    page = (Path(__file__).parent.parent / "docs" / "cli.md").read_text()
    commands = list(every_command())
    assert [words for words in commands if f"\n## earful {' '.join(words)}\n" not in page] == []
    assert page.count("\n## earful ") == len(commands)


def test_the_installed_command_runs_from_anywhere(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "earful", "--version"]
    out = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert out.stdout.startswith("earful ")


def test_ctrl_c_is_exit_code_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "app", interrupted)
    code, _, err = run("doctor")
    assert code == 130
    assert "committed is kept" in err


@pytest.mark.slow
def test_the_demo_classifies_labels_its_index_never_had(run: Run) -> None:
    code, out, err = run("demo", "--index", "demo.index", "--json")
    assert code == 0, err
    answers = [json.loads(line) for line in out.splitlines()]
    right = sum(answer["truth"] == answer["text"] for answer in answers)
    labels = {answer["truth"] for answer in answers}
    indexed = run("index", "export", "demo.index", "rows.csv")
    assert indexed[0] == 0
    assert not labels & {
        line.split(",")[5] for line in Path("rows.csv").read_text().splitlines()[1:]
    }
    # Six labels: guessing stays below a half of the clips with a probability of 0.9999.
    assert right / len(answers) > 0.5
    assert os.path.isdir("demo.index")
