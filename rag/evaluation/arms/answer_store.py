"""Answer store: what a language model answered in evaluations, kept with the index.

::

    sounds.index/answers/<model>.jsonl
        {"question": "<digest>", "value": ..., "tokens": 210, "spent_s": 0.8, "sha256": "..."}

``model`` names the weights and all else that decides an answer, ``question`` the prompt and what is
asked of it. Lines are only appended, each in one write; one that is torn or damaged is as if it
were not there. Only what took long is kept: a small model answers again as fast as it is looked up.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from earful.model import Capabilities
from earful.plain import json_digest

ANSWERS_NAME: Final = "answers"

LEAST_S: Final = 0.1
"""Seconds from which an answer is worth keeping."""

# Of a model's capabilities, those that change no answer.
_NO_MATTER: Final = frozenset(
    {"name", "licence", "caveat", "writes_captions", "hears", "max_prompts"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An answer that was kept.

    Attributes:
        value: The answer, as plain JSON values.
        tokens: Tokens of the request.
        spent_s: Seconds that it took.
    """

    value: Any
    tokens: int
    spent_s: float


class AnswerStore:
    """The answers of one language model that are kept with an index.

    Any number of processes may read and write.

    Args:
        index: Index folder.
        model: The language model; its weights are known.
        least_s: Seconds from which an answer is kept.

    Attributes:
        fault: Why answers cannot be kept, for example because the folder is read-only; empty when
            they can.
    """

    def __init__(self, index: Path, model: Capabilities, *, least_s: float = LEAST_S) -> None:
        decisive = {
            name: value for name, value in model.to_dict().items() if name not in _NO_MATTER
        }
        self._path = index / ANSWERS_NAME / f"{json_digest(decisive)}.jsonl"
        self._least_s = least_s
        self.fault = ""

    def get(self, question: Mapping[str, object]) -> Kept | None:
        """Return the answer to a question; ``None`` where none is kept.

        Args:
            question: Plain JSON values: the prompt's digest, and what is asked of it.
        """
        return self._held.get(json_digest(question))

    def put(self, question: Mapping[str, object], kept: Kept) -> None:
        """Keep an answer, if it took long."""
        if kept.spent_s < self._least_s:
            return
        key = json_digest(question)
        self._held[key] = kept
        values = {"question": key, **asdict(kept)}
        line = json.dumps({**values, "sha256": json_digest(values)}, ensure_ascii=True)
        try:
            self._path.parent.mkdir(exist_ok=True)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                # It begins on a line of its own, even behind one that a power cut has torn.
                os.write(descriptor, f"\n{line}\n".encode("ascii"))
            finally:
                os.close(descriptor)
        except OSError as error:
            self.fault = (
                f"answers cannot be kept in {self._path.parent} ({error.strerror}), so another "
                "evaluation asks for them again"
            )

    @cached_property
    def _held(self) -> dict[str, Kept]:
        found: dict[str, Kept] = {}
        with suppress(OSError), open(self._path, encoding="ascii", errors="replace") as file:
            for line in file:
                with suppress(ValueError, KeyError, TypeError, RecursionError):
                    values = dict(json.loads(line))
                    digest = values.pop("sha256")
                    if digest == json_digest(values):
                        question = values.pop("question")
                        found[question] = Kept(
                            value=values["value"],
                            tokens=int(values["tokens"]),
                            spent_s=float(values["spent_s"]),
                        )
        return found
