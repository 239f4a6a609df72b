"""The file of an evaluation: settings, fingerprints, versions, items and every answer.

While an evaluation runs, finished items are appended to ``NAME.partial``, a line each, so
that a killed run goes on where it was. What is finished is one JSON document, from which
every number can be computed again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from earful.errors import EvaluationError
from earful.rag.asker import Row

FORMAT = "earful-evaluation"
VERSION = 1

Header = Mapping[str, Any]


def digest_of(header: Header) -> str:
    """Return hex SHA-256 over what decides the answers of a run."""
    plain = json.dumps(header, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(plain.encode("ascii")).hexdigest()


class RunFile:
    """The document of a run, and what was done of it so far.

    Args:
        path: Where the document goes; its partial stands beside it.
        header: All that decides the answers; another header is another run.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self.path = path
        self.partial = path.with_name(path.name + ".partial")
        self._header = header
        self._digest = digest_of(header)

    def done(self) -> dict[str, tuple[Row, ...]]:
        """Return the answers that are there already, by item.

        Raises:
            EvaluationError: What is there is of another run, or cannot be read.
        """
        if self.path.exists():
            document = read_run(self.path)
            self._require_same(document["digest"], self.path)
            rows: dict[str, list[Row]] = {}
            for row in document["rows"]:
                rows.setdefault(row["item"], []).append(Row.from_dict(row))
            return {item: tuple(some) for item, some in rows.items()}
        if not self.partial.exists():
            return {}
        lines = self.partial.read_text(encoding="utf-8").splitlines()
        try:
            first = json.loads(lines[0])
        except (IndexError, ValueError):
            return {}
        self._require_same(first.get("digest"), self.partial)
        done: dict[str, tuple[Row, ...]] = {}
        for number, line in enumerate(lines[1:], 2):
            try:
                values = json.loads(line)
                done[values["item"]] = tuple(Row.from_dict(row) for row in values["rows"])
            except (ValueError, KeyError, TypeError) as error:
                if number == len(lines):
                    # Killed in the midst of a line: that item is asked about again.
                    break
                raise EvaluationError(
                    f"{self.partial}:{number}: is not a line of a run ({error}); delete the file "
                    "to begin anew"
                ) from error
        return done

    @contextmanager
    def appending(self, done: Mapping[str, Sequence[Row]]) -> Iterator[TextIO]:
        """Open the partial for further items, whole lines of earlier ones kept."""
        self._writable()
        with open(self.partial, "w", encoding="utf-8") as file:
            file.write(json.dumps({"digest": self._digest}) + "\n")
            for item, rows in done.items():
                append(file, item, rows)
            yield file

    def finish(self, document: Mapping[str, Any]) -> None:
        """Write the document in one piece, and drop the partial."""
        self._writable()
        whole = {"format": FORMAT, "version": VERSION, "digest": self._digest, **document}
        unfinished = self.path.with_name(self.path.name + ".writing")
        with open(unfinished, "w", encoding="utf-8") as file:
            json.dump(whole, file, ensure_ascii=True, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, self.path)
        self.partial.unlink(missing_ok=True)

    def _writable(self) -> None:
        if not self.path.parent.is_dir():
            raise EvaluationError(
                f"{self.path.parent} is no folder; want one that the run can be written to"
            )

    def _require_same(self, digest: object, where: Path) -> None:
        if digest != self._digest:
            raise EvaluationError(
                f"{where} is of another run: other settings, task, index, model or version; give "
                "another --out, or delete it to begin anew"
            )


def append(file: TextIO, item: str, rows: Sequence[Row]) -> None:
    """Write one item's answers as a line, and hand it to the system."""
    file.write(json.dumps({"item": item, "rows": [row.to_dict() for row in rows]}) + "\n")
    file.flush()


def read_run(path: Path) -> dict[str, Any]:
    """Read a finished run.

    Raises:
        EvaluationError: It is missing, is no such file, or is of a newer format.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise EvaluationError(
            f"{path}: cannot be read ({error.strerror}); want a file that `earful evaluate` wrote"
        ) from error
    except ValueError as error:
        raise EvaluationError(f"{path}: is not JSON ({error}); want an evaluation's run") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise EvaluationError(f"{path}: is not a run; want a file that `earful evaluate` wrote")
    if document.get("version") != VERSION:
        raise EvaluationError(
            f"{path}: has format {document.get('version')}; this earful reads {VERSION}"
        )
    return document
