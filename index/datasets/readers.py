"""Five readers that turn a publisher's files into rows: columns by name, and where each stands.

``table`` reads CSV and TSV in all the forms that publishers ship, ``records`` JSON, JSON
Lines and YAML as a stream, ``tree`` file names, ``shards`` WebDataset pairs, ``arrow``
Parquet. ``pickle`` reads the one published dataset that has no other form, and admits
nothing but its two harmless types.
"""

from __future__ import annotations

import csv
import io
import json
import pickle
import re
import tarfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from earful.errors import CorpusError
from earful.index.datasets.declaration import Source

Raw = dict[str, Any]
"""A row under way: column to value."""
Placed = tuple[str, Raw]
"""A row and where it stands, such as ``"meta.csv:17"``."""

_ENCODINGS = ("utf-8-sig", "latin-1")
_FIELD_LIMIT = 1 << 24
_PART = re.compile(r"[^0-9a-z]+")


def read_source(root: Path, source: Source) -> Iterator[Placed]:
    """Read one source of a dataset, its constant columns included.

    Args:
        root: Folder that the files' names start from.
        source: From a declaration.

    Raises:
        CorpusError: A file is missing or broken; the message begins with its row.
    """
    for where, row in _READERS[source.reader](root, source):
        yield where, {**row, **source.set}


def find_files(root: Path, source: Source) -> list[Path]:
    """Return the files of a source that are there, in order; a reader of one takes the first."""
    found: list[Path] = []
    for name in source.files:
        if any(sign in name for sign in "*?["):
            found += sorted(path for path in root.glob(name) if path.is_file())
        elif (root / name).is_file():
            found.append(root / name)
    return found


def _one(root: Path, source: Source) -> Path:
    found = find_files(root, source)
    if not found:
        raise CorpusError(f"{root}: holds no {' or '.join(source.files)}")
    return found[0]


# --- table ---------------------------------------------------------------------------------


def _table(root: Path, source: Source) -> Iterator[Placed]:
    """Read a table of text.

    Options: ``delimiter``, ``comment`` (lines that begin with it are skipped),
    ``skip_space`` (after a delimiter), ``header`` (names, when the file has none),
    ``header_comment`` (number of the comment line that names the columns),
    ``header_rows`` (2 joins both with a slash; further rows may follow, see ``skip``),
    ``skip`` (rows after the header that are none), ``aliases`` (column to other
    spellings, compared without case and punctuation), ``rest`` (column that takes all
    further fields as a list), ``encodings``.
    """
    path = _one(root, source)
    options = _Options(path, source)
    lines = _lines(path, options.get("encodings", _ENCODINGS))
    comment = options.get("comment", "")
    named: list[str] | None = options.get("header", None)
    wanted_comment: int = options.get("header_comment", 0)
    if comment:
        lines, comments = _without_comments(lines, comment)
        if wanted_comment:
            if len(comments) < wanted_comment:
                raise CorpusError(f"{path}: has no comment line {wanted_comment} with its columns")
            text = comments[wanted_comment - 1].lstrip(comment + " ")
            named = [name.strip() for name in text.split(options.get("delimiter", ","))]
    numbered = _Numbered(lines)
    reader = csv.reader(
        numbered,
        delimiter=options.get("delimiter", "\t" if path.suffix == ".tsv" else ","),
        skipinitialspace=options.get("skip_space", False),
        quoting=csv.QUOTE_MINIMAL if options.get("quotes", True) else csv.QUOTE_NONE,
        strict=True,
    )
    aliases: Mapping[str, list[str]] = options.get("aliases", {})
    rest: str = options.get("rest", "")
    n_header, n_skipped = options.get("header_rows", 1), options.get("skip", 0)
    options.end()
    csv.field_size_limit(_FIELD_LIMIT)
    rows = _csv_rows(path, reader, numbered)
    if named is None:
        named = _header(path, [cells for _, cells in _first(rows, n_header)])
    names = _renamed(named, aliases)
    for _ in _first(rows, n_skipped):
        pass
    for where, cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        if rest:
            fixed = len(names) - 1
            if len(cells) < fixed:
                raise CorpusError(f"{where}: has {len(cells)} fields; want {fixed} or more")
            yield where, dict(zip(names, [*cells[:fixed], cells[fixed:]], strict=True))
            continue
        if len(cells) != len(names):
            raise CorpusError(
                f"{where}: has {len(cells)} fields; want {len(names)}: {', '.join(names)}"
            )
        yield where, dict(zip(names, cells, strict=True))


