"""Label: what a reviewer said of a stretch, a line of a journal; Undo, which takes it back."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final, Literal, Self, cast, get_args

from earful.errors import LabelError
from earful.index.corpus import name_fault, text_fault, to_nfc
from earful.values import short_repr
from earful.wording import listed, quoted

Polarity = Literal["positive", "negative", "unknown", "skip"]
"""The sound is there, is not, the reviewer is unsure, or says nothing now."""

LabelSource = Literal["review", "missed", "random", "index", "ask", "import", "resolve"]
"""How a label came about: a queue, a sound that was missed, a random draw, a row of an index, a
question, a table, or the settling of a dispute."""

POLARITIES: Final[tuple[Polarity, ...]] = get_args(Polarity)
LABEL_SOURCES: Final[tuple[LabelSource, ...]] = get_args(LabelSource)

MOST_NAME: Final = 200
MOST_ITEM: Final = 4_096
MOST_COMMENT: Final = 2_000
_SHA256: Final = re.compile("[0-9a-f]{64}")
# A day; what was open for longer was forgotten.
_MOST_SEEN_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What a reviewer said of one stretch of a recording.

    >>> Label(item="9f3a01c2d4e5b6a7", recording="night.wav", recording_sha256="", start_s=1.0,
    ...     end_s=1.5, label="wren", polarity="positive", reviewer="ana").polarity
    'positive'

    Attributes:
        item: What was labelled: the id of an event, or of an index's row.
        recording: Path of the recording, as the scan or the index names it.
        recording_sha256: Hex SHA-256 of the file; empty when unknown.
        start_s: Where the stretch begins, in seconds from the file's start.
        end_s: Where it ends (exclusive), in seconds.
        label: Name of the sound, of 1 to 200 characters.
        polarity: Whether it is there. A negative says that this label is wrong, nothing more.
        reviewer: Who said so, of 1 to 200 characters.
        source: How the label came about.
        guess: What the detector had said; empty for nothing.
        score: Of the guess, when it was shown; ``None`` without one.
        threshold: What the score was compared with; ``None`` without one.
        detector: Which detector; empty for none.
        queue: Why the item was shown, such as ``"margin"``; empty when it was not.
        seen_ms: How long it was looked at, in milliseconds; ``None`` when unknown.
        comment: Of at most 2,000 characters.
        flagged: Whether another reviewer should look at it.
        seq: Number of its line, from 1; 0 before it is written.
        at: When, in UTC; ``None`` before it is written.

    Raises:
        LabelError: A value is none that can be kept; ``field`` names it.
    """

    item: str
    recording: str
    recording_sha256: str
    start_s: float
    end_s: float
    label: str
    polarity: Polarity
    reviewer: str
    source: LabelSource = "review"
    guess: str = ""
    score: float | None = None
    threshold: float | None = None
    detector: str = ""
    queue: str = ""
    seen_ms: int | None = None
    comment: str = ""
    flagged: bool = False
    seq: int = 0
    at: datetime | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        for name in ("label", "reviewer", "guess"):
            object.__setattr__(self, name, _name(name, getattr(self, name), name != "guess"))
        for name in ("detector", "queue"):
            object.__setattr__(self, name, _name(name, getattr(self, name), False))
        _check_text("item", self.item, least=1)
        _check_text("recording", self.recording, least=0)
        if self.recording_sha256 and not _matches_digest(self.recording_sha256):
            raise LabelError(
                f"recording_sha256={quoted(self.recording_sha256)}: expected 64 hex digits, or "
                "none",
                field="recording_sha256",
            )
        for name in ("start_s", "end_s", "score", "threshold"):
            value = getattr(self, name)
            if value is not None or name in ("start_s", "end_s"):
                object.__setattr__(self, name, _number(name, value))
        if self.start_s < 0:
            raise LabelError(f"start_s={self.start_s:g}: expected 0 or more", field="start_s")
        if self.end_s <= self.start_s:
            raise LabelError(
                f"end_s={self.end_s:g} is not after start_s={self.start_s:g}", field="end_s"
            )
        _check_choice("polarity", self.polarity, POLARITIES)
        _check_choice("source", self.source, LABEL_SOURCES)
        if self.source == "resolve" and self.polarity == "skip":
            raise LabelError(
                "a dispute cannot be settled by 'skip'; expected 'positive', 'negative' or "
                "'unknown'",
                field="polarity",
            )
        if self.seen_ms is not None:
            _check_count("seen_ms", self.seen_ms, _MOST_SEEN_MS)
        _check_count("seq", self.seq, None)
        fault = text_fault(self.comment) if isinstance(self.comment, str) else "is no text"
        if not fault and len(self.comment) > MOST_COMMENT:
            fault = f"has {len(self.comment)} characters; expected at most {MOST_COMMENT}"
        if fault:
            raise LabelError(f"comment {quoted(self.comment)} {fault}", field="comment")
        if not isinstance(self.flagged, bool):
            raise LabelError(
                f"flagged={quoted(self.flagged)}: expected true or false", field="flagged"
            )
        if self.at is not None:
            object.__setattr__(self, "at", _moment(self.at))

    @property
    def is_opinion(self) -> bool:
        """Whether it says that the sound is there or is not."""
        return self.polarity in ("positive", "negative")

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values: a line of ``labels.jsonl``."""
        first = {"seq": self.seq, "at": None if self.at is None else moment_text(self.at)}
        return first | {
            one.name: getattr(self, one.name)
            for one in fields(self)
            if one.name not in ("seq", "at")
        }

    @classmethod
    def from_dict(cls, line: Mapping[str, Any]) -> Self:
        """Make a label of what ``to_dict`` returned.

        Raises:
            LabelError: A field is missing, unknown or none that can be kept.
        """
        known = {one.name for one in fields(cls)}
        if unknown := sorted(set(line) - known):
            raise LabelError(f"unknown field {quoted(unknown[0])}", field=str(unknown[0]))
        for one in ("item", "recording", "recording_sha256", "start_s", "end_s", "label"):
            if one not in line:
                raise LabelError(f"has no {one}", field=one)
        for one in ("polarity", "reviewer"):
            if one not in line:
                raise LabelError(f"has no {one}", field=one)
        return cls(**{**line, "at": read_moment(line.get("at"))})


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """A line that takes back a label.

    Attributes:
        undo: ``seq`` of the label that no longer counts.
        reviewer: Who took it back: who had said it.
        seq: Number of its line.
        at: When, in UTC.
    """

    undo: int
    reviewer: str
    seq: int
    at: datetime

    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values: a line of ``labels.jsonl``."""
        return {
            "seq": self.seq,
            "at": moment_text(self.at),
            "reviewer": self.reviewer,
            "undo": self.undo,
        }

    @classmethod
    def from_dict(cls, line: Mapping[str, Any]) -> Self:
        """Make an undo of what ``to_dict`` returned.

        Raises:
            LabelError: A field is missing, unknown or none that can be kept.
        """
        if set(line) != {"seq", "at", "reviewer", "undo"}:
            raise LabelError("expected seq, at, reviewer and undo", field="undo")
        _check_count("seq", line["seq"], None)
        _check_count("undo", line["undo"], None)
        at = read_moment(line["at"])
        if at is None:
            raise LabelError("has no at", field="at")
        return cls(
            undo=line["undo"],
            reviewer=_name("reviewer", line["reviewer"], True),
            seq=line["seq"],
            at=at,
        )


