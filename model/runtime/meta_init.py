"""Modules built on the meta device, without weights, which a file provides right after."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


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
