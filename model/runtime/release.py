"""Releases of weights: a folder whose description names every file with its digest.

What ships lies inside the package; weights of one's own are a folder of the same layout.
Nothing is read that is not what it was when the release was made.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load

from earful.errors import ModelError

Module = TypeVar("Module", bound=torch.nn.Module)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """Where the weights that ship under a name lie.

    Attributes:
        name: The registered name.
        package: The package with the folder ``weights``.
        remake: What makes a folder of one's own anew, for errors.
    """

    name: str
    package: str
    remake: str

    @property
    def description(self) -> str:
        """The file that describes a release, in a folder of one's own, too."""
        return f"{self.name}.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A set of weights.

    Attributes:
        shipped: What ships under this name.
        number: The release of the weights.
        licence: Of the weights.
        parts: For each part its file, digest and settings.
        folder: Where one's own lie; ``None`` for those that ship.
    """

    shipped: Shipped
    number: str
    licence: str
    parts: Mapping[str, Mapping[str, Any]]
    folder: Path | None = None

    @property
    def name(self) -> str:
        """What an index finds it by again: a path has to be loadable from anywhere."""
        return self.shipped.name if self.folder is None else str(self.folder.resolve())

    def digest_of(self, *parts: str) -> str:
        """Return one hex SHA-256 over the digests of some parts."""
        told = "".join(str(self.parts[part]["sha256"]) for part in parts)
        return hashlib.sha256(told.encode("ascii")).hexdigest()


def read_release(shipped: Shipped, name: str) -> Release:
    """Read the description of a set of weights.

    Args:
        shipped: What ships.
        name: A folder that holds such a description; anything else means what ships.

    Raises:
        ModelError: The description is missing or not one.
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
    """Refuse a release other than the one at hand; empty asks for any.

    Raises:
        ModelError: Another one is asked for.
    """
    if revision not in {"", release.number}:
        raise ModelError(
            f"{name}: release {revision!r} is asked for; this earful ships {release.number!r}. "
            "Install the earful that shipped it, or build the index anew"
        )


def read_part(release: Release, part: str, name: str) -> bytes:
    """Return the bytes of a part.

    Raises:
        ModelError: There is no such part, or its file is missing or not what it was when the
            release was made.
    """
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
            f"{name}: the weights {about['file']} have sha256 {digest}; want "
            f"{about['sha256']}: {mend}"
        )
    return data


def fill(module: Module, data: bytes, name: str, *, prefix: str = "") -> Module:
    """Give a module, made on the meta device, the tensors of a safetensors file.

    Args:
        module: Whose tensors are wanted.
        data: The file.
        name: For errors.
        prefix: What the wanted names begin with; others are left alone.

    Returns:
        The module in float32, ready for inference.

    Raises:
        ModelError: The file is damaged, or its tensors are not exactly the module's.
    """
    try:
        tensors = load(data)
    except SafetensorError as error:
        raise ModelError(f"{name}: not a safetensors file: {error}; take whole weights") from error
    own = {key[len(prefix) :]: x.float() for key, x in tensors.items() if key.startswith(prefix)}
    if faults := tensor_faults(module.state_dict(), own):
        raise ModelError(f"{name}: wrong weights: {'; '.join(faults)}")
    module.load_state_dict(own, assign=True)
    return module.eval().requires_grad_(False)


def tensor_faults(
    wanted: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor]
) -> list[str]:
    """Name every tensor that is missing, unexpected or of another shape."""
    faults = [f"missing {key}" for key in sorted(wanted.keys() - found.keys())]
    faults += [f"unexpected {key}" for key in sorted(found.keys() - wanted.keys())]
    faults += [
        f"{key} has shape {tuple(found[key].shape)}, want {tuple(wanted[key].shape)}"
        for key in sorted(wanted.keys() & found.keys())
        if found[key].shape != wanted[key].shape
    ]
    return faults


def _place(shipped: Shipped, folder: Path | None) -> Traversable | Path:
    return files(shipped.package) / "weights" if folder is None else folder


def _mend(shipped: Shipped, folder: Path | None) -> str:
    return "reinstall earful" if folder is None else shipped.remake


def _unreadable(name: str, error: Exception, mend: str) -> ModelError:
    return ModelError(f"{name}: the weights cannot be read ({error}); {mend}")
