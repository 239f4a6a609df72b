"""What sdist and wheel hold: the package by its folder map, its licences, and nothing else."""

import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from tests.support.installed import ROOT, run_uv, tracked_files

LINKED = ("index", "model", "rag")
# A folder without Python, of which the wheel takes the recordings.
DATA = {"earful.demo.recordings"}
FOLDERS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
    "tool"
]["setuptools"]["package-dir"]
# Beside the packages, in the sdist alone.
BESIDE = {
    *("ATTRIBUTION.md", "CHANGELOG.md", "CITATION.cff", "LICENSE", "MANIFEST.in", "README.md"),
    *("pyproject.toml", "setup.cfg", "PKG-INFO"),
}


def source_packages() -> set[str]:
    tops = [ROOT / top for top in LINKED] + [
        folder for folder in (ROOT / "src/earful").iterdir() if not folder.is_symlink()
    ]
    inits = [init for top in tops if top.is_dir() for init in top.rglob("__init__.py")]
    below = [init.parent.relative_to(ROOT).parts for init in inits]
    return {"earful", *(".".join(("earful", *parts)).replace("earful.src.", "") for parts in below)}


def shipped() -> dict[str, str]:
    """Tracked files of the packages: the path in the wheel, by the path in the repository."""
    found = {}
    by_depth = sorted(FOLDERS.items(), key=lambda item: -len(item[1]))
    for name in tracked_files():
        if (ROOT / name).is_dir():
            continue  # a link to a folder
        for package, folder in by_depth:
            if PurePosixPath(name).is_relative_to(folder):
                inside = PurePosixPath(name).relative_to(folder)
                found[name] = str(PurePosixPath(package.replace(".", "/")) / inside)
                break
    return found


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def contents_of(wheel: Path) -> dict[str, bytes]:
    """Files of a wheel by name, without what names the version."""
    with zipfile.ZipFile(wheel) as archive:
        return {
            name.partition(".dist-info/")[2] or name: archive.read(name)
            for name in archive.namelist()
            if not name.endswith(("/RECORD", "/METADATA"))
        }


def test_every_source_folder_is_declared_as_a_package() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert set(setuptools["packages"]) == source_packages() | DATA
    assert set(setuptools["package-dir"]) == source_packages() | DATA


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
def test_the_wheel_holds_exactly_the_package(wheel: Path) -> None:
    assert names_in(wheel) == set(shipped().values())
    with zipfile.ZipFile(wheel) as archive:
        (top,) = [name for name in archive.namelist() if name.endswith("top_level.txt")]
        assert archive.read(top).decode().split() == ["earful"]


@pytest.mark.slow
def test_the_sdist_holds_what_a_wheel_is_made_of_and_no_link(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        members = archive.getmembers()
    assert all(member.isfile() or member.isdir() for member in members)
    names = {str(PurePosixPath(*PurePosixPath(m.name).parts[1:])) for m in members if m.isfile()}
    wanted = set(shipped()) | BESIDE
    assert {name for name in names if not name.startswith("earful.egg-info/")} == wanted


@pytest.mark.slow
def test_a_wheel_built_in_place_is_that_of_the_sdist(wheel: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for name in tracked_files():
        to = copy / name
        to.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_symlink():
            to.symlink_to((ROOT / name).readlink())
        else:
            shutil.copy(ROOT / name, to)
    # Without git the fallback is the version.
    run_uv("build", "--quiet", "--wheel", "--out-dir", tmp_path / "dist", copy, cwd=tmp_path)
    (in_place,) = (tmp_path / "dist").glob("*.whl")
    assert contents_of(in_place) == contents_of(wheel)


@pytest.mark.slow
def test_sdist_and_wheel_stay_small(wheel: Path, sdist: Path) -> None:
    """PyPI takes 100 MB a file; weights and recordings are most of ours."""
    assert wheel.stat().st_size < 50e6
    assert sdist.stat().st_size < 50e6
