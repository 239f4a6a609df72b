"""``approximate.json``: settings of an index's approximate search, and the recall they give."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

from earful.errors import IndexFolderError
from earful.index.storage import APPROXIMATE_NAME, write_text
from earful.wording import as_argument

REFINES: Final = (10, 30, 100)
"""Of which the smallest is chosen that gives the recall asked for, all partitions searched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionRecall:
    """The recall that one number of partitions gave.

    Attributes:
        n_probes: Partitions searched for each query; of each segment, where there are several.
        refine: ``refine * k`` rows were compared by their full vectors.
        recall: Share of the true nearest rows that were found, over all queries.
        ms: Median time of a query, in milliseconds.
    """

    n_probes: int
    refine: int
    recall: float
    ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Approximate:
    """Settings of an index's approximate search, with the recall and the time they give.

    Attributes:
        n_rows: Rows when it was measured.
        n_partitions: Partitions of the rows.
        n_probes: Partitions searched for each query; of each segment, where there are several.
        refine: ``refine * k`` rows are compared by their full vectors.
        k: Nearest rows looked for in the measurement.
        n_queries: Rows that served as queries; 0 before it is measured.
        wanted: The recall that was asked for.
        recall: The recall that was measured; 0 where none was yet.
        ms: Median time of a query, in milliseconds.
        exact_ms: The same for exact search with the vectors in RAM; of more than 65,536 rows,
            that of so many times what there are.
        build_s: Time to make the partitions, in seconds; of segments, the sum.
        size_bytes: Size on disk, in bytes.
        tried: All settings that were measured.
    """

    n_rows: int
    n_partitions: int
    n_probes: int
    refine: int
    k: int
    n_queries: int
    wanted: float
    recall: float
    ms: float
    exact_ms: float
    build_s: float
    size_bytes: int
    tried: tuple[PartitionRecall, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return asdict(self)

    def write(self, folder: Path) -> None:
        """Write the settings into an index folder."""
        write_text(folder / APPROXIMATE_NAME, json.dumps(self.to_dict(), indent=2) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Read the settings in an index folder; ``None`` if there are none.

        Raises:
            IndexFolderError: It is damaged.
        """
        path = folder / APPROXIMATE_NAME
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            values["tried"] = tuple(PartitionRecall(**probed) for probed in values["tried"])
            return cls(**values)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise IndexFolderError(
                f"{path}: is damaged ({error!r}); make it again with "
                f"`earful index approximate {as_argument(folder)}`"
            ) from error


def search_all_meanwhile(folder: Path, n_partitions: int) -> None:
    """Have searches look at all partitions of an approximate index that is about to be replaced.

    Settings were measured on the one before: of another they may miss most. These find what
    either can, and stay until the new one is measured, also where that is cut short.

    Args:
        folder: The index folder; without settings nothing is searched so, and nothing changes.
        n_partitions: Of the new one.
    """
    try:
        before = Approximate.read(folder)
    except IndexFolderError:
        # Damaged settings are none, and whoever makes new ones was told to.
        (folder / APPROXIMATE_NAME).unlink()
        return
    if before is not None:
        n_partitions = max(n_partitions, before.n_partitions)
        replace(
            before,
            n_partitions=n_partitions,
            n_probes=n_partitions,
            refine=max(REFINES[-1], before.refine),
            n_queries=0,
            recall=0.0,
            tried=(),
        ).write(folder)
