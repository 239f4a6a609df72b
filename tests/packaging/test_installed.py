"""The wheel alone, in an empty environment: what users have who never saw the repository."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.installed import ROOT, Installed, clean_environment

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as users have, with a blank in its name."""
    made = tmp_path / "my recordings"
    made.mkdir()
    return made


def test_it_is_the_wheel_and_not_the_checkout(bare: Installed, wheel: Path, folder: Path) -> None:
    code = "import earful; print(earful.__file__, earful.__version__)"
    done = subprocess.run(
        [bare.python, "-c", code],
        cwd=folder,
        env=clean_environment(folder),
        capture_output=True,
        text=True,
        check=True,
    )
    where, version = done.stdout.split()
    assert Path(where).is_relative_to(bare.site_packages)
    assert wheel.name == f"earful-{version}-py3-none-any.whl"
    assert bare.output("--version", cwd=folder).split() == ["earful", version]


def test_help_lists_the_commands(bare: Installed, folder: Path) -> None:
    printed = bare.output("--help", cwd=folder)
    for command in ("index", "classify", "scan", "evaluate", "demo", "doctor"):
        assert command in printed


def test_doctor_finds_nothing_broken(bare: Installed, folder: Path) -> None:
    findings = json.loads(bare.output("doctor", "--no-hub", "--json", cwd=folder))
    states = {one["name"]: one["state"] for one in findings}
    assert "broken" not in states.values()
    assert states["earful-small"] == "ok"
    assert {state for name, state in states.items() if name.startswith("earful[")} == {"missing"}


def test_the_demo_runs_and_writes_nothing_where_earful_is_installed(
    bare: Installed, folder: Path
) -> None:
    before = bare.snapshot()
    printed = bare.output("demo", cwd=folder)
    summary = re.compile(r"(\d+) of (\d+) clips right")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    ours, readmes = (summary.search(text) for text in (printed, readme))
    assert ours is not None
    assert readmes is not None
    assert ours.group(2) == readmes.group(2)
    # Another CPU may round one clip over the edge, not five.
    assert abs(int(ours.group(1)) - int(readmes.group(1))) <= 2
    # What it shows can be typed.
    (command,) = re.findall(r"^\$ (earful classify .*)$", printed, re.MULTILINE)[:1]
    done = subprocess.run(
        command.replace("earful", f"'{bare.folder}/bin/earful'", 1),
        shell=True,
        cwd=folder,
        env=clean_environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert bare.output("index", "verify", ".demo/sounds.index", cwd=folder)
    assert bare.snapshot() == before
    assert {path.name for path in folder.iterdir()} <= {".demo", "home"}


def test_the_demo_finds_laughs_in_its_long_recording(bare: Installed, folder: Path) -> None:
    before = bare.snapshot()
    found = json.loads(bare.output("demo", "--long", "--json", cwd=folder))
    assert found["events"] >= 15
    assert (folder / found["html"]).is_file()
    assert bare.snapshot() == before
