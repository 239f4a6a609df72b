"""What earful stands on: licences, known vulnerabilities and pinned digests of its packages.

Run by ``./dev audit`` in the locked environment. Fails on a licence that is neither allowed
nor excepted with a reason, on a known vulnerability, and on a package in ``uv.lock`` without
a digest. Where the advisories cannot be reached it says that nothing was verified, loudly,
and does not fail: a machine without a network can build.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INDEX = "https://pypi.org/simple"

ALLOWED = frozenset(
    {
        *("0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause"),
        *("CC0-1.0", "CNRI-Python", "ISC", "MIT", "MIT-0", "MIT-CMU", "PSF-2.0", "Zlib"),
    }
)

# Older metadata says it in words of its own.
SPELLINGS = {
    r"(?i)apache( software)?( license)?[, ]*(version )?(2(\.0)?)?( license)?": "Apache-2.0",
    r"(?i)(3.clause |new |modified )?bsd(.3.clause)?( license)?": "BSD-3-Clause",
    r"(?i)freebsd": "BSD-2-Clause",
    r"(?i)mit( license)?": "MIT",
    r"(?i)isc( license)?( \(iscl\))?": "ISC",
    r"(?i)python software foundation license": "PSF-2.0",
}

# A package, the licence that it has, and why that is no hindrance.
EXCEPTIONS = {
    "soxr": ("LGPL-2.1-or-later", "a shared library of its own, unchanged, that can be replaced"),
    "certifi": ("MPL-2.0", "a list of certificates, which is not changed"),
    "tqdm": ("MPL-2.0 AND MIT", "MPL covers files of tqdm alone, which are not changed"),
    "pycocoevalcap": ("", "metadata says nothing; its repository's licence is BSD-2-Clause"),
    "cuda-toolkit": ("", "metadata only; what it asks for is listed by itself"),
}
# CUDA's libraries come with torch for those who have such a device, under NVIDIA's own terms.
EXCEPTED_PREFIX = ("nvidia-", "NVIDIA's terms allow use and redistribution beside an application")

# Advisories that do not apply: the id, and why.
IGNORED: Mapping[str, str] = {}

_FOUND, _UNREACHABLE = 1, 2  # exit codes of `uv audit`


def main() -> int:
    """Run all three; say what was found; return an exit code."""
    failures = [*unpinned(ROOT / "uv.lock")]
    names = locked_names()
    here = [name for name in names if installed(name)]
    absent = [name for name in names if name not in here]
    failures += licence_faults({name: licence_of(name) for name in here})
    print(f"audit: licences of {len(here)} packages")
    if absent:
        print(f"audit: not installed here, so not looked at: {', '.join(absent)}")
    failures += vulnerabilities()
    for failure in failures:
        print(f"audit: {failure}", file=sys.stderr)
    print(f"audit: {len(failures)} problems")
    return 1 if failures else 0


def unpinned(lock: Path) -> list[str]:
    """Return what the lock file takes from elsewhere than the index, or without a digest."""
    faults = []
    for package in tomllib.loads(lock.read_text(encoding="utf-8"))["package"]:
        name = package["name"]
        if package["source"] == {"editable": "."}:
            continue
        if package["source"] != {"registry": INDEX}:
            faults.append(f"{name}: comes from {package['source']}, want {INDEX}")
        files = [*package.get("wheels", ()), *filter(None, [package.get("sdist")])]
        if not files or not all(str(file.get("hash", "")).startswith("sha256:") for file in files):
            faults.append(f"{name}: a file of it has no sha256 in uv.lock")
    return faults


def locked_names() -> list[str]:
    """Return the packages that a user of earful and of its extras installs."""
    quiet = ("--quiet", "--locked", "--no-emit-project", "--no-hashes")
    # The one extra that excludes another; its only package is faiss for a GPU.
    command = [_uv(), "export", *quiet, "--all-extras", "--no-extra", "faiss-gpu"]
    out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = (re.match(r"[A-Za-z0-9][\w.-]*", line) for line in out.splitlines())
    return sorted({match.group() for match in found if match})


def installed(name: str) -> bool:
    """Say whether a package is in this environment; some are for other systems."""
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def licence_of(name: str) -> str:
    """Return a package's licence by its metadata, as SPDX where its words are known."""
    metadata = importlib.metadata.metadata(name)
    if expression := metadata.get("License-Expression"):
        return str(expression)
    prefix = "License :: OSI Approved :: "
    classifiers = [c.removeprefix(prefix) for c in metadata.get_all("Classifier") or []]
    named = [c for c in classifiers if "license" in c.lower() and "::" not in c]
    # The field may hold a whole text; its first line is then no name.
    said = (metadata.get("License") or "").strip().split("\n")[0]
    for words in (said, *named):
        for spelling, spdx in SPELLINGS.items():
            if re.fullmatch(spelling, words):
                return spdx
    return "" if said == "UNKNOWN" else said


def licence_faults(licences: Mapping[str, str]) -> list[str]:
    """Return the packages whose licence is neither allowed nor excepted."""
    faults = []
    for name, licence in licences.items():
        excepted = EXCEPTIONS.get(name, ("?", ""))[0] == licence
        if excepted or name.startswith(EXCEPTED_PREFIX[0]) or is_allowed(licence):
            continue
        faults.append(
            f"{name}: its licence is {licence or 'unknown'!r}; allow it, or except it with a "
            "reason, in .ci/audit.py"
        )
    return faults


def is_allowed(expression: str) -> bool:
    """Say whether an SPDX expression can be met with allowed licences alone.

    >>> is_allowed("Apache-2.0 OR GPL-3.0-only"), is_allowed("MIT AND GPL-3.0-only")
    (True, False)
    """
    plain = expression.replace("(", "").replace(")", "")
    return any(
        all(part.strip() in ALLOWED for part in choice.split(" AND "))
        for choice in plain.split(" OR ")
    )


def vulnerabilities(options: Sequence[str] = ()) -> list[str]:
    """Ask for advisories about everything in the lock file.

    Args:
        options: Further ones of ``uv audit``, such as ``--service-url``.
    """
    ignored = [word for name in IGNORED for word in ("--ignore", name)]
    command = [_uv(), "audit", "--locked", *ignored, *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).strip()
    if done.returncode == 0:
        print("audit: no known vulnerabilities")
        return []
    if done.returncode == _FOUND:
        return [f"known vulnerabilities:\n{said}"]
    reason = _reason(said.splitlines())
    print(f"audit: KNOWN VULNERABILITIES NOT VERIFIED: {reason}", file=sys.stderr)
    return []


def _reason(lines: Iterable[str]) -> str:
    told = [line.strip() for line in lines if line.strip()]
    return "; ".join(told[-2:]) or "uv audit said nothing"


def _uv() -> str:
    own = ROOT / ".uv" / "bin" / "uv"
    return os.environ.get("UV") or (str(own) if own.exists() else "uv")


if __name__ == "__main__":
    sys.exit(main())