def _lines(path: Path, encodings: Iterable[str]) -> Iterator[str]:
    """Decode a file, by the first encoding in which all of it makes sense."""
    *others, last = encodings
    for encoding in others:
        try:
            with open(path, encoding=encoding, newline="") as file:
                for _ in file:
                    pass
        except UnicodeDecodeError:
            continue
        return _decoded(path, encoding)
    return _decoded(path, last)


def _decoded(path: Path, encoding: str) -> Iterator[str]:
    with open(path, encoding=encoding, newline="") as file:
        try:
            yield from file
        except UnicodeDecodeError as error:
            raise CorpusError(
                f"{path}: is not {encoding} ({error.reason} at byte {error.start}); want UTF-8"
            ) from error


def _without_comments(lines: Iterator[str], sign: str) -> tuple[Iterator[str], list[str]]:
    """Take the comment lines at a file's beginning off, and drop later ones."""
    comments: list[str] = []
    first: list[str] = []
    for line in lines:
        if not line.startswith(sign):
            first = [line]
            break
        comments.append(line.strip())

    def others() -> Iterator[str]:
        # Empty lines keep the numbers of the lines that follow.
        yield from ["\n"] * len(comments)
        yield from first
        for line in lines:
            yield "\n" if line.startswith(sign) else line

    return others(), comments


