"""Weights of ``earful-tiny``, shipped or one's own: their description, read and verified.

``weights/earful-tiny.json`` describes the release and lists its parts with their digests;
a file that has changed since the package was made is never used. ``training.ship`` writes
folders of the same layout, which are read in the same way.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load

from earful.errors import ModelError
from earful.model.names import SHIPPED

Part = Literal["trunk", "clap", "flamingo", "tokenizer"]
NAME = SHIPPED
DESCRIPTION = f"{NAME}.json"

Module = TypeVar("Module", bound=torch.nn.Module)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Description of a set of weights.

    Attributes:
        number: Number of the release.
        licence: Licence of the weights.
        parts: File, digest and settings of each part.
        folder: Folder of one's own weights; ``None`` for those that ship.
    """

    number: str
    licence: str
    parts: Mapping[str, Mapping[str, Any]]
    folder: Path | None = None

    @property
    def name(self) -> str:
        """The name stored in an index; a path is absolute, so that it loads from any folder."""
        return NAME if self.folder is None else str(self.folder.resolve())

    def digest_of(self, *parts: Part) -> str:
        """Return one hex SHA-256 over the digests of several parts."""
        digests = "".join(str(self.parts[part]["sha256"]) for part in parts)
        return hashlib.sha256(digests.encode("ascii")).hexdigest()


def read_release(name: str = NAME) -> Release:
    """Read the description of a set of weights.

    Args:
        name: A folder that holds such a description; anything else means the shipped weights.

    Raises:
        ModelError: The description is missing, or is not a description of weights.
    """
    own = name != NAME and (Path(name) / DESCRIPTION).is_file()
    folder = Path(name) if own else None
    try:
        about = json.loads((_place(folder) / DESCRIPTION).read_text(encoding="utf-8"))
        number, licence, parts = about["release"], about["licence"], about["parts"]
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(name, error, folder) from error
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ModelError(
            f"{name}: {DESCRIPTION} is not a description of weights ({error!r}); {_mend(folder)}"
        ) from error
    return Release(number=number, licence=licence, parts=parts, folder=folder)


def require_release(release: Release, revision: str, name: str) -> None:
    """Refuse any release but the one that is there; an empty revision accepts it.

    Raises:
        ModelError: Another release is requested.
    """
    if revision not in {"", release.number}:
        raise ModelError(
            f"{name}: release {revision!r} is requested, but this earful ships "
            f"{release.number!r}. Install the earful that shipped it, or build the index anew"
        )


def read_part(release: Release, part: Part, name: str = NAME) -> bytes:
    """Return the bytes of a part.

    Raises:
        ModelError: There is no such part, or its file is missing or has changed since the
            release was made.
    """
    if part not in release.parts:
        raise ModelError(
            f"{name}: release {release.number!r} has no {part}; {_mend(release.folder)}"
        )
    about = release.parts[part]
    try:
        data = (_place(release.folder) / str(about["file"])).read_bytes()
    except OSError as error:
        raise _unreadable(name, error, release.folder) from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != about["sha256"]:
        raise ModelError(
            f"{name}: the weights {about['file']} have sha256 {digest}, expected "
            f"{about['sha256']}; {_mend(release.folder)}"
        )
    return data


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
        tensors = load(data)
    except SafetensorError as error:
        raise ModelError(
            f"{name}: not a safetensors file: {error}; use undamaged weights"
        ) from error
    own = {key[len(prefix) :]: x.float() for key, x in tensors.items() if key.startswith(prefix)}
    if faults := _faults(module.state_dict(), own):
        raise ModelError(f"{name}: wrong weights: {'; '.join(faults)}")
    module.load_state_dict(own, assign=True)
    return module.eval().requires_grad_(False)


def _place(folder: Path | None) -> Traversable | Path:
    return files("earful.model.tiny") / "weights" if folder is None else folder


def _mend(folder: Path | None) -> str:
    return "reinstall earful" if folder is None else "make the folder anew with training.ship"


def _unreadable(name: str, error: Exception, folder: Path | None) -> ModelError:
    return ModelError(f"{name}: the weights cannot be read ({error}); {_mend(folder)}")


def _faults(expected: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor]) -> list[str]:
    """List every tensor that is missing, unexpected or of another shape."""
    faults = [f"missing {key}" for key in sorted(expected.keys() - found.keys())]
    faults += [f"unexpected {key}" for key in sorted(found.keys() - expected.keys())]
    faults += [
        f"{key} has shape {tuple(found[key].shape)}, expected {tuple(expected[key].shape)}"
        for key in sorted(expected.keys() & found.keys())
        if found[key].shape != expected[key].shape
    ]
    return faults
