"""earful as its users have it: the wheel in an environment of its own, without the checkout."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UV = os.environ.get("UV", "uv")


def run_uv(*words: str | Path, cwd: Path | None = None, **env: str) -> None:
    """Run uv, and raise what it says if it fails."""
    done = subprocess.run(
        [UV, *words],
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"uv {' '.join(map(str, words))}: {done.stderr}"


def tracked_files() -> list[str]:
    """Return the paths of git's files below the root, and of those that it does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    return [name for name in listed if name and os.path.lexists(ROOT / name)]


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel in it."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin/python"

    @property
    def site_packages(self) -> Path:
        """Where its packages are."""
        (found,) = self.folder.glob("lib/python3.*/site-packages")
        return found

    def run(self, *words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run the command ``earful`` as a user does who has nothing of ours."""
        return subprocess.run(
            [self.folder / "bin/earful", *words],
            cwd=cwd,
            env=clean_environment(cwd),
            capture_output=True,
            text=True,
            check=False,
        )

    def output(self, *words: str | Path, cwd: Path) -> str:
        """Run the command, which must succeed, and return what it printed."""
        done = self.run(*words, cwd=cwd)
        assert done.returncode == 0, f"earful {' '.join(map(str, words))}: {done.stderr}"
        return done.stdout

    def snapshot(self) -> dict[str, tuple[int, int]]:
        """Return size and time of change of each installed file."""
        return {
            str(path.relative_to(self.site_packages)): (found.st_size, found.st_mtime_ns)
            for path in self.site_packages.rglob("*")
            if not path.is_dir() and (found := path.stat())
        }


def clean_environment(cwd: Path) -> dict[str, str]:
    """Return the environment without what leads to the checkout, and with a home below a folder."""
    ours = ("PYTHONPATH", "VIRTUAL_ENV", "EARFUL_DEMO", "UV_PROJECT_ENVIRONMENT")
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return {
        **kept,
        "EARFUL_HOME": str(cwd / "home"),
        "HF_HUB_OFFLINE": "1",
        # What Python compiles is no writing of ours.
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def install(wheel: Path, folder: Path, extras: Sequence[str] = ()) -> Installed:
    """Make an environment of the locked dependencies, which uv has in its cache, and the wheel.

    Args:
        wheel: The built wheel.
        folder: Where the environment is made.
        extras: Extras to install with it.
    """
    chosen = [word for extra in extras for word in ("--extra", extra)]
    locked = ("--project", str(ROOT), "--frozen", "--no-install-project")
    run_uv("sync", "--quiet", *locked, *chosen, UV_PROJECT_ENVIRONMENT=str(folder))
    made = Installed(folder)
    run_uv("pip", "install", "--quiet", "--no-deps", "--python", made.python, wheel)
    run_uv("pip", "check", "--quiet", "--python", made.python)
    return made
