"""Score cache: a language model's label scores of exemplars asked about like queries.

::

    sounds.index/replays/<key>.json
        {"about": {...}, "scores": {"dog/1.wav": [0.9, 0.1]}, "scores_sha256": "..."}

``key`` names everything that the scores depend on, so a stale entry is never found. What is
missing or damaged is computed again; beyond a number of files the oldest are dropped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from earful.files import keep_file
from earful.index.cache.features import drop_oldest
from earful.plain import json_digest

REPLAYS_NAME = "replays"

_MOST_FILES = 64

Scored = Mapping[str, Sequence[float]]


class ScoreCache:
    """The score cache of one index folder, or of memory only.

    Any number of processes may read and write: a file appears complete or not at all.

    Args:
        index: Index folder; ``None`` to keep scores in memory only.

    Attributes:
        fault: Why scores cannot be kept in the folder, for example because it is read-only;
            empty when they can. They are kept in memory in any case.
    """

    def __init__(self, index: Path | None) -> None:
        self._folder = None if index is None else index / REPLAYS_NAME
        self._held: dict[str, Scored] = {}
        self.fault = ""

    def get(self, key: str, *, n_scores: int) -> dict[str, Sequence[float]]:
        """Return the scores under a key by the exemplar's id; empty when there are none.

        Args:
            key: Hex digits.
            n_scores: How many scores each exemplar has.
        """
        if key not in self._held:
            self._held[key] = self._read(key)
        found = self._held[key]
        return {id_: scores for id_, scores in found.items() if len(scores) == n_scores}

    def put(self, key: str, scores: Scored, *, about: Mapping[str, object]) -> None:
        """Keep scores under a key.

        Args:
            key: Hex digits.
            scores: By exemplar's id, each in [0, 1].
            about: What the key stands for, as JSON values, for a person to read.
        """
        self._held[key] = dict(scores)
        path = self._path(key)
        if path is None:
            return
        plain = {id_: list(found) for id_, found in scores.items()}
        values = {"about": about, "scores": plain, "scores_sha256": json_digest(plain)}
        # ASCII only: an id may contain half characters, which UTF-8 cannot encode.
        content = json.dumps(values, indent=1, ensure_ascii=True).encode("ascii")
        try:
            keep_file(path, content)
        except OSError as error:
            self.fault = (
                f"scores of exemplars by a language model cannot be kept in {self._folder} "
                f"({error.strerror}), so it is fitted to the vote again each time"
            )
        else:
            drop_oldest(path.parent, "*.json", _MOST_FILES)

    def _read(self, key: str) -> Scored:
        path = self._path(key)
        if path is None:
            return {}
        try:
            values = json.loads(path.read_bytes())
            scores = values["scores"]
            if values["scores_sha256"] != json_digest(scores):
                return {}
            return {id_: found for id_, found in scores.items() if _are_scores(found)}
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return {}

    def _path(self, key: str) -> Path | None:
        if not key.isalnum():
            raise ValueError(f"key {key!r}: expected hex digits")
        return None if self._folder is None else self._folder / f"{key}.json"


def _are_scores(values: object) -> bool:
    return isinstance(values, list) and all(
        isinstance(value, float) and 0.0 <= value <= 1.0 for value in values
    )
