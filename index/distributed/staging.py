"""Staging: results of units kept in files until the driver commits them.

::

    sounds.index/staging/RUN/
        UNIT.arrow    finished rows, an Arrow IPC file of one batch
        UNIT.json     the record: its file, size and digest, and what became of the other rows

A record counts once it is there under its name, which is after its file: both are written under
another name and renamed. What a dead driver leaves is taken up by the next one. Whoever can write
the folder can write a record, so one is read as a stranger's: JSON with every field checked, sizes
bounded, the file's bytes compared with their digest, and each row with its own.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from earful.errors import IndexFolderError
from earful.files import replaced
from earful.index.corpus import Rejection
from earful.index.distributed.batches import require_whole
from earful.index.distributed.units import UnitResult
from earful.index.intake import DoubtfulAudio, Rejected
from earful.index.storage import NOT_LABELS, table_schema, write_text
from earful.model.runtime import sha256_of
from earful.wording import quoted

if TYPE_CHECKING:
    import pyarrow as pa

    from earful.model import Fingerprint

_FOLDER: Final = "staging"
_FORMAT: Final = 1
_NAME: Final = re.compile(r"[0-9a-z][0-9a-z_-]{0,127}")
# Of rows with 512 numbers: more than two million, more than anybody should commit at once.
_MOST_BYTES: Final = 4 << 30
_MOST_RECORD_BYTES: Final = 256 << 20


class Staging:
    """The results of one run that are not committed yet.

    Args:
        index: The index folder, as this process sees it.
        run: Name of the run: equal for a run that goes on where another one ended.
    """

    def __init__(self, index: Path, run: str) -> None:
        self.folder = index / _FOLDER / _name(run)

    def write(self, result: UnitResult) -> Path:
        """Keep a result; one of the same unit is replaced.

        Returns:
            The record.

        Raises:
            IndexFolderError: The folder cannot be written, or is full.
        """
        import pyarrow as pa

        rows = self.folder / f"{_name(result.unit)}.arrow"
        record = rows.with_suffix(".json")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (
                replaced(rows) as beside,
                pa.OSFile(str(beside), "wb") as sink,
                pa.ipc.new_file(sink, result.batch.schema) as writer,
            ):
                writer.write_batch(result.batch)
        except OSError as error:
            raise IndexFolderError(
                f"{rows}: cannot be written ({error.strerror or error}); free some space, or "
                "choose a folder that every worker can write"
            ) from error
        about = {
            "format": _FORMAT,
            "unit": result.unit,
            "file": rows.name,
            "bytes": rows.stat().st_size,
            "sha256": sha256_of(rows),
            "ids_sha256": _ids_digest(result.batch),
            "numbers": list(result.numbers),
            "unchanged": list(result.unchanged),
            "rejected": [_plain_rejected(item) for item in result.rejected],
            "n_reused": result.n_reused,
            "audio_s": result.audio_s,
            "doubtful": [one.to_dict() for one in result.doubtful],
            "beyond": list(result.beyond),
        }
        write_text(record, json.dumps(about))
        return record

    def records(self) -> list[Path]:
        """Return the records that are there, by name."""
        return sorted(self.folder.glob("*.json"))

    def read(self, record: Path, fingerprint: Fingerprint, n_classes: int) -> UnitResult:
        """Read a record and its rows, and compare all of it with its digests.

        Args:
            record: Of this run.
            fingerprint: The embedder of the index.
            n_classes: Class scores of a row of the index; 0 for none.

        Raises:
            IndexFolderError: It is missing or damaged, too large, or not of this index.
        """
        about = _read_record(record)
        rows = self.folder / f"{record.stem}.arrow"
        try:
            if about["file"] != rows.name or about["unit"] != record.stem:
                raise ValueError(f"it names {quoted(about['file'])}, expected {rows.name!r}")
            batch = _read_rows(rows, about, table_schema(fingerprint, n_classes))
            result = _to_result(about, batch)
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise _damaged(record, error) from error
        require_whole(batch, where=str(rows))
        return result

    def remove(self, record: Path) -> None:
        """Remove a record, and then its rows."""
        record.unlink(missing_ok=True)
        record.with_suffix(".arrow").unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove all that is there, half-written files as well."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(
            f"{quoted(text)}: expected a name of small letters, digits, - and _, such as 'night-1'"
        )
    return text


def _ids_digest(batch: pa.RecordBatch) -> str:
    ids = json.dumps(batch.column("id").to_pylist())
    return hashlib.sha256(ids.encode()).hexdigest()


def _plain_rejected(item: Rejected) -> dict[str, Any]:
    rejection = item.rejection
    about = {**rejection.to_dict(), "root": rejection.root, "stretch": rejection.stretch}
    return {"number": item.number, "id": item.id, "rejection": about}


# --- a stranger's record -------------------------------------------------------------------


def _read_record(record: Path) -> dict[str, Any]:
    try:
        if record.is_symlink():
            raise ValueError("it is a link")
        if (size := record.stat().st_size) > _MOST_RECORD_BYTES:
            raise ValueError(f"it has {size:,} bytes, at most {_MOST_RECORD_BYTES:,} are read")
        about = json.loads(record.read_bytes().decode())
        if not isinstance(about, dict):
            raise ValueError("it is no JSON object")
        if about.get("format") != _FORMAT:
            raise ValueError(f"format {quoted(about.get('format'))}, expected {_FORMAT}")
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(record, error) from error
    return about


def _read_rows(path: Path, about: Mapping[str, Any], schema: pa.Schema) -> pa.RecordBatch:
    import pyarrow as pa

    size = path.stat().st_size
    if path.is_symlink() or size != _whole(about, "bytes") or size > _MOST_BYTES:
        raise ValueError(f"{path.name} has {size:,} bytes, expected {quoted(about['bytes'])}")
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != about["sha256"]:
        raise ValueError(f"{path.name} has other bytes than were written")
    try:
        with pa.ipc.open_file(pa.BufferReader(data)) as file:
            wanted = [*schema, pa.field(NOT_LABELS, pa.list_(pa.string()), nullable=False)]
            full = pa.schema(wanted[: len(schema) + (NOT_LABELS in file.schema.names)])
            if not file.schema.equals(full, check_metadata=False):
                raise ValueError(f"{path.name} has other columns than this index")
            if file.num_record_batches != 1:
                raise ValueError(f"{path.name} has {file.num_record_batches} batches, expected 1")
            batch = file.get_batch(0)
        batch.validate(full=True)
    except pa.ArrowException as error:
        raise ValueError(f"{path.name} is no Arrow file of rows ({error})") from error
    if _ids_digest(batch) != about["ids_sha256"]:
        raise ValueError(f"{path.name} has other ids than the record")
    return batch


def _to_result(about: Mapping[str, Any], batch: pa.RecordBatch) -> UnitResult:
    numbers = _places(about, "numbers")
    if len(numbers) != batch.num_rows:
        raise ValueError(f"{len(numbers)} numbers for {batch.num_rows} rows")
    audio_s = about["audio_s"]
    if type(audio_s) not in (int, float) or not audio_s >= 0:
        raise ValueError(f"audio_s={quoted(audio_s)}: expected 0 or more seconds")
    beyond = _places(about, "beyond")
    if len(beyond) != 5:
        raise ValueError(f"beyond={quoted(about['beyond'])}: expected five counts")
    result = UnitResult(
        unit=about["unit"],
        batch=batch,
        numbers=numbers,
        unchanged=_places(about, "unchanged"),
        rejected=tuple(map(_to_rejected, _listed(about, "rejected"))),
        n_reused=_whole(about, "n_reused"),
        audio_s=float(audio_s),
        doubtful=tuple(map(_to_doubtful, _listed(about, "doubtful"))),
        beyond=beyond,
    )
    every = [*numbers, *result.unchanged, *(item.number for item in result.rejected)]
    if len(set(every)) != len(every):
        raise ValueError("a row is there twice")
    return result


def _to_rejected(values: Any) -> Rejected:
    about = values["rejection"]
    texts = ("audio", "row", "error", "root", "stretch")
    return Rejected(
        number=_whole(values, "number"),
        id=_text(values, "id"),
        rejection=Rejection.from_dict({name: _text(about, name) for name in texts}),
    )


def _to_doubtful(values: Any) -> DoubtfulAudio:
    counts = {name: _whole(values, name) for name in ("n", "n_unusable")}
    kind: Any = _text(values, "kind")
    return DoubtfulAudio(
        kind=kind, first=_text(values, "first"), text=_text(values, "text"), **counts
    )


def _places(about: Mapping[str, Any], name: str) -> tuple[int, ...]:
    found = _listed(about, name)
    if any(type(one) is not int or one < 0 for one in found):
        raise ValueError(f"{name}={quoted(found)}: expected whole numbers of 0 or more")
    return tuple(found)


def _listed(about: Mapping[str, Any], name: str) -> Sequence[Any]:
    found = about[name]
    if not isinstance(found, list):
        raise ValueError(f"{name}={quoted(found)}: expected a list")
    return found


def _whole(about: Mapping[str, Any], name: str) -> int:
    found = about[name]
    if type(found) is not int or found < 0:
        raise ValueError(f"{name}={quoted(found)}: expected a whole number of 0 or more")
    return found


def _text(about: Mapping[str, Any], name: str) -> str:
    found = about[name]
    if not isinstance(found, str):
        raise ValueError(f"{name}={quoted(found)}: expected a text")
    return found


def _damaged(record: Path, error: Exception) -> IndexFolderError:
    return IndexFolderError(
        f"{record}: is no whole record of staged rows ({error}); remove it and its .arrow file: "
        "the next build embeds those rows again"
    )
