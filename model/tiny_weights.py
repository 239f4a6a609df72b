"""The shipped weights of ``earful-tiny``: what they are, and reading them safely.

``weights/earful-tiny.json`` describes the release and names its parts with their digests;
nothing is read that is not what it was when the package was made.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load

from earful.errors import ModelError

Part = Literal["trunk", "clap", "flamingo", "tokenizer"]
NAME = "earful-tiny"

Module = TypeVar("Module", bound=torch.nn.Module)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What ships.

    Attributes:
        number: The release of the weights.
        licence: Of the weights.
        parts: For each part its file, digest and settings.
    """

    number: str
    licence: str
    parts: Mapping[str, Mapping[str, Any]]

    def digest_of(self, *parts: Part) -> str:
        """Return one hex SHA-256 over the digests of some parts."""
        told = "".join(str(self.parts[part]["sha256"]) for part in parts)
        return hashlib.sha256(told.encode("ascii")).hexdigest()


def read_release(name: str = NAME) -> Release:
    """Read the description of the shipped weights.

    Raises:
        ModelError: It is missing.
    """
    try:
        text = (files("earful.model") / "weights" / f"{NAME}.json").read_text(encoding="utf-8")
    except OSError as error:
        raise _unreadable(name, error) from error
    about = json.loads(text)
    return Release(number=about["release"], licence=about["licence"], parts=about["parts"])


def require_release(release: Release, revision: str, name: str) -> None:
    """Refuse a release other than the shipped one; empty asks for any.

    Raises:
        ModelError: Another one is asked for.
    """
    if revision not in {"", release.number}:
        raise ModelError(
            f"{name}: release {revision!r} is asked for; this earful ships {release.number!r}. "
            "Install the earful that shipped it, or build the index anew"
        )


def read_part(release: Release, part: Part, name: str = NAME) -> bytes:
    """Return the bytes of a part.

    Raises:
        ModelError: It does not ship, is missing, or is not what it was when the package was
            made.
    """
    if part not in release.parts:
        raise ModelError(f"{name}: release {release.number!r} ships no {part}")
    about = release.parts[part]
    try:
        data = (files("earful.model") / "weights" / str(about["file"])).read_bytes()
    except OSError as error:
        raise _unreadable(name, error) from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != about["sha256"]:
        raise ModelError(
            f"{name}: the shipped weights {about['file']} have sha256 {digest}; want "
            f"{about['sha256']}. Reinstall earful"
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
        raise ModelError(f"{name}: not a safetensors file: {error}; reinstall earful") from error
    own = {key[len(prefix) :]: x.float() for key, x in tensors.items() if key.startswith(prefix)}
    if faults := _faults(module.state_dict(), own):
        raise ModelError(f"{name}: wrong weights: {'; '.join(faults)}. Reinstall earful")
    module.load_state_dict(own, assign=True)
    return module.eval().requires_grad_(False)


def _unreadable(name: str, error: OSError) -> ModelError:
    return ModelError(f"{name}: the shipped weights cannot be read ({error}); reinstall earful")


def _faults(wanted: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor]) -> list[str]:
    """Name every tensor that is missing, unexpected or of another shape."""
    faults = [f"missing {key}" for key in sorted(wanted.keys() - found.keys())]
    faults += [f"unexpected {key}" for key in sorted(found.keys() - wanted.keys())]
    faults += [
        f"{key} has shape {tuple(found[key].shape)}, want {tuple(wanted[key].shape)}"
        for key in sorted(wanted.keys() & found.keys())
        if found[key].shape != wanted[key].shape
    ]
    return faults