def moment_text(at: datetime) -> str:
    """Return a moment in UTC as ISO 8601 with milliseconds and ``Z``.

    >>> moment_text(datetime(2026, 5, 4, 9, 12, 3, 120_000, tzinfo=UTC))
    '2026-05-04T09:12:03.120Z'
    """
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_moment(text: object) -> datetime | None:
    """Read what ``moment_text`` wrote; ``None`` for ``None``.

    Raises:
        LabelError: It is no moment, or has no zone.
    """
    if text is None:
        return None
    try:
        return _moment(datetime.fromisoformat(cast("str", text)))
    except (ValueError, TypeError) as error:
        raise LabelError(
            f"at={quoted(text)}: expected a moment such as 2026-05-04T09:12:03.120Z", field="at"
        ) from error


def _moment(at: datetime) -> datetime:
    if not isinstance(at, datetime) or at.tzinfo is None:
        raise LabelError(f"at={quoted(at)}: expected a moment with a zone", field="at")
    at = at.astimezone(UTC)
    # Lines hold milliseconds, and a label is equal to itself read again.
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _name(field: str, text: object, required: bool) -> str:
    """Return a name in Unicode's composed form without blanks around it.

    Raises:
        LabelError: It cannot be kept.
    """
    if not isinstance(text, str):
        raise LabelError(f"{field}={quoted(text)}: expected text", field=field)
    name = to_nfc(text).strip()
    least = 1 if required else 0
    if required and not name:
        raise LabelError(f"{field} is blank; expected 1 to {MOST_NAME} characters", field=field)
    if len(name) > MOST_NAME:
        raise LabelError(
            f"{field} {quoted(name)} has {len(name)} characters; expected {least} to {MOST_NAME}",
            field=field,
        )
    if fault := name_fault(name):
        raise LabelError(f"{field} {quoted(name)} {fault}", field=field)
    return name


def _check_text(field: str, text: object, *, least: int) -> None:
    # Paths and ids may hold any character that a file's name may.
    if not isinstance(text, str):
        raise LabelError(f"{field}={quoted(text)}: expected text", field=field)
    if not least <= len(text) <= MOST_ITEM:
        raise LabelError(
            f"{field} {quoted(text)} has {len(text)} characters; expected {least} to {MOST_ITEM}",
            field=field,
        )


def _check_choice(field: str, found: object, known: tuple[str, ...]) -> None:
    if found not in known:
        raise LabelError(f"{field}={quoted(found)}: expected one of {listed(known)}", field=field)


def _check_count(field: str, found: object, most: int | None) -> None:
    if isinstance(found, bool) or not isinstance(found, int) or found < 0:
        raise LabelError(f"{field}={quoted(found)}: expected 0 or more", field=field)
    if most is not None and found > most:
        raise LabelError(f"{field}={found}: expected at most {most}", field=field)


def _number(field: str, found: object) -> float:
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise LabelError(f"{field}={quoted(found)}: expected a number", field=field)
    if not math.isfinite(found):
        raise LabelError(f"{field}={found}: expected a finite number", field=field)
    return float(found)


def _matches_digest(text: object) -> bool:
    return isinstance(text, str) and _SHA256.fullmatch(text) is not None
