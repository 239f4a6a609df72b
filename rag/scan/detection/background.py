"""Background of a recording: windows that stand for what else sounds in it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from earful.rag.scan.detection.windows import Rows, Windows

MOST_GAPS = 2000
"""Windows between examples; of more, so many are drawn."""


def gap_rows(
    windows: Windows,
    n_windows: int,
    spans: list[tuple[float, float]],
    complete_until_s: float,
    *,
    seed: int = 0,
) -> Rows:
    """Return the windows between examples, in a stretch where all of them are marked.

    Args:
        windows: How the recording is cut.
        n_windows: Windows of the recording.
        spans: Where the sound is, or may be.
        complete_until_s: End of the stretch, in seconds.
        seed: Of the draw among more than ``MOST_GAPS``.
    """
    clear = windows.rows_away_from(spans, n_windows)
    ends = (np.arange(n_windows) + windows.length) * windows.step_s
    rows = np.flatnonzero(clear & (ends <= complete_until_s))
    if rows.size > MOST_GAPS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_GAPS, replace=False))
    return rows


def random_rows(
    windows: Windows,
    n_windows: int,
    spans: Iterable[tuple[float, float]],
    *,
    n: int,
    sha256: str,
    seed: int,
) -> Rows:
    """Draw windows of a recording, the same ones for the same content and seed.

    Args:
        windows: How the recording is cut.
        n_windows: Windows of the recording.
        spans: Stretches to keep a window away from.
        n: How many to draw, fewer where there are not as many.
        sha256: Of the recording.
        seed: Of the draw.
    """
    margin_s = windows.length * windows.step_s
    rows = np.flatnonzero(windows.rows_away_from(list(spans), n_windows, margin_s=margin_s))
    if rows.size > n:
        digest = hashlib.sha256(f"{sha256}\n{seed}".encode("utf-8", "surrogatepass")).digest()
        random = np.random.default_rng(int.from_bytes(digest[:8], "big"))
        rows = np.sort(random.choice(rows, n, replace=False))
    return rows
