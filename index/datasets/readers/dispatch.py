"""Dispatch of a source to its reader, which turns a publisher's files into rows.

``table`` reads CSV and TSV in all the forms that publishers ship, ``records`` JSON, JSON
Lines and YAML, JSON as a stream, ``tree`` file names, ``shards`` WebDataset pairs, ``arrow``
Parquet. ``pickle`` reads the one published dataset that has no other form, and allows
nothing but its two harmless types.
"""

from __future__ import annotations

import io
import json
import pickle
import re
import shlex
import tarfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from earful.errors import CorpusError
from earful.index.corpus import open_table, parquet_rows
from earful.index.datasets.declaration import Source
from earful.index.datasets.readers.csv_tables import read_table
from earful.index.datasets.readers.json_records import read_records
from earful.index.datasets.readers.sources import (
    OnFault,
    Options,
    PlacedRow,
    RawRow,
    find_files,
    first_file,
    is_lfs_pointer,
    raise_fault,
    read_text,
)
from earful.index.datasets.row_faults import RowError
from earful.index.datasets.templates import fill

# Of a file that describes one recording; such a sidecar is read whole.
_MAX_SIDECAR_BYTES = 1 << 20

UNPACK = "unpack"
"""Column with the command that unpacks a row's recording, where it lies in an archive."""


def read_source(root: Path, source: Source, on_fault: OnFault = raise_fault) -> Iterator[PlacedRow]:
    """Read one source of a dataset, its constant columns included.

    Args:
        root: Folder that the files' names start from.
        source: From a declaration.
        on_fault: Called with the error of each row that cannot be read; reading goes on.

    Raises:
        CorpusError: A file is missing or broken; the message begins with its row.
    """
    for where, row in _READERS[source.reader](root, source, on_fault):
        yield where, {**row, **source.set}


# --- tree ----------------------------------------------------------------------------------


def _tree(root: Path, source: Source, on_fault: OnFault) -> Iterator[PlacedRow]:
    """Read columns from the names of files.

    Options: ``regex`` with named groups over the path below the root, with forward slashes;
    ``sidecar`` (ending) and ``into`` (column) for text beside a file; ``once`` (template of
    a key that only counts the first time). Files that the regex does not match are skipped,
    and counted by a check. The path is in the column ``path``.
    """
    options = Options(root, source)
    pattern = re.compile(options.get("regex", ""))
    sidecar, into = options.get("sidecar", ""), options.get("into", "")
    once = options.get("once", "")
    options.check_all_read()
    seen: set[str] = set()
    found = False
    for path in find_files(root, source):
        relative = path.relative_to(root).as_posix()
        match = pattern.search(relative)
        if match is None or path.name.startswith("._"):
            continue
        row: RawRow = {**match.groupdict(), "path": relative, "stem": path.stem}
        if once:
            # Some archives hold their tree twice.
            key = fill(once, row, str(path))
            if key in seen:
                continue
            seen.add(key)
        found = True
        if sidecar:
            beside = path.with_suffix(sidecar)
            try:
                row[into] = read_text(beside).strip() if beside.is_file() else ""
            except CorpusError as error:
                on_fault(RowError(str(path), str(error)))
                continue
        yield str(path), row
    if not found:
        raise CorpusError(f"{root}: holds no {' or '.join(source.files)}")


# --- shards --------------------------------------------------------------------------------


def _shards(root: Path, source: Source, on_fault: OnFault) -> Iterator[PlacedRow]:
    """Read WebDataset pairs: ``K.flac`` with ``K.json``, in tars or in folders beside them.

    The audio of a tar is used when the tar was unpacked into a folder of its stem. Columns
    are the JSON's keys, ``stem`` and ``path`` of the audio, and ``shard``. Option: ``audio``
    (ending). Files that are pointers of Git LFS are left to ``pointer_files``.
    """
    options = Options(root, source)
    ending = options.get("audio", ".flac")
    options.check_all_read()
    found = False
    files = [path for path in find_files(root, source) if not is_lfs_pointer(path)]
    tars = [path for path in files if path.suffix == ".tar"]
    loose = [path for path in files if path.suffix == ".json"]
    unpacked = {path.with_suffix("") for path in tars}
    for path in tars:
        folder = path.with_suffix("")
        command = f"mkdir -p {shlex.quote(str(folder))} && tar -xf {shlex.quote(str(path))} "
        command += f"-C {shlex.quote(str(folder))}"
        for where, member, text in _tar_records(path):
            found = True
            audio = (folder.relative_to(root) / member.with_suffix(ending)).as_posix()
            more = {"stem": member.stem, "path": audio, "shard": path.name, UNPACK: command}
            try:
                row = _object(text, where)
            except RowError as error:
                on_fault(error)
                continue
            yield where, {**row, **more}
    for path in loose:
        if path.parent in unpacked:
            continue
        found = True
        audio = path.with_suffix(ending).relative_to(root).as_posix()
        _refuse_large(path.stat().st_size, str(path))
        try:
            row = _object(path.read_bytes(), str(path))
        except RowError as error:
            on_fault(error)
            continue
        yield str(path), {**row, "stem": path.stem, "path": audio, "shard": path.parent.name}
    if not found:
        raise CorpusError(f"{root}: holds no {' or '.join(source.files)}")


