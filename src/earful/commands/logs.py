"""What the library logs, on stderr: lines for a person, or JSON for a program.

The library uses ``logging`` under the name ``earful`` and nothing listens by default. What
a record counts stands in its extra fields, so that a program need not read the sentence.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from earful.console import printable

_LOGGER = "earful"
# What every record has, and what formatting adds to it; all else is its fields.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def listen(level: int, *, as_json: bool) -> None:
    """Show records of the library on stderr from now on.

    Args:
        level: The least level shown, such as ``logging.INFO``.
        as_json: One JSON object a line rather than a sentence.
    """
    logger = logging.getLogger(_LOGGER)
    for handler in logger.handlers[:]:
        if isinstance(handler, _Stderr):
            logger.removeHandler(handler)
    shown = _Stderr()
    shown.setFormatter(_JsonLines() if as_json else _Lines())
    logger.addHandler(shown)
    logger.setLevel(level)


def is_debugging() -> bool:
    """Say whether somebody wants to see everything."""
    return logging.getLogger(_LOGGER).isEnabledFor(logging.DEBUG)


class _Stderr(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to what ``sys.stderr`` is at the time."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


class _Lines(logging.Formatter):
    """A time, a level, where from, and the sentence, with its control characters escaped."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S.%f")[:-3]
        where = record.name.removeprefix(f"{_LOGGER}.")
        return f"{time} {record.levelname.lower()} {where}: {printable(record.getMessage())}"


class _JsonLines(logging.Formatter):
    """``time``, ``level``, ``logger``, ``message`` and, if it has any, ``fields``."""

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if fields:
            told["fields"] = fields
        # ASCII, so that a name that is not UTF-8 stays one line that every reader takes.
        return json.dumps(told, default=str)