class _Numbered:
    """Lines of a file, and the number of the one that was read last."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        return line


def _csv_rows(path: Path, reader: Any, numbered: _Numbered) -> Iterator[tuple[str, list[str]]]:
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise CorpusError(f"{path}:{numbered.number}: is not a row ({error})") from error
        if cells:
            yield f"{path}:{numbered.number}", cells


def _first(rows: Iterator[tuple[str, list[str]]], n: int) -> list[tuple[str, list[str]]]:
    return [row for _, row in zip(range(n), rows, strict=False)]


def _header(path: Path, rows: list[list[str]]) -> list[str]:
    if not rows:
        raise CorpusError(f"{path}: is empty; want a line that names its columns")
    joined = ["/".join(filter(None, map(str.strip, cells))) for cells in zip(*rows, strict=True)]
    return [name or f"column {number}" for number, name in enumerate(joined, 1)]


def _renamed(names: list[str], aliases: Mapping[str, list[str]]) -> list[str]:
    spelled = {_bare(x): name for name, others in aliases.items() for x in (name, *others)}
    return [spelled.get(_bare(name), name.strip()) for name in names]


def _bare(name: str) -> str:
    return _PART.sub("", name.lower())


# --- records -------------------------------------------------------------------------------


def _records(root: Path, source: Source) -> Iterator[Placed]:
    """Read objects out of JSON, JSON Lines or YAML.

    Options: ``at`` (keys with dots that lead to the list), ``key`` (the list is an object,
    and its keys become this column), ``pick`` (column to keys with dots inside an object).
    JSON is read as a stream, however long the list is.
    """
    path = _one(root, source)
    options = _Options(path, source)
    at, key = options.get("at", ""), options.get("key", "")
    pick: Mapping[str, str] = options.get("pick", {})
    options.end()
    if path.suffix == ".jsonl":
        found = _json_lines(path)
    elif path.suffix in (".yaml", ".yml"):
        found = _yaml(path, at, key)
    else:
        found = _json(path, at, key)
    for where, value in found:
        if not isinstance(value, dict):
            raise CorpusError(f"{where}: is {type(value).__name__}; want an object")
        row = dict(value)
        for column, keys in pick.items():
            row[column] = _inside(value, keys, where)
        yield where, row


def _json(path: Path, at: str, key: str) -> Iterator[tuple[str, Any]]:
    import ijson

    number = 0
    try:
        with open(path, "rb") as file:
            if key:
                for name, value in ijson.kvitems(file, at, use_float=True):
                    number += 1
                    yield f"{path}:{name}", {**value, key: name}
            else:
                prefix = f"{at}.item" if at else "item"
                for number, value in enumerate(ijson.items(file, prefix, use_float=True), 1):
                    yield f"{path}:item {number}", value
    except (ijson.JSONError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise CorpusError(f"{path}:item {number + 1}: is not JSON ({reason})") from error
    if not number:
        raise CorpusError(f"{path}: holds no rows{f' at {at!r}' if at else ''}")


def _json_lines(path: Path) -> Iterator[tuple[str, Any]]:
    with open(path, encoding="utf-8-sig") as file:
        number = 0
        try:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield f"{path}:{number}", json.loads(line)
        except ValueError as error:
            reason = "not UTF-8" if isinstance(error, UnicodeDecodeError) else f"not JSON ({error})"
            raise CorpusError(f"{path}:{number}: is {reason}; want one object a line") from error


def _yaml(path: Path, at: str, key: str) -> Iterator[tuple[str, Any]]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        with open(path, encoding="utf-8") as file:
            value = yaml.load(file, Loader=loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise CorpusError(f"{path}: is not YAML ({reason})") from error
    value = _inside(value, at, str(path)) if at else value
    if key and isinstance(value, dict):
        for name, one in value.items():
            yield f"{path}:{name}", {**one, key: name}
        return
    if not isinstance(value, list):
        raise CorpusError(f"{path}: holds no list{f' at {at!r}' if at else ''}")
    for number, one in enumerate(value, 1):
        yield f"{path}:item {number}", one


def _inside(value: Any, keys: str, where: str) -> Any:
    for name in keys.split("."):
        try:
            value = value[int(name)] if isinstance(value, list) else value[name]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise CorpusError(f"{where}: has nothing at {keys!r}") from error
    return value


# --- tree ----------------------------------------------------------------------------------


def _tree(root: Path, source: Source) -> Iterator[Placed]:
    """Read columns out of the names of files.

    Options: ``regex`` with named groups over the path below the root, with forward slashes;
    ``sidecar`` (ending) and ``into`` (column) for text beside a file. What the regex does
    not fit is passed over, and counted by a check. The path is in the column ``path``.
    """
    options = _Options(root, source)
    pattern = re.compile(options.get("regex", "(?P<path>.*)"))
    sidecar, into = options.get("sidecar", ""), options.get("into", "")
    once = options.get("once", "")
    options.end()
    seen: set[str] = set()
    found = False
    for path in find_files(root, source):
        relative = path.relative_to(root).as_posix()
        match = pattern.search(relative)
        if match is None or path.name.startswith("._"):
            continue
        row: Raw = {**match.groupdict(), "path": relative, "stem": path.stem}
        if once:
            # Some archives hold their tree twice.
            key = once.format(**row)
            if key in seen:
                continue
            seen.add(key)
        if sidecar:
            beside = path.with_suffix(sidecar)
            row[into] = beside.read_text("utf-8").strip() if beside.is_file() else ""
        found = True
        yield str(path), row
    if not found:
        raise CorpusError(f"{root}: holds no {' or '.join(source.files)}")


# --- shards --------------------------------------------------------------------------------


def _shards(root: Path, source: Source) -> Iterator[Placed]:
    """Read WebDataset pairs: ``K.flac`` with ``K.json``, in tars or in folders beside them.

    The audio of a tar is used when the tar lies unpacked in a folder of its stem. Columns
    are the JSON's, ``stem`` and ``path`` of the audio, and ``shard``. Option: ``audio``
    (ending).
    """
    options = _Options(root, source)
    ending = options.get("audio", ".flac")
    options.end()
    found = False
    tars = [path for path in find_files(root, source) if path.suffix == ".tar"]
    loose = [path for path in find_files(root, source) if path.suffix == ".json"]
    unpacked = {path.with_suffix("") for path in tars}
    for path in tars:
        folder = path.with_suffix("").relative_to(root).as_posix()
        for where, stem, text in _tar_records(path):
            found = True
            audio = f"{folder}/{stem}{ending}"
            yield where, {**_object(text, where), "stem": stem, "path": audio, "shard": path.name}
    for path in loose:
        if path.parent in unpacked:
            continue
        found = True
        audio = path.with_suffix(ending).relative_to(root).as_posix()
        row = _object(path.read_bytes(), str(path))
        yield str(path), {**row, "stem": path.stem, "path": audio, "shard": path.parent.name}
    if not found:
        raise CorpusError(f"{root}: holds no {' or '.join(source.files)}")


def _tar_records(path: Path) -> Iterator[tuple[str, str, bytes]]:
    try:
        with tarfile.open(path) as tar:
            for member in tar:
                name = PurePosixPath(member.name)
                if member.isfile() and name.suffix == ".json" and ".." not in name.parts:
                    file = tar.extractfile(member)
                    if file is not None:
                        yield f"{path}!{member.name}", name.stem, file.read()
    except (tarfile.TarError, OSError) as error:
        raise CorpusError(f"{path}: is not a readable tar ({error})") from error


def _object(text: bytes, where: str) -> Raw:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise CorpusError(f"{where}: is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise CorpusError(f"{where}: is {type(value).__name__}; want an object")
    return value


# --- arrow ---------------------------------------------------------------------------------


def _arrow(root: Path, source: Source) -> Iterator[Placed]:
    """Read Parquet files; the beginning of a file's name, up to a hyphen, is ``file_split``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    _Options(root, source).end()
    found = False
    for path in find_files(root, source):
        found = True
        try:
            with pq.ParquetFile(path) as file:
                number = 0
                for batch in file.iter_batches(batch_size=1024):
                    for row in batch.to_pylist():
                        number += 1
                        more = {"file_split": path.name.partition("-")[0], "file_stem": path.stem}
                        yield f"{path}:row {number}", {**row, **more}
        except pa.ArrowException as error:
            raise CorpusError(f"{path}: is not a readable Parquet file ({error})") from error
    if not found:
        raise CorpusError(f"{root}: holds no {' or '.join(source.files)}")


