"""KeptRecording: what a store knows of a recording beside its steps, as ``KEY.json``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from earful.errors import ScanError
from earful.files import write_atomically
from earful.values import short_repr


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleLevels:
    """Levels of samples, added up block by block.

    Attributes:
        n: Samples of a channel.
        peak: Highest absolute value; 1 is full scale.
        n_clipped: Samples at full scale in some channel.
        n_not_finite: Samples that were no numbers in some channel.
    """

    n: int = 0
    peak: float = 0.0
    n_clipped: int = 0
    n_not_finite: int = 0

    def __add__(self, other: SampleLevels) -> SampleLevels:
        return SampleLevels(
            n=self.n + other.n,
            peak=max(self.peak, other.peak),
            n_clipped=self.n_clipped + other.n_clipped,
            n_not_finite=self.n_not_finite + other.n_not_finite,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRecording:
    """A recording whose steps a store keeps, or begins to keep.

    Attributes:
        path: Where it was when it was first read.
        bytes: Size of its file.
        n_blocks: Blocks that are kept.
        n_steps: Steps in them.
        crc32: Of the steps' bytes.
        levels: Of the samples that the steps were made of.
        sha256: Hex SHA-256 of the file; empty until it was read to its end.
        duration_s: Length in seconds, of what could be read.
        sample_rate: Of the file, in Hz.
        channels: Number of channels.
        cut_short: Why what was read ends before the file should; empty if it does not.
        notes: What a reader should know of it.
    """

    path: str
    bytes: int
    n_blocks: int = 0
    n_steps: int = 0
    crc32: int = 0
    levels: SampleLevels = field(default_factory=SampleLevels)
    sha256: str = ""
    duration_s: float | None = None
    sample_rate: int | None = None
    channels: int | None = None
    cut_short: str = ""
    notes: tuple[str, ...] = ()

    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return asdict(self)

    def write(self, path: Path) -> None:
        """Write it durably.

        Raises:
            OSError: It cannot be written.
        """
        write_atomically(path, json.dumps(self.to_dict(), ensure_ascii=True, indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what ``write`` wrote.

        Raises:
            FileNotFoundError: There is no such file.
            ScanError: It is damaged.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8", errors="surrogatepass"))
            if set(values) != {field.name for field in fields(cls)}:
                raise ValueError("its fields are others")
            values["levels"] = SampleLevels(**values["levels"])
            values["notes"] = tuple(map(str, values["notes"]))
            kept = cls(**values)
            if not all(
                type(n) is int and n >= 0 for n in (kept.n_blocks, kept.n_steps, kept.crc32)
            ):
                raise ValueError("its counts are none")
        except FileNotFoundError:
            raise
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise ScanError(f"{path}: is damaged ({error})") from error
        return kept