def _tar_records(path: Path) -> Iterator[tuple[str, PurePosixPath, bytes]]:
    try:
        # Plain tars only: a compressed one unpacks to any size.
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                name = PurePosixPath(member.name)
                if member.isfile() and name.suffix == ".json" and ".." not in name.parts:
                    _refuse_large(member.size, f"{path}!{member.name}")
                    file = tar.extractfile(member)
                    if file is not None:
                        yield f"{path}!{member.name}", name, file.read()
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CorpusError(f"{path}: is not a readable tar ({reason})") from error


def _refuse_large(size_bytes: int, where: str) -> None:
    if size_bytes > _MAX_SIDECAR_BYTES:
        raise CorpusError(
            f"{where}: has {size_bytes} bytes; expected at most {_MAX_SIDECAR_BYTES} about one "
            "recording"
        )


def _object(text: bytes, where: str) -> RawRow:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RowError(where, f"is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise RowError(where, f"is {type(value).__name__}; expected an object")
    return value


# --- arrow ---------------------------------------------------------------------------------


def _arrow(root: Path, source: Source, _on_fault: OnFault) -> Iterator[PlacedRow]:
    """Read Parquet files; ``file_split`` is the file's name up to a hyphen.

    Files that are pointers of Git LFS are left to ``pointer_files``.
    """
    Options(root, source).check_all_read()
    found = False
    for path in find_files(root, source):
        if is_lfs_pointer(path):
            continue
        found = True
        more = {"file_split": path.name.partition("-")[0], "file_stem": path.stem}
        with open_table(path) as file:
            for where, row in parquet_rows(file, path, nested=True):
                yield where, {**row, **more}
    if not found:
        raise CorpusError(f"{root}: holds no {' or '.join(source.files)}")


# --- pickle --------------------------------------------------------------------------------


# Errors of the unpickler for damaged pickles, found by damaging one.
_BROKEN_PICKLE = (
    *(pickle.UnpicklingError, EOFError, AttributeError, LookupError, ValueError, TypeError),
    *(OverflowError, MemoryError, RecursionError, SystemError),
)


class _SafeUnpickler(pickle.Unpickler):
    """Unpickler that allows the two globals of a ``defaultdict(list)`` and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        known = {("collections", "defaultdict"): defaultdict, ("builtins", "list"): list}
        known["__builtin__", "list"] = list
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
        return known[module, name]


def _pickle(root: Path, source: Source, _on_fault: OnFault) -> Iterator[PlacedRow]:
    """Read a pickled mapping of id to value into the columns ``id`` and ``into``, an option."""
    path = first_file(root, source)
    options = Options(path, source)
    into = options.get("into", "value")
    options.check_all_read()
    try:
        value = _SafeUnpickler(io.BytesIO(path.read_bytes())).load()
    except _BROKEN_PICKLE as error:
        raise CorpusError(
            f"{path}: is refused ({error}); a pickle may hold text, lists and mappings only"
        ) from error
    if not isinstance(value, dict):
        raise CorpusError(f"{path}: holds {type(value).__name__}; expected a mapping of ids")
    for id_, one in value.items():
        yield f"{path}:{id_}", {"id": str(id_), into: one}


_READERS: dict[str, Callable[[Path, Source, OnFault], Iterator[PlacedRow]]] = {
    "table": read_table,
    "records": read_records,
    "tree": _tree,
    "shards": _shards,
    "arrow": _arrow,
    "pickle": _pickle,
}
