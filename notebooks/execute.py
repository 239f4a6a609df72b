"""Execute every notebook from a clean kernel; fail on the first cell that raises.

Run it with ``./dev notebooks``. Committed notebooks keep their outputs, so that they
can be read without running; ``--write`` refreshes them.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from traitlets.config import Config

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Execute the notebooks named on the command line, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebooks", nargs="*", type=Path, default=sorted(HERE.glob("*.ipynb")))
    parser.add_argument("--write", action="store_true", help="save the outputs")
    options = parser.parse_args()
    if not options.notebooks:
        raise SystemExit(f"no notebooks in {HERE}")
    with tempfile.TemporaryDirectory() as sockets:
        execute(options.notebooks, sockets, write=options.write)


def execute(notebooks: list[Path], sockets: str, *, write: bool) -> None:
    """Execute notebooks one after the other, and store their outputs if that is wanted.

    Kernels are talked to by sockets in a folder of ours: over TCP, each warns that anybody on
    this machine could listen.
    """
    for path in notebooks:
        started = time.monotonic()
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        client = NotebookClient(
            notebook,
            timeout=600,
            kernel_name="python3",
            resources={"metadata": {"path": HERE}},
            # Times of day and the moments of flushing would change the file at every run.
            record_timing=False,
            coalesce_streams=True,
            # Without a folder the two sides look for the sockets each in its own.
            config=Config({"KernelManager": {"transport": "ipc", "ip": f"{sockets}/kernel"}}),
        )
        client.execute()
        if write:
            path.write_text(without_places(nbformat.writes(notebook)) + "\n", encoding="utf-8")
        print(f"{path.name}: {len(notebook.cells)} cells in {time.monotonic() - started:.1f} s")


def without_places(text: str) -> str:
    """Return a notebook's text without the folders of the machine that executed it."""
    made = rf"{re.escape(tempfile.gettempdir())}/tmp\w+"
    return re.sub(made, "work", text.replace(f"{HERE.parent}/", ""))


if __name__ == "__main__":
    main()
