"""Build the training corpus.

    ./dev run python -m training.corpus --cache /tmp/packages --out /tmp/corpus

Clips go to ``OUT/clips``, their table to ``OUT/manifest.csv`` and what was left out, with the
reason, to ``OUT/dropped.csv``. The manifest kept in the repository is the one of all roles.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from training.corpus.build import build
from training.corpus.packages import ROLES


def main() -> None:
    """Build it."""
    parser = argparse.ArgumentParser(
        prog="python -m training.corpus",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--cache", type=Path, required=True, help="where packages are kept")
    parser.add_argument("--out", type=Path, required=True, help="where clips are written")
    parser.add_argument("--roles", default=",".join(ROLES), help="of %(default)s")
    options = parser.parse_args()
    roles = options.roles.split(",")
    unknown = sorted(set(roles) - set(ROLES))
    if unknown:
        parser.error(f"--roles {','.join(unknown)}: want some of {','.join(ROLES)}")
    counts = build(options.cache.resolve(), options.out.resolve(), roles)
    print(", ".join(f"{name} {n}" for name, n in sorted(counts.items())))


if __name__ == "__main__":
    main()
