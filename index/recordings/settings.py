"""StoreSettings: all that decides which steps are kept of a recording, as ``store.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Self

from earful.errors import ModelError, ScanError
from earful.model import Fingerprint
from earful.plain import json_digest
from earful.values import short_repr

STORE_VERSION: Final = 1
BLOCK_S: Final = 600.0
"""Length of a block, in seconds: what a kill costs at most."""

_SHORT = 60
_OPTIONS: Final = {
    "low_hz": "--fmin-hz",
    "high_hz": "--fmax-hz",
    "slow": "--slow",
    "channel": "--channel",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """Settings of a store of steps: two recordings in one store are comparable.

    Attributes:
        fingerprint: Of the step embedder.
        step_dim: Length of a step.
        overview_bands: Bands of the overview that is kept beside the steps; an even number, 0
            for none.
        steps_rate: Steps a second of recording.
        block_steps: Steps of a block; the last block of a recording may be shorter.
        low_hz: What lies below is silence, in Hz.
        high_hz: What lies above is silence, in Hz; ``None`` for no limit.
        slow: How many times slower than recorded a recording is heard.
        channel: ``"mean"``, ``"first"``, or a channel's number from 1.
    """

    fingerprint: Fingerprint
    step_dim: int
    steps_rate: float
    block_steps: int
    low_hz: float = 0.0
    high_hz: float | None = None
    slow: float = 1.0
    channel: str | int = "mean"
    overview_bands: int = 0

    __repr__ = short_repr

    @property
    def step_s(self) -> float:
        """Length of a step, in seconds of recording."""
        return 1.0 / self.steps_rate

    @property
    def row_dim(self) -> int:
        """Length of a row of the file: a step, then its overview, two bands in a number's bytes."""
        return self.step_dim + self.overview_bands // 2

    @property
    def block_bytes(self) -> int:
        """Size of a whole block in its file."""
        return self.block_steps * self.row_dim * 2

    def digest(self) -> str:
        """Return hex SHA-256 of the settings."""
        return json_digest(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return asdict(self) | {"fingerprint": self.fingerprint.to_dict()}

    @classmethod
    def from_dict(cls, values: object, *, where: str) -> Self:
        """Read the values that ``to_dict`` returned.

        Args:
            values: Any JSON value.
            where: The file, for messages.

        Raises:
            ScanError: They are not such values.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(values, Mapping) or set(values) != names:
            raise ScanError(f"{where}: is damaged; expected {', '.join(sorted(names))}")
        try:
            fingerprint = Fingerprint.from_dict(values["fingerprint"])
            high_hz = values["high_hz"]
            channel = values["channel"]
            return cls(
                fingerprint=fingerprint,
                step_dim=int(values["step_dim"]),
                steps_rate=float(values["steps_rate"]),
                block_steps=int(values["block_steps"]),
                low_hz=float(values["low_hz"]),
                high_hz=None if high_hz is None else float(high_hz),
                slow=float(values["slow"]),
                overview_bands=int(values["overview_bands"]),
                channel=channel if isinstance(channel, int) else str(channel),
            )
        except (ModelError, TypeError, ValueError) as error:
            raise ScanError(f"{where}: is damaged ({error})") from error

    def differences(self, other: StoreSettings) -> list[str]:
        """List every field that differs, as ``"field: mine / theirs"``, with its option if any."""
        found = self.fingerprint.differences(other.fingerprint)
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if field.name != "fingerprint" and mine != theirs:
                option = f" ({_OPTIONS[field.name]})" if field.name in _OPTIONS else ""
                found.append(f"{field.name}: {mine!r} / {theirs!r}{option}")
        return [text if len(text) <= _SHORT else text.partition(":")[0] for text in found]
