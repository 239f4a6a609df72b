"""Put trained parts into the package or a folder of one's own, with a description of them.

    python -m training.ship --tokenizer F --clap F [--to DIR --release NAME]

``--clap`` is the safetensors file that ``training.clap`` wrote, with its settings beside it. Parts
not given are those that ship. Without ``--to`` the package itself is changed; the folder that it
makes is one that ``--embedder DIR`` takes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open

from earful.model.runtime import read_part
from earful.model.tiny import DESCRIPTION, read_release

WEIGHTS = Path(__file__).resolve().parent.parent / "model" / "tiny" / "weights"
_AUTHORS = "the earful developers"
_DATA = "training/corpus/manifest.csv; see ATTRIBUTION.md"


def describe(path: Path, folder: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a part into a folder and return what is told of it."""
    shutil.copyfile(path, folder / path.name)
    told: dict[str, Any] = {
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    if path.suffix == ".safetensors":
        with safe_open(path, framework="np") as file:
            sizes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118
        told["parameters"] = sum(math.prod(size) for size in sizes)
        told |= about
    return told


def ship(
    folder: Path,
    *,
    tokenizer: Path | None = None,
    clap: Path | None = None,
    release: str = "",
    about: Mapping[str, Any],
) -> None:
    """Write a folder of weights, beginning with those that ship.

    Args:
        folder: Where to; made if need be.
        tokenizer: Vocabulary.
        clap: Head and text tower, with ``clap.json`` beside them.
        release: What an index is told that it was made by; empty for that of what ships.
        about: Authors, licence and data of the parts given.
    """
    shipped = read_release()
    folder.mkdir(parents=True, exist_ok=True)
    told = json.loads((WEIGHTS / DESCRIPTION).read_text())
    given = {"tokenizer": tokenizer, "clap": clap}
    for part, known in shipped.parts.items():
        # A folder may hold another one, of an earlier time; what is given may lie in it, too.
        if not given.get(part):
            data = read_part(shipped, part)
            (folder / known["file"]).write_bytes(data)
    if release:
        told["release"] = release
    if tokenizer:
        told["parts"]["tokenizer"] = describe(tokenizer, folder, about)
    if clap:
        settings = json.loads((clap.parent / "clap.json").read_text())
        told["parts"]["clap"] = {**describe(clap, folder, about), **settings}
    (folder / DESCRIPTION).write_text(json.dumps(told, indent=2) + "\n")


def main() -> None:
    """Ship the parts named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=WEIGHTS)
    parser.add_argument("--release", default="")
    parser.add_argument("--tokenizer", type=Path)
    parser.add_argument("--clap", type=Path)
    parser.add_argument("--authors", default=_AUTHORS)
    parser.add_argument("--licence", default="CC-BY-4.0")
    parser.add_argument("--data", default=_DATA)
    options = parser.parse_args()
    ship(
        options.to,
        tokenizer=options.tokenizer,
        clap=options.clap,
        release=options.release,
        about={"authors": options.authors, "licence": options.licence, "data": options.data},
    )
    print((options.to / DESCRIPTION).read_text())


if __name__ == "__main__":
    main()