# --- pickle --------------------------------------------------------------------------------


class _Restricted(pickle.Unpickler):
    """Admits the two globals of a ``defaultdict(list)`` and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        known = {("collections", "defaultdict"): defaultdict, ("builtins", "list"): list}
        known["__builtin__", "list"] = list
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"{module}.{name} is not admitted")
        return known[module, name]


def _pickle(root: Path, source: Source) -> Iterator[Placed]:
    """Read a pickled mapping of id to value; columns ``id`` and the option ``into``."""
    path = _one(root, source)
    options = _Options(path, source)
    into = options.get("into", "value")
    options.end()
    try:
        value = _Restricted(io.BytesIO(path.read_bytes())).load()
    except (pickle.UnpicklingError, EOFError, AttributeError, IndexError, ValueError) as error:
        raise CorpusError(
            f"{path}: is refused ({error}); a pickle may hold text, lists and mappings only"
        ) from error
    if not isinstance(value, dict):
        raise CorpusError(f"{path}: holds {type(value).__name__}; want a mapping of ids")
    for id_, one in value.items():
        yield f"{path}:{id_}", {"id": str(id_), into: one}


class _Options:
    """Options of a source; what no reader knows is a mistake of the declaration."""

    def __init__(self, where: Path, source: Source) -> None:
        self._where = where
        self._reader = source.reader
        self._values = dict(source.options)

    def get(self, name: str, default: Any) -> Any:
        return self._values.pop(name, default)

    def end(self) -> None:
        if self._values:
            raise CorpusError(
                f"{self._where}: reader {self._reader!r} has no option {next(iter(self._values))!r}"
            )


_READERS: dict[str, Callable[[Path, Source], Iterator[Placed]]] = {
    "table": _table,
    "records": _records,
    "tree": _tree,
    "shards": _shards,
    "arrow": _arrow,
    "pickle": _pickle,
}
