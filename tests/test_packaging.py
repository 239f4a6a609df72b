import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LINKED = ("index", "model", "rag")


def source_packages() -> set[str]:
    tops = [ROOT / top for top in LINKED] + [
        folder for folder in (ROOT / "src/earful").iterdir() if not folder.is_symlink()
    ]
    inits = [init for top in tops if top.is_dir() for init in top.rglob("__init__.py")]
    below = [init.parent.relative_to(ROOT).parts for init in inits]
    return {"earful", *(".".join(("earful", *parts)).replace("earful.src.", "") for parts in below)}


def test_every_source_folder_is_declared_as_a_package() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert set(setuptools["packages"]) == source_packages()
    assert set(setuptools["package-dir"]) == source_packages()


def test_no_root_folder_is_importable_by_its_bare_name() -> None:
    probe = (
        "import importlib.util as u;"
        "print([n for n in ('rag', 'index', 'model', 'cli') if u.find_spec(n)])"
    )
    out = subprocess.run(
        [sys.executable, "-c", probe], cwd="/", capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "[]"


@pytest.mark.slow
def test_the_wheel_holds_exactly_the_package(tmp_path: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    wanted = {f"earful/{name}" for name in tracked if name.split("/")[0] in LINKED}
    wanted |= {
        name.removeprefix("src/")
        for name in tracked
        if name.startswith("src/earful/") and not (ROOT / name).is_dir()
    }
    subprocess.run(
        [os.environ.get("UV", "uv"), "build", "--quiet", "--out-dir", str(tmp_path), str(ROOT)],
        check=True,
        cwd=tmp_path,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == wanted
