"""``approximate.json``: settings of an index's approximate search, and the recall they give."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from earful.errors import IndexFolderError
from earful.index.storage import APPROXIMATE_NAME, write_text
from earful.wording import as_argument


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
        n_queries: Rows that served as queries.
        wanted: The recall that was asked for.
        recall: The recall that was measured.
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
