"""A corpus with the trunk's outputs, as ``training.features`` wrote them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earful.model.tiny import OUTPUT_DIM


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusFeatures:
    """Rows of a manifest and the windows of their clips.

    Attributes:
        rows: The manifest.
        outputs: float16, shape ``(n, OUTPUT_DIM)``, one row a window.
        row: Which clip each window is of.
        variant: Which variant of it; 0 is undisturbed.
    """

    rows: list[dict[str, str]]
    outputs: NDArray[np.float16]
    row: NDArray[np.int32]
    variant: NDArray[np.int32]

    def views(self, number: int) -> Iterator[NDArray[np.int64]]:
        """Yield for each variant of a clip which windows are its, undisturbed first."""
        own = np.flatnonzero(self.row == number)
        for variant in np.unique(self.variant[own]):
            yield own[self.variant[own] == variant]


def read_features(corpus: Path, features: Path) -> CorpusFeatures:
    """Read a manifest and the trunk's outputs.

    Raises:
        SystemExit: The outputs are of another trunk or another manifest.
    """
    with (corpus / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with np.load(features) as found:
        outputs, row, variant = found["outputs"], found["row"], found["variant"]
    if outputs.shape[1] != OUTPUT_DIM:
        raise SystemExit(f"{features}: width {outputs.shape[1]}, want {OUTPUT_DIM}")
    if sorted(set(row.tolist())) != list(range(len(rows))):
        raise SystemExit(f"{features}: of another manifest than {corpus}; make the features anew")
    return CorpusFeatures(rows=rows, outputs=outputs, row=row, variant=variant)
