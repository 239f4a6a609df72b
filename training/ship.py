"""Put trained parts into the package, with a description that holds their digests.

    python -m training.ship --tokenizer F --clap F [--flamingo F]

``--clap`` and ``--flamingo`` are the safetensors files that ``training.clap`` and
``training.flamingo`` wrote, with their settings beside them. Parts not given stay as shipped.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from safetensors import safe_open

WEIGHTS = Path(__file__).resolve().parent.parent / "model" / "weights"
_AUTHORS = "the earful developers"
_DATA = "training/corpus/manifest.csv; see ATTRIBUTION.md"


def describe(path: Path) -> dict[str, Any]:
    """Copy a part into the package and return what is told of it."""
    shutil.copyfile(path, WEIGHTS / path.name)
    about: dict[str, Any] = {
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    if path.suffix == ".safetensors":
        with safe_open(path, framework="np") as file:
            sizes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118
        about["parameters"] = sum(_product(size) for size in sizes)
        about |= {"authors": _AUTHORS, "licence": "CC-BY-4.0", "data": _DATA}
    return about


def _product(sizes: list[int]) -> int:
    found = 1
    for size in sizes:
        found *= size
    return found


def main() -> None:
    """Ship the parts named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--release", default="")
    parser.add_argument("--tokenizer", type=Path)
    parser.add_argument("--clap", type=Path)
    parser.add_argument("--flamingo", type=Path)
    options = parser.parse_args()
    path = WEIGHTS / "earful-tiny.json"
    told = json.loads(path.read_text())
    if options.release:
        told["release"] = options.release
    if options.tokenizer:
        told["parts"]["tokenizer"] = describe(options.tokenizer)
    if options.clap:
        settings = json.loads((options.clap.parent / "clap.json").read_text())
        told["parts"]["clap"] = {**describe(options.clap), **settings}
    if options.flamingo:
        config = json.loads((options.flamingo.parent / "flamingo.json").read_text())
        told["parts"]["flamingo"] = {**describe(options.flamingo), "config": config}
    path.write_text(json.dumps(told, indent=2) + "\n")
    print(path.read_text())


if __name__ == "__main__":
    main()
