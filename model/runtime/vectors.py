"""Vectors of embedders: rows of unit length, and the one arithmetic that most offer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from earful.errors import ModelError

DEVICE_REMEDY = "the device computes wrong results, try device 'cpu'"


def unit_rows(
    rows: NDArray[np.floating], name: str, *, remedy: str = DEVICE_REMEDY
) -> NDArray[np.float32]:
    """Scale rows to unit length.

    Args:
        rows: Shape ``(n, dim)``.
        name: Name of the embedder, for errors.
        remedy: What the user can do about a row without a direction.

    Raises:
        ModelError: A row is zero or not finite.
    """
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    require_directions(lengths, name, remedy=remedy)
    return np.asarray(rows / lengths, dtype=np.float32)


def require_directions(
    lengths: NDArray[np.floating], name: str, *, remedy: str = DEVICE_REMEDY
) -> None:
    """Refuse lengths of vectors that are zero or not finite; see ``unit_rows``.

    Raises:
        ModelError: One is.
    """
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        raise ModelError(f"{name}: a vector is zero or not finite; {remedy}")


def require_float32(dtype: str, name: str) -> None:
    """Refuse any arithmetic but float32; ``"auto"`` means that.

    Raises:
        ModelError: Another is asked for.
    """
    if dtype not in ("float32", "auto"):
        raise ModelError(f"{name}: dtype {dtype!r}, expected 'float32'")
