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
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load

from earful.errors import ModelError

Module = TypeVar("Module", bound=torch.nn.Module)

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


def round_rows(
    tensors: Mapping[str, torch.Tensor], *, fewest: int = 4096
) -> dict[str, torch.Tensor]:
    """Round matrices to 8 bits with a scale a row, and all else to 16 bits.

    Args:
        tensors: In float32.
        fewest: Numbers from which on a matrix is rounded to 8 bits.

    Returns:
        What ``fill`` reads as the tensors that it came from, about.
    """
    rounded: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        if tensor.ndim != 2 or tensor.numel() < fewest:
            rounded[name] = tensor.half().contiguous()
            continue
        scale = (tensor.abs().amax(dim=1) / 127).clamp(min=1e-7).half()
        steps = torch.round(tensor / scale.float()[:, None]).clamp(-127, 127)
        rounded[name] = steps.to(torch.int8).contiguous()
        rounded[name + ROW_SCALE] = scale
    return rounded


def _widened(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return tensors in float32, those of 8 bits multiplied with their rows' scales."""
    wide = {name: x.float() for name, x in tensors.items() if not name.endswith(ROW_SCALE)}
    for name, scale in tensors.items():
        if name.endswith(ROW_SCALE) and (whole := name.removesuffix(ROW_SCALE)) in wide:
            wide[whole] *= scale.float()[:, None]
    return wide


def fill(module: Module, data: bytes, name: str, *, prefix: str = "") -> Module:
    """Load the tensors of a safetensors file into a module made on the meta device.

    Args:
        module: The module to load.
        data: The file's bytes.
        name: Name of the model, for errors.
        prefix: Prefix of the names to load; other tensors are ignored.

    Returns:
        The module in float32, ready for inference.

    Raises:
        ModelError: The file is damaged, or its tensors are not exactly the module's.
    """
    try:
        tensors = _widened(load(data))
    except SafetensorError as error:
        raise ModelError(
            f"{name}: not a safetensors file: {error}; use undamaged weights"
        ) from error
    own = {key[len(prefix) :]: x for key, x in tensors.items() if key.startswith(prefix)}
    if faults := find_tensor_faults(module.state_dict(), own):
        raise ModelError(f"{name}: wrong weights: {'; '.join(faults)}")
    module.load_state_dict(own, assign=True)
    return module.eval().requires_grad_(False)


def find_tensor_faults(
    expected: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor]
) -> list[str]:
    """List every tensor that is missing, unexpected or of another shape."""
    faults = [f"missing {key}" for key in sorted(expected.keys() - found.keys())]
    faults += [f"unexpected {key}" for key in sorted(found.keys() - expected.keys())]
    faults += [
        f"{key} has shape {tuple(found[key].shape)}, expected {tuple(expected[key].shape)}"
        for key in sorted(expected.keys() & found.keys())
        if found[key].shape != expected[key].shape
    ]
    return faults


def _place(shipped: ShippedWeights, folder: Path | None) -> Traversable | Path:
    return files(shipped.package) / "weights" if folder is None else folder


def _mend(shipped: ShippedWeights, folder: Path | None) -> str:
    return "reinstall earful" if folder is None else shipped.remedy


def _unreadable(name: str, error: Exception, mend: str) -> ModelError:
    return ModelError(f"{name}: the weights cannot be read ({error}); {mend}")
