"""Exemplar: a labelled segment of audio, the unit that an index holds and a prompt shows."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any, Self

from earful.errors import CorpusError
from earful.read_only import ReadOnlyDict
from earful.values import short_repr
from earful.wording import quoted


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemplar:
    """One solved example: a segment of audio, a question and its answer.

    >>> bark = Exemplar(id="bark", audio="dogs/1.wav", labels=("dog", "bark"), end_s=2.5)
    >>> bark.answer, bark.audio.name
    ('dog, bark', '1.wav')
    >>> Exemplar(id="bark", audio="dogs/1.wav", start_s=3, end_s=1)
    Traceback (most recent call last):
    earful.errors.CorpusError: exemplar 'bark': end_s=1 is not after start_s=3

    Attributes:
        id: Stable key, unique within an index.
        audio: File path relative to the corpus root, with forward slashes.
        start_s: Where the segment begins, in seconds from the file's start.
        end_s: Where it ends (exclusive), in seconds; ``None`` for the end of the file.
        question: The question; empty when the corpus only gives labels.
        answer: The text a perfect model would reply. Filled from ``labels`` when empty.
        labels: Class names, each once, in the corpus's order; may be empty.
        not_labels: Labels that a listener found not to be there, each once; none of ``labels``.
            Of a row that has nothing else, see ``is_negative``.
        task: Name of the task the answer belongs to; may be empty.
        split: Such as ``"train"`` or ``"test"``; may be empty.
        group: Recording, site or speaker the segment came from; may be empty. Retrieval
            never offers an exemplar from the query's own group.
        licence: Licence of the recording, as the corpus names it.
        meta: Further columns of the corpus, as text.

    Raises:
        CorpusError: A field is outside its range; the message names ``id`` and the value.
        TypeError: ``labels`` or ``not_labels`` is one text, or holds what is no text.
    """

    id: str
    audio: PurePosixPath
    start_s: float = 0.0
    end_s: float | None = None
    question: str = ""
    answer: str = ""
    labels: tuple[str, ...] = ()
    task: str = ""
    split: str = ""
    group: str = ""
    licence: str = ""
    meta: Mapping[str, str] = field(default_factory=ReadOnlyDict, hash=False)
    not_labels: tuple[str, ...] = ()

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if isinstance(self.labels, str):
            raise TypeError(
                f"labels={quoted(self.labels)}: expected names, such as {(self.labels,)}"
            )
        object.__setattr__(self, "audio", PurePosixPath(self.audio))
        object.__setattr__(self, "labels", tuple(self.labels))
        object.__setattr__(self, "meta", ReadOnlyDict(self.meta))
        if not self.id:
            raise CorpusError(
                f"exemplar of {str(self.audio)!r}: the id is empty; expected a unique id"
            )
        this = f"exemplar {quoted(self.id)}"
        if not math.isfinite(self.start_s) or self.start_s < 0:
            raise CorpusError(f"{this}: start_s={self.start_s}: expected 0 or more seconds")
        if self.end_s is not None and not (math.isfinite(self.end_s) and self.end_s > self.start_s):
            raise CorpusError(f"{this}: end_s={self.end_s} is not after start_s={self.start_s}")
        _check_names(this, "labels", self.labels)
        # Most rows have none, and an index may have a million of them.
        if self.not_labels or not isinstance(self.not_labels, tuple):
            self._check_not_labels(this)
        if not self.answer and self.labels:
            object.__setattr__(self, "answer", ", ".join(self.labels))

    def _check_not_labels(self, this: str) -> None:
        given = self.not_labels
        if isinstance(given, str):
            raise TypeError(f"not_labels={quoted(given)}: expected names, such as {(given,)}")
        object.__setattr__(self, "not_labels", tuple(given))
        _check_names(this, "not_labels", self.not_labels)
        if both := [label for label in self.not_labels if label in self.labels]:
            raise CorpusError(
                f"{this}: {quoted(both[0])} is in labels and in not_labels; expected it in "
                "one of them, or in neither while nobody is sure"
            )

    @property
    def is_negative(self) -> bool:
        """Whether it says nothing but what is not there.

        Such a row never votes and is no shot, no recording of a label and nothing that an
        evaluation asks about; scans learn from it, and health checks compare it.

        >>> Exemplar(id="a", audio="a.wav", not_labels=("owl",)).is_negative
        True
        >>> Exemplar(id="a", audio="a.wav", labels=("fox",), not_labels=("owl",)).is_negative
        False
        """
        return bool(self.not_labels) and not (self.labels or self.answer)

    @property
    def said(self) -> str:
        """What it says, in words for people: its answer, or else what is not there.

        >>> Exemplar(id="a", audio="a.wav", not_labels=("owl", "wren")).said
        'not owl, not wren'
        """
        return self.answer or ", ".join(f"not {label}" for label in self.not_labels)

    def relabelled(self, labels: tuple[str, ...], answer: str = "") -> Self:
        """Return a copy with other labels and their answer; what they name is not denied.

        >>> fox = Exemplar(id="a", audio="a.wav", labels=("fox",), not_labels=("owl", "wren"))
        >>> fox.relabelled(("fox", "wren")).not_labels
        ('owl',)
        """
        denied = tuple(label for label in self.not_labels if label not in labels)
        return replace(self, labels=labels, answer=answer, not_labels=denied)


def own_answer(answer: str, labels: Sequence[str]) -> str:
    """Return an answer that says more than the labels; empty where it was made of them.

    >>> own_answer("dog, bark", ["dog", "bark"]), own_answer("a dog barks", ["dog", "bark"])
    ('', 'a dog barks')
    """
    return "" if answer == ", ".join(labels) else answer


def _check_names(this: str, field: str, names: tuple[str, ...]) -> None:
    if unnamed := [label for label in names if not isinstance(label, str)]:
        raise TypeError(
            f"{this}: {field} hold {quoted(unnamed[0])}: expected text, such as "
            f"{quoted(str(unnamed[0]))}"
        )
    if any(not label.strip() for label in names):
        raise CorpusError(f"{this}: {field} {quoted(list(names))} hold an empty label")
    if len(set(names)) != len(names):
        raise CorpusError(f"{this}: {field} {quoted(list(names))} name one label twice")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A file or row that could not be used.

    >>> Rejection(audio="empty.wav", where="sounds/metadata.csv:17", error="is empty").to_dict()
    {'audio': 'empty.wav', 'row': 'sounds/metadata.csv:17', 'error': 'is empty'}

    Attributes:
        audio: The audio file as the corpus names it.
        where: The row, such as ``"sounds/metadata.csv:17"``, or the file.
        error: What was found and what was expected.
        root: The corpus root; ``""`` in lists of older versions.
        stretch: The id that the stretch has by itself (``default_id``).
        is_earlier: Whether the newest build of that root read another table.
    """

    audio: str
    where: str
    error: str
    root: str = ""
    stretch: str = ""
    is_earlier: bool = False

    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """Return what concerns people as plain JSON values, ``where`` under the name ``row``."""
        found = {"audio": self.audio, "row": self.where, "error": self.error}
        return {**found, "earlier": True} if self.is_earlier else found

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what ``to_dict`` wrote, with ``root`` and ``stretch`` where they are.

        Raises:
            KeyError: A field is missing.
        """
        return cls(
            audio=values["audio"],
            where=values["row"],
            error=values["error"],
            root=values.get("root", ""),
            stretch=values.get("stretch", ""),
            is_earlier=values.get("earlier", False),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusRow:
    """An exemplar and its place in the corpus.

    Attributes:
        exemplar: The labelled segment.
        where: The row, such as ``"sounds/metadata.csv:17"``, or the file.
        fault: Why its recording is not to be read; ``""`` for all others.
    """

    exemplar: Exemplar
    where: str
    fault: str = ""

    __repr__ = short_repr


def stretch_fields(exemplar: Exemplar) -> dict[str, object]:
    """Return what every JSON says of an exemplar's stretch: its times, answer, labels and group.

    ``not_labels`` stands there where it has any.

    >>> stretch_fields(Exemplar(id="a", audio=PurePosixPath("a.wav"), end_s=2.0, labels=("dog",)))
    {'start_s': 0.0, 'end_s': 2.0, 'answer': 'dog', 'labels': ['dog'], 'group': ''}
    """
    return {
        "start_s": exemplar.start_s,
        "end_s": exemplar.end_s,
        "answer": exemplar.answer,
        "labels": list(exemplar.labels),
        **({"not_labels": list(exemplar.not_labels)} if exemplar.not_labels else {}),
        "group": exemplar.group,
    }


def default_id(audio: PurePosixPath, start_s: float, end_s: float | None) -> str:
    """Return the id of a row that names none: its audio file, and its segment if it has one.

    >>> default_id(PurePosixPath("a.wav"), 0.5, 2.0), default_id(PurePosixPath("a.wav"), 0, None)
    ('a.wav#0.5-2', 'a.wav')
    """
    name = to_nfc(str(audio))
    if start_s == 0 and end_s is None:
        return name
    return f"{name}#{start_s:g}-{'' if end_s is None else f'{end_s:g}'}"


def to_nfc(text: str) -> str:
    """Return text in Unicode's composed form (NFC), in which equal labels are equal strings.

    >>> to_nfc("e\u0301") == "\u00e9"
    True
    """
    return unicodedata.normalize("NFC", text)
