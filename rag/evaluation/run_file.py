"""Run file: an evaluation's settings, fingerprints, versions, items and every answer.

While an evaluation runs, finished items are appended to ``NAME.partial``, a line each, so
that a killed run resumes where it was. Lines are never rewritten: at worst the last one is
torn, and its item is asked about again. A finished run is one JSON document, from which every
number can be computed again.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from earful.errors import EvaluationError
from earful.files import NO_ROOM, write_atomically
from earful.plain import json_digest
from earful.rag.evaluation.arms import Prediction
from earful.system import FileLock, flush, lock_beside, open_descriptor, sync_folder
from earful.wording import quoted

FORMAT = "earful-evaluation"
VERSION = 1
"""Of a run with one way to ask at most one language model."""
VERSION_OF_SEVERAL = 2
"""Of a run that tells models or modes of shots apart, which readers of 1 would mix up."""

Header = Mapping[str, Any]
Answers = dict[str, tuple[Prediction, ...]]


@dataclass(slots=True)
class Part:
    """What a run file holds of one language model, where several are compared.

    Attributes:
        about: What decides this model's answers; ``None`` until it has been asked.
        done: The answers that were found in the file, by item.
        spent: Requests, tokens, seconds and cost of everything that was asked so far.
    """

    about: Header | None = None
    done: Answers = field(default_factory=dict)
    spent: dict[str, float] = field(default_factory=dict)

    def spend(self, more: Mapping[str, float]) -> None:
        """Add what was asked just now."""
        for name, value in more.items():
            self.spent[name] = self.spent.get(name, 0) + value


# A power cut loses the answers of at most so many seconds.
_SYNC_EVERY_S = 1.0
_CLOSED = -1
_MOST_SHOWN = 5


class RunFile:
    """The file of a run, finished or under way; locked by one process at a time.

    ::

        with RunFile(path, header) as file:
            file.append("dog/1.wav", rows)
            file.finish(document)

    Where several language models are compared, each has a part with answers of its own.

    Args:
        path: Path of the document; the partial lies beside it.
        header: Everything that decides the answers; another header is another run.

    Attributes:
        done: The answers that were found in the file, by item, but for those of parts.
        parts: The parts that were found in it, by the model's name.
        is_finished: Whether the document exists.

    Raises:
        EvaluationError: On entering: the file is of another run, cannot be read or written,
            or is locked by another process.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self.path = path
        self.partial = path.with_name(path.name + ".partial")
        self.done: Answers = {}
        self.parts: dict[str, Part] = {}
        self.is_finished = False
        self._header = header
        self._digest = json_digest(header)
        self._descriptor = _CLOSED
        self._lock = FileLock(lock_beside(self.partial))
        self._synced_s = 0.0

    def __enter__(self) -> Self:
        """Lock the partial and read it; of a finished run only read the document."""
        if not self.path.parent.is_dir():
            raise EvaluationError(
                f"{self.path.parent} is no folder: expected one that the run can be written to"
            )
        if not self.path.exists():
            self._lock_partial()
        try:
            # Looked for again: another process may have finished it in between.
            if self.path.exists():
                self.done = self._read_finished()
                self.is_finished = True
                self._drop_leftover()
            else:
                with self._writing(self.partial):
                    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
                    self._descriptor = open_descriptor(self.partial, flags)
                    self.done = self._resume()
        except BaseException:
            self._unlock()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._unlock()

    def append(
        self,
        item: str,
        rows: Sequence[Prediction],
        *,
        part: str = "",
        spent: Mapping[str, float] | None = None,
    ) -> None:
        """Append one item's answers; from then on a kill cannot lose them.

        Args:
            item: Id of the item.
            rows: The answers.
            part: The model whose answers they are, where several are compared.
            spent: What asking it took.

        Raises:
            EvaluationError: They cannot be written.
        """
        line: dict[str, Any] = {"item": item, "rows": [row.to_dict() for row in rows]}
        if part:
            line |= {"part": part, "spent": dict(spent or {})}
        with self._writing(self.partial):
            self._write_line(json.dumps(line))

    def begin_part(self, name: str, about: Header) -> None:
        """Write down what decides a model's answers, before the first of them.

        Raises:
            EvaluationError: It cannot be written.
        """
        with self._writing(self.partial):
            self._write_line(json.dumps({"part": name, "about": about}))

    def finish(self, document: Mapping[str, Any]) -> None:
        """Write the document in one piece, and drop the partial.

        Raises:
            EvaluationError: It cannot be written.
        """
        version = VERSION_OF_SEVERAL if tells_apart(document) else VERSION
        whole = {"format": FORMAT, "version": version, "digest": self._digest, **document}
        text = json.dumps(whole, ensure_ascii=True, indent=1) + "\n"
        with self._writing(self.path):
            write_atomically(self.path, text)
        self.is_finished = True
        self._close_partial()  # Windows removes no open file
        with suppress(OSError):
            self.partial.unlink(missing_ok=True)

    # --- the partial -----------------------------------------------------------------------

    def _lock_partial(self) -> None:
        with self._writing(self.partial):
            is_ours = self._lock.acquire()
        if not is_ours:
            raise EvaluationError(
                f"{self.path}: another process is at this run; wait until it ends, or give "
                "another --out"
            )

    def _resume(self) -> Answers:
        """Read the answers in the partial, and cut a torn last line off."""
        with open(self.partial, "rb") as file:
            content = file.read()
        # The digest comes first, and the header says later what is different in another run.
        first = json.dumps({"digest": self._digest, "header": self._header})
        end = content.rfind(b"\n") + 1
        if not end and first.encode("ascii").startswith(content):
            # New, or killed before the first answer.
            os.ftruncate(self._descriptor, 0)
            self._write_line(first)
            sync_folder(self.partial.parent)
            return {}
        head, *lines = content[:end].decode("utf-8", errors="replace").split("\n")
        self._require_same(*_begun_by(head), self.partial)
        os.ftruncate(self._descriptor, end)
        done: Answers = {}
        for line in lines:
            # A line that a power cut left unreadable counts as not written.
            with suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):
                self._read_line(json.loads(line), done)
        return done

    def _read_line(self, values: Any, done: Answers) -> None:
        """Read an item's answers, or what a part begins with."""
        name = values.get("part", "")
        if "about" in values:
            self.parts.setdefault(str(name), Part()).about = dict(values["about"])
            return
        item, rows = str(values["item"]), tuple(map(Prediction.from_dict, values["rows"]))
        if not name:
            done[item] = rows
            return
        part = self.parts.setdefault(str(name), Part())
        part.done[item] = rows
        part.spend({str(what): float(n) for what, n in values["spent"].items()})

    def _write_line(self, line: str) -> None:
        rest = f"{line}\n".encode("ascii")
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        if time.monotonic() - self._synced_s >= _SYNC_EVERY_S:
            flush(self._descriptor)
            self._synced_s = time.monotonic()

    def _unlock(self) -> None:
        self._close_partial()
        self._lock.release()

    def _close_partial(self) -> None:
        if self._descriptor == _CLOSED:
            return
        with suppress(OSError):
            flush(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = _CLOSED

    # --- the document ----------------------------------------------------------------------

    def _read_finished(self) -> Answers:
        """Read the answers in the document."""
        document = read_run(self.path)
        self._require_same(document.get("digest"), document, self.path)
        done: dict[str, list[Prediction]] = {}
        try:
            for row in document["rows"]:
                done.setdefault(row["item"], []).append(Prediction.from_dict(row))
        except (KeyError, TypeError, ValueError) as error:
            raise EvaluationError(
                f"{self.path}: is damaged ({type(error).__name__}: {error}); delete it to begin "
                "anew, or restore it from a copy"
            ) from error
        return {item: tuple(rows) for item, rows in done.items()}

    def _drop_leftover(self) -> None:
        """Delete the partial that a kill left beside its finished document."""
        with suppress(OSError), open(self.partial, encoding="utf-8", errors="replace") as file:
            if _begun_by(file.readline())[0] == self._digest:
                self.partial.unlink(missing_ok=True)

    def _require_same(self, digest: object, header: Header, where: Path) -> None:
        if digest != self._digest:
            # What is read from a file has lists where a tuple was written.
            plain = json.loads(json.dumps(self._header))
            changed = _differences(header, plain) if header else []
            shown = "; ".join(changed[:_MOST_SHOWN]) or "its first line does not say how"
            more = f"; and {len(changed) - _MOST_SHOWN} more" if len(changed) > _MOST_SHOWN else ""
            raise EvaluationError(
                f"{where} is of another run: give another --out, or delete it to begin anew. "
                f"Changed since: {shown}{more}"
            )

    @contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        """Turn an ``OSError`` into an error that says what was kept and what to do."""
        try:
            yield
        except OSError as error:
            is_full = error.errno in NO_ROOM
            step = (
                f"{'make room' if is_full else 'make it writable'} and run the same command again"
            )
            if self._holds_answers():
                step = f"the answers until here are kept: {step}"
            else:
                step = f"{step}, or give another --out"
            raise EvaluationError(
                f"{path}: cannot be written ({error.strerror}); {step}"
            ) from error

    def _holds_answers(self) -> bool:
        """Whether the partial has more than its first line."""
        try:
            with open(self.partial, "rb") as file:
                return len(file.readlines()) > 1
        except OSError:
            return False


def read_run(path: Path) -> dict[str, Any]:
    """Read a finished run.

    Raises:
        EvaluationError: The file is missing, is not a run, or is of another format.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise EvaluationError(
            f"{path}: cannot be read ({error.strerror}): expected a file that `earful evaluate` "
            "wrote"
        ) from error
    except (ValueError, RecursionError) as error:
        raise EvaluationError(
            f"{path}: is not JSON ({error}): expected a file that `earful evaluate` wrote"
        ) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise EvaluationError(f"{path}: is not a run: expected a file that `earful evaluate` wrote")
    if document.get("version") not in (VERSION, VERSION_OF_SEVERAL):
        raise EvaluationError(
            f"{path}: expected format {VERSION} or {VERSION_OF_SEVERAL}, got "
            f"{document.get('version')}; another version of earful wrote it"
        )
    return document


def tells_apart(document: Mapping[str, Any]) -> bool:
    """Whether a run tells language models or modes of shots apart."""
    return any("model" in arm or "shot_mode" in arm for arm in document.get("arms", ()))


def _differences(old: Any, new: Any, where: str = "") -> list[str]:
    """Return the differences of two headers, place by place, as ``"place: old, now new"``."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        names = [name for name in new if old.get(name) != new[name]]
        return [
            line
            for name in names
            for line in _differences(old.get(name), new[name], f"{where}.{name}".lstrip("."))
        ]
    if isinstance(old, list) and isinstance(new, list):
        if any(isinstance(one, Mapping | list) for one in (*old, *new)):
            n_same = sum(one in new for one in old)
            return [f"{where}: {len(old)}, now {len(new)}, of which {n_same} are the same"]
    elif isinstance(new, str) and len(new) == 64:
        return [f"{where}: other ones"]
    return [f"{where}: {quoted(old)}, now {quoted(new)}"]


def _begun_by(head: str) -> tuple[object, Header]:
    """Return the digest and the header in a partial's first line, as far as they are there."""
    try:
        first = dict(json.loads(head))
    except (ValueError, TypeError, RecursionError):
        return None, {}
    return first.get("digest"), first.get("header", {})
