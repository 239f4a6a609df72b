"""Torch modules built without weights, and filled from a file right after."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch.overrides import TorchFunctionMode

from earful.model.runtime.release import ROW_SCALE, read_tensors, require_shapes

Module = TypeVar("Module", bound=torch.nn.Module)


@contextmanager
def without_weights() -> Iterator[None]:
    """Build modules on the ``meta`` device without drawing random weights.

    Drawing would cost nothing there by itself, but makes torch import its compiler, which
    takes longer than torch itself.

    >>> with without_weights():
    ...     embedding = torch.nn.Embedding(3, 2)
    >>> embedding.weight.is_meta
    True
    """
    with torch.device("meta"), _SkipInit():
        yield


class _SkipInit(TorchFunctionMode):
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init":
            return given["tensor"] if "tensor" in given else args[0]
        return func(*args, **given)


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
    tensors = read_tensors(data, name, prefix=prefix)
    require_shapes(tensors, shapes_of(module.state_dict()), name)
    own = {key: torch.from_numpy(tensor) for key, tensor in tensors.items()}
    module.load_state_dict(own, assign=True)
    return module.eval().requires_grad_(False)


def shapes_of(tensors: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of tensors by name."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def round_rows(
    tensors: Mapping[str, torch.Tensor], *, fewest: int = 4096
) -> dict[str, torch.Tensor]:
    """Round matrices to 8 bits with a scale a row, and all else to 16 bits.

    Args:
        tensors: In float32.
        fewest: Numbers from which on a matrix is rounded to 8 bits.

    Returns:
        What ``read_tensors`` reads as the tensors that it came from, about.
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
