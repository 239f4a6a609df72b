"""Releases of weights: a folder whose description lists every file with its digest.

Shipped weights lie inside the package; weights of one's own are a folder of the same layout.
A file that has changed since the release was made is never used.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earful.errors import ModelError

ROW_SCALE = ".row_scale"
"""Ending of the name of what the rows of a tensor of 8-bit numbers are multiplied with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippedWeights:
    """Place of the weights that ship under a name.

    Attributes:
        name: The registered name.
        package: The package with the folder ``weights``.
        remedy: What to do about a damaged folder of one's own, for errors.
    """

    name: str
    package: str
    remedy: str

    @property
    def description(self) -> str:
        """Name of the file that describes a release, also in a folder of one's own."""
        return f"{self.name}.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Description of a set of weights.

    Attributes:
        shipped: The shipped weights of the same kind.
        number: Number of the release.
        licence: Licence of the weights.
        parts: File, digest and settings of each part.
        folder: Folder of one's own weights; ``None`` for those that ship.
    """

    shipped: ShippedWeights
    number: str
    licence: str
    parts: Mapping[str, Mapping[str, Any]] = field(hash=False)
    folder: Path | None = None

    @property
    def name(self) -> str:
        """The name stored in an index; a path is absolute, so that it loads from any folder."""
        return self.shipped.name if self.folder is None else str(self.folder.resolve())

    def digest_of(self, *parts: str) -> str:
        """Return one hex SHA-256 over the digests of several parts."""
        digests = "".join(str(self.parts[part]["sha256"]) for part in parts)
        return hashlib.sha256(digests.encode("ascii")).hexdigest()


def read_release(shipped: ShippedWeights, name: str) -> Release:
    """Read the description of a set of weights.

    Args:
        shipped: The shipped weights of this kind.
        name: A folder that holds such a description; anything else means the shipped weights.

    Raises:
        ModelError: The description is missing, or is not a description of weights.
    """
    own = name != shipped.name and (Path(name) / shipped.description).is_file()
    folder = Path(name) if own else None
    mend = _mend(shipped, folder)
    try:
        path = _place(shipped, folder) / shipped.description
        about = json.loads(path.read_text(encoding="utf-8"))
        number, licence, parts = about["release"], about["licence"], about["parts"]
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(name, error, mend) from error
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ModelError(
            f"{name}: {shipped.description} is not a description of weights ({error!r}); {mend}"
        ) from error
    return Release(shipped=shipped, number=number, licence=licence, parts=parts, folder=folder)


def require_release(release: Release, revision: str, name: str) -> None:
    """Refuse any release but the one that is there; an empty revision accepts it.

    Raises:
        ModelError: Another release is requested.
    """
    if revision not in {"", release.number}:
        raise ModelError(
            f"{name}: release {revision!r} is requested, but this earful ships "
            f"{release.number!r}. Install the earful that shipped it, or build the index again"
        )


def read_part(release: Release, part: str, name: str = "") -> bytes:
    """Return the bytes of a part.

    Args:
        release: What the part belongs to.
        part: Its name in the description.
        name: Name of the model, for errors; empty for the release's own.

    Raises:
        ModelError: There is no such part, or its file is missing or has changed since the
            release was made.
    """
    name = name or release.name
    mend = _mend(release.shipped, release.folder)
    if part not in release.parts:
        raise ModelError(f"{name}: release {release.number!r} has no {part}; {mend}")
    about = release.parts[part]
    try:
        data = (_place(release.shipped, release.folder) / str(about["file"])).read_bytes()
    except OSError as error:
        raise _unreadable(name, error, mend) from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != about["sha256"]:
        raise ModelError(
            f"{name}: the weights {about['file']} have sha256 {digest}, expected "
            f"{about['sha256']}; {mend}"
        )
    return data


def read_tensors(data: bytes, name: str, *, prefix: str = "") -> dict[str, NDArray[np.float32]]:
    """Read the tensors of a safetensors file.

    Args:
        data: The file's bytes.
        name: Name of the model, for errors.
        prefix: Prefix of the names to read, which is taken off; other tensors are ignored.

    Returns:
        float32 arrays by name; those of 8 bits are multiplied by their rows' scales.

    Raises:
        ModelError: The file is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        found = load(data)
    except SafetensorError as error:
        raise ModelError(
            f"{name}: not a safetensors file: {error}; use undamaged weights"
        ) from error
    wide = {
        key[len(prefix) :]: np.asarray(tensor, dtype=np.float32)
        for key, tensor in found.items()
        if key.startswith(prefix) and not key.endswith(ROW_SCALE)
    }
    for key, scale in found.items():
        whole = key[len(prefix) :].removesuffix(ROW_SCALE)
        if key.startswith(prefix) and key.endswith(ROW_SCALE) and whole in wide:
            wide[whole] *= np.asarray(scale, dtype=np.float32)[:, None]
    return wide


def require_shapes(
    found: Mapping[str, NDArray[np.float32]], expected: Mapping[str, tuple[int, ...]], name: str
) -> None:
    """Refuse tensors that are not exactly those expected.

    Raises:
        ModelError: One is missing, unexpected or of another shape.
    """
    if faults := find_tensor_faults(expected, {key: x.shape for key, x in found.items()}):
        raise ModelError(f"{name}: wrong weights: {'; '.join(faults)}")


def find_tensor_faults(
    expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]
) -> list[str]:
    """List every tensor that is missing, unexpected or of another shape.

    Args:
        expected: Shapes by name.
        found: Likewise.
    """
    faults = [f"missing {key}" for key in sorted(expected.keys() - found.keys())]
    faults += [f"unexpected {key}" for key in sorted(found.keys() - expected.keys())]
    faults += [
        f"{key} has shape {tuple(found[key])}, expected {tuple(expected[key])}"
        for key in sorted(expected.keys() & found.keys())
        if tuple(found[key]) != tuple(expected[key])
    ]
    return faults


def _place(shipped: ShippedWeights, folder: Path | None) -> Traversable | Path:
    return files(shipped.package) / "weights" if folder is None else folder


def _mend(shipped: ShippedWeights, folder: Path | None) -> str:
    return "reinstall earful" if folder is None else shipped.remedy


def _unreadable(name: str, error: Exception, mend: str) -> ModelError:
    return ModelError(f"{name}: the weights cannot be read ({error}); {mend}")
