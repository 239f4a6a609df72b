"""Catalog of the declared datasets, by name; or any declaration, by its path."""

from __future__ import annotations

import os
from pathlib import Path

from earful.errors import CorpusError
from earful.index.datasets.corpus import DatasetCorpus
from earful.index.datasets.declaration import Dataset
from earful.wording import meant

_FOLDER = Path(__file__).parent / "declarations"


def list_datasets() -> tuple[str, ...]:
    """Return the names of the built-in declarations, sorted."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


def load_declaration(name: str | os.PathLike[str]) -> Dataset:
    """Read the declaration of a dataset: its facts, its files and how to read them.

    Args:
        name: Of a built-in declaration; or, with a slash or ending in ``.toml``, a path.

    Raises:
        CorpusError: There is no such declaration, or it has a mistake.
    """
    # Imports pydantic, which takes longer than the rest of the room.
    from earful.index.datasets.parse import read_declaration

    text = os.fspath(name)
    if isinstance(name, Path) or "/" in text or text.endswith(".toml"):
        return read_declaration(Path(text))
    if text not in (known := list_datasets()):
        raise CorpusError(
            f"no dataset {text!r}{meant(text, known)}; `earful datasets list` shows all. For a "
            "declaration of your own give a path that ends in .toml"
        )
    return read_declaration(_FOLDER / f"{text}.toml")


def load_dataset(
    dataset: str | os.PathLike[str] | Dataset,
    root: str | os.PathLike[str],
    *,
    split: str = "",
    task: str = "",
    part: str = "",
    allow_outside: bool = False,
) -> DatasetCorpus:
    """Open the data of a dataset below a folder, for ``build_index`` or for reading.

    Args:
        dataset: Its name, the path of its declaration, or the declaration.
        root: Folder that the publisher's archives were unpacked in.
        split: Only this split; empty for all.
        task: One of its tasks; empty for the first.
        part: One of its parts; empty for all that are there.
        allow_outside: Whether links in it may lead out of the folder.

    Raises:
        CorpusError: Nothing of the dataset is there, or it has no such split, task or part.
            Mistakes inside its files are raised while rows are read.
    """
    found = dataset if isinstance(dataset, Dataset) else load_declaration(dataset)
    return DatasetCorpus(
        found, Path(root), split=split, task=task, part=part, allow_outside=allow_outside
    )
