"""Build a release and check it; nothing is uploaded.

Run by ``./dev release`` where HEAD has a tag such as ``v1.2.0``, and by ``./dev release --check``
anywhere. The files go to ``dist/``. They are checked for form (twine, cffconvert) and by
``tests/packaging``: content, metadata, size, and the wheel alone in an empty environment, without
and with each extra. Indexes of every format before are opened, searched and extended.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
UV = os.environ.get("UV", "uv")
# Of fixed versions: what they find must not depend on the day.
TWINE, CFFCONVERT = "twine==7.0.0", "cffconvert==2.0.0"
TESTS = ("tests/packaging", "tests/index/formats")


def main() -> int:
    """Check, build, check what was built; return an exit code."""
    parser = argparse.ArgumentParser(prog="./dev release", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--check", action="store_true", help="without a tag, and with changes that nobody released"
    )
    parser.add_argument(
        "--without-extras", action="store_true", help="do not install each extra (minutes)"
    )
    options = parser.parse_args()
    faults = []
    version = ""
    if not options.check:
        version, faults = tagged_version(*state_of_git())
        if version:
            texts = [
                (ROOT / n).read_text(encoding="utf-8") for n in ("CHANGELOG.md", "CITATION.cff")
            ]
            faults += text_faults(version, *texts)
    if faults:
        return tell(faults)
    shutil.rmtree(DIST, ignore_errors=True)
    run(UV, "build", "--quiet", "--out-dir", str(DIST), str(ROOT))
    built = sorted(path for path in DIST.iterdir() if path.suffix in {".whl", ".gz"})
    if version:
        faults += [
            f"{path.name}: is not of version {version}"
            for path in built
            if not path.name.startswith((f"earful-{version}-", f"earful-{version}.tar"))
        ]
    for tool, *words in (
        (TWINE, "twine", "check", "--strict", *map(str, built)),
        (CFFCONVERT, "cffconvert", "--validate", "-i", str(ROOT / "CITATION.cff")),
    ):
        if run(UV, "tool", "run", "--quiet", "--from", tool, *words):
            faults.append(f"{words[0]} ({tool}) finds a fault, or could not be fetched")
    environment = {"EARFUL_DIST": str(DIST)}
    if not options.without_extras:
        environment["EARFUL_EXTRAS"] = "1"
    if run(sys.executable, "-m", "pytest", "-q", "-n", "0", *TESTS, **environment):
        faults.append(f"tests fail: {' '.join(TESTS)}")
    for path in built:
        print(f"release: {path.relative_to(ROOT)}, {path.stat().st_size / 1e6:.1f} MB")
    return tell(faults)


def tell(faults: list[str]) -> int:
    """Print what is wrong; return an exit code."""
    for fault in faults:
        print(f"release: {fault}", file=sys.stderr)
    print(f"release: {len(faults)} problems")
    return 1 if faults else 0


def run(*words: str, **environment: str) -> int:
    """Run a program at the root; return its exit code."""
    return subprocess.run(
        words, cwd=ROOT, env={**os.environ, **environment}, check=False
    ).returncode


def state_of_git() -> tuple[str, str]:
    """Return the tags of HEAD, one a line, and what is not committed."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout

    return git("tag", "--points-at", "HEAD"), git("status", "--porcelain")


def tagged_version(tags: str, changes: str) -> tuple[str, list[str]]:
    """Return the version that a tag of HEAD names, and what keeps it from being released.

    >>> tagged_version("nightly v1.2.0".replace(" ", chr(10)), "")
    ('1.2.0', [])
    """
    found = re.findall(r"^v(\d+\.\d+\.\d+(?:rc\d+)?)$", tags, re.MULTILINE)
    faults = []
    if len(found) != 1:
        faults.append(
            f"HEAD has {len(found)} tags of a version, expected one such as v1.2.0: "
            "`git tag -a v1.2.0`, or take `./dev release --check`"
        )
    if changes:
        faults.append(f"not committed: {', '.join(line[3:] for line in changes.splitlines())}")
    return (found[0] if len(found) == 1 else ""), faults


def text_faults(version: str, changelog: str, citation: str) -> Iterator[str]:
    """Yield what changelog and citation still have to say about a version."""
    final = version.partition("rc")[0]
    if not re.search(rf"^## \[{re.escape(final)}\] - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE):
        yield f"CHANGELOG.md: has no section '## [{final}] - DATE'; rename [Unreleased] to it"
    waiting = changelog.partition("## [Unreleased]")[2].partition("\n## ")[0].strip()
    if waiting:
        yield f"CHANGELOG.md: [Unreleased] still has {len(waiting.splitlines())} lines"
    if not re.search(rf"^version: {re.escape(final)}$", citation, re.MULTILINE):
        yield f"CITATION.cff: its version is not {final}"


if __name__ == "__main__":
    raise SystemExit(main())
