"""``earful tasks`` as a user types it."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

Run = Callable[..., tuple[int, str, str]]


def test_a_new_task_file_passes_its_own_check(run: Run) -> None:
    assert run("tasks", "new", "machines.toml", "--labels", "normal,faulty")[0] == 0
    assert list(tomllib.loads(Path("machines.toml").read_text())["labels"]) == ["normal", "faulty"]
    assert run("tasks", "check", "machines.toml")[0] == 0
    assert run("tasks", "new", "machines.toml")[0] == 2
    with Path("machines.toml").open("a") as file:
        file.write("\n[shot]\nk = 3\n")
    code, _, err = run("tasks", "check", "machines.toml")
    assert code == 2
    assert "machines.toml:" in err


def test_built_in_tasks_are_listed_and_shown(run: Run) -> None:
    _, out, _ = run("tasks", "list", "--json")
    names = [json.loads(line)["name"] for line in out.splitlines()]
    assert "urban-sounds" in names
    for name in names:
        code, out, _ = run("tasks", "show", name, "--json")
        assert code == 0
        assert json.loads(out)["name"] == name
