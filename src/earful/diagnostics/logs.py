"""Log output on stderr: lines for a person, or JSON for a program.

The library uses ``logging`` under the name ``earful``, and nothing is shown by default.
Numbers are in a record's extra fields, so that a program need not parse the sentence.
"""

from __future__ import annotations

import io
import json
import logging
import re
import sys
import time
import traceback
from datetime import UTC, datetime
from typing import TextIO

from earful.wording import printable

_LOGGER = "earful"
# Attributes of every record, and those that formatting adds; all others are its fields.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
# The first word of a line for people, and its level.
_LEVELS = {"error": "error", "note": "warning", "leak": "warning"}


def show_logs(level: int, *, as_json: bool) -> None:
    """Show records of the library on stderr from now on.

    Args:
        level: The lowest level shown, such as ``logging.INFO``.
        as_json: One JSON object per line rather than a sentence.
    """
    logger = logging.getLogger(_LOGGER)
    for handler in logger.handlers[:]:
        if isinstance(handler, _Stderr):
            logger.removeHandler(handler)
    shown = _Stderr()
    shown.setFormatter(_JsonLines() if as_json else _Lines())
    logger.addHandler(shown)
    logger.setLevel(level)


def show_faults() -> None:
    """Show errors of the library on stderr, unless records are shown already.

    For what runs unseen for hours: there a fault is logged, as nobody waits for it to be raised.
    """
    if not any(isinstance(one, _Stderr) for one in logging.getLogger(_LOGGER).handlers):
        show_logs(logging.ERROR, as_json=False)


def is_debugging() -> bool:
    """Tell whether every record is shown."""
    return logging.getLogger(_LOGGER).isEnabledFor(logging.DEBUG)


class _Stderr(logging.StreamHandler):  # type: ignore[type-arg]
    """A handler that writes to whatever ``sys.stderr`` is at the time."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr.stream if isinstance(sys.stderr, JsonStderr) else sys.stderr
        super().emit(record)


class JsonStderr(io.TextIOBase):
    """A replacement of ``sys.stderr`` that turns each line into one JSON object.

    A program that reads the log then finds nothing else: notes, errors, progress and wrong
    usage are objects of the log's own form, with the logger ``earful.cli``.
    """

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, stream: TextIO) -> None:
        """Write the objects to ``stream``."""
        self.stream = stream
        self._begun = ""

    def write(self, text: str) -> int:
        """Write every complete line; the rest waits for its end."""
        *whole, self._begun = re.split(r"[\r\n]", self._begun + text)
        for line in whole:
            self._write_object(line)
        return len(text)

    def finish(self) -> None:
        """Write the last line, which has no line end."""
        self.write("\n")

    def flush(self) -> None:
        """Flush the stream behind this one."""
        self.stream.flush()

    def fileno(self) -> int:
        """Return the descriptor of the stream behind this one."""
        return self.stream.fileno()

    def write_error(self, message: str, help_link: str) -> None:
        """Write an error with the place where its kind is explained, under ``help``."""
        self._write_object(f"error: {message}", help=help_link)

    def _write_object(self, line: str, **more: str) -> None:
        if not line.strip():
            return
        prefix, colon, rest = line.partition(": ")
        level = _LEVELS.get(prefix.lower()) if colon else None
        message = rest if level else line
        values = _object(time.time(), level or "info", f"{_LOGGER}.cli", message)
        self.stream.write(json.dumps(values | more) + "\n")
        self.stream.flush()


def is_stderr_json() -> bool:
    """Tell whether stderr has JSON only."""
    return isinstance(sys.stderr, JsonStderr)


def log_traceback() -> None:
    """Log the traceback of the exception at hand as one record."""
    logging.getLogger(f"{_LOGGER}.cli").debug(
        "where it came from", extra={"traceback": traceback.format_exc()}
    )


class _Lines(logging.Formatter):
    """Time, level, logger and the sentence, with its control characters escaped."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S.%f")[:-3]
        where = record.name.removeprefix(f"{_LOGGER}.")
        return f"{time} {record.levelname.lower()} {where}: {printable(record.getMessage())}"


class _JsonLines(logging.Formatter):
    """``time``, ``level``, ``logger``, ``message`` and, if it has any, ``fields``."""

    def format(self, record: logging.LogRecord) -> str:
        values = _object(record.created, record.levelname.lower(), record.name, record.getMessage())
        fields = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if fields:
            values["fields"] = fields
        # ASCII, so that a name that is not UTF-8 stays one line that every reader accepts.
        return json.dumps(values, default=str)


def _object(created: float, level: str, logger: str, message: str) -> dict[str, object]:
    time_utc = datetime.fromtimestamp(created, UTC).isoformat(timespec="milliseconds")
    return {"time": time_utc, "level": level, "logger": logger, "message": message}
