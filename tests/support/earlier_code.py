"""earful as it was at an earlier commit, run in this environment."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def has_commit(commit: str) -> bool:
    """Tell whether this clone has a commit; a shallow one has few."""
    asked = ["git", "cat-file", "-e", f"{commit}^{{commit}}"]
    return subprocess.run(asked, cwd=_ROOT, capture_output=True, check=False).returncode == 0


def write_code(commit: str, folder: Path) -> Path:
    """Write the tree of a commit into a folder, and return what ``run_code`` takes."""
    folder.mkdir(parents=True)
    archive = folder / "tree.tar"
    subprocess.run(
        ["git", "archive", "--output", str(archive), commit],
        cwd=_ROOT,
        check=True,
    )
    with tarfile.open(archive) as tree:
        tree.extractall(folder, filter="tar")
    archive.unlink()
    return folder / "src"


def run_code(code: Path, *words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command ``earful`` of an earlier commit."""
    return subprocess.run(
        # -P: no folder but the one named leads to a package called earful.
        [sys.executable, "-P", "-m", "earful", *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(code), "EARFUL_HOME": str(cwd / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
