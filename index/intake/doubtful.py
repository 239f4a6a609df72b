"""Doubtful audio: rows whose recording an encoder hardly hears, counted by what is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from earful.index.corpus import Exemplar
from earful.index.storage import AudioKey
from earful.model.audio import AudioFault, FaultKind


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubtfulAudio:
    """Rows of which an encoder hears little, for one reason.

    Attributes:
        kind: The reason; see ``AudioFault``.
        n: How many rows.
        n_unusable: How many of them leave nothing that could be heard.
        first: The first one's audio.
        text: What is wrong with it.
    """

    kind: FaultKind
    n: int
    n_unusable: int
    first: str
    text: str

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return asdict(self)


class DoubtCounter:
    """Counts rows by what is wrong with their audio, in the order of their coming."""

    def __init__(self) -> None:
        self._found: dict[FaultKind, DoubtfulAudio] = {}
        self._known: dict[AudioKey, tuple[AudioFault, ...]] = {}

    def add(
        self, row: Exemplar, key: AudioKey, faults: tuple[AudioFault, ...] | None = None
    ) -> None:
        """Count a row.

        Args:
            row: The row.
            key: Its audio.
            faults: As ``check_hearing`` returns them; ``None`` for those of a row with equal
                audio that was counted before.
        """
        if faults is None:
            faults = self._known.get(key, ())
        elif faults:
            self._known[key] = faults
        self.add_counts(
            DoubtfulAudio(
                kind=fault.kind,
                n=1,
                n_unusable=int(fault.unusable),
                first=str(row.audio),
                text=fault.text,
            )
            for fault in {fault.kind: fault for fault in faults}.values()
        )

    def add_counts(self, doubtful: Iterable[DoubtfulAudio]) -> None:
        """Add what another process has counted.

        Args:
            doubtful: As ``doubtful`` returns them.
        """
        for one in doubtful:
            if known := self._found.get(one.kind):
                n, n_unusable = known.n + one.n, known.n_unusable + one.n_unusable
                one = replace(known, n=n, n_unusable=n_unusable)
            self._found[one.kind] = one

    @property
    def doubtful(self) -> tuple[DoubtfulAudio, ...]:
        """The counts by kind."""
        return tuple(self._found[kind] for kind in sorted(self._found))
