"""Devices: which one the arithmetic runs on, and which arithmetic it is fast at."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from earful.errors import ModelError, UnknownNameError
from earful.system import after_fork_in_child

if TYPE_CHECKING:
    import torch

_DEVICE = re.compile(r"auto|cpu|cuda(:[0-9]+)?|mps|xpu(:[0-9]+)?")


def require_device_name(device: str) -> None:
    """Refuse what is no name of a device.

    Raises:
        UnknownNameError: It is none.
    """
    if not isinstance(device, str) or not _DEVICE.fullmatch(device):
        raise UnknownNameError(
            f"unknown device {device!r}: expected auto, cpu, cuda or cuda:N, as in cuda:0 for the "
            "first GPU"
        )


def pick_device(device: str) -> torch.device:
    """Resolve ``"auto"``, and refuse a device that does not exist here.

    Args:
        device: ``"auto"`` (a CUDA device if there is one), ``"cpu"``, ``"cuda:1"``, ….

    Raises:
        UnknownNameError: It is the name of no device.
        ModelError: It cannot be used here.
    """
    import torch

    require_device_name(device)
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ModelError(
            f"device {device!r} cannot be used here: {reason.rstrip('.')}; use auto or cpu"
        ) from error


def has_bfloat16(device: torch.device) -> bool:
    """Return whether a device multiplies bfloat16 natively.

    That is a CPU with AVX-512 BF16 or AMX, or a GPU of the Ampere generation or later.
    """
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Not part of torch's public API, so a build may lack it.
    has_instructions = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(has_instructions and has_instructions())


def can_pack(dtype: torch.dtype) -> bool:
    """Return whether oneDNN packs weights of a type here; bfloat16 needs a CPU that has it."""
    import torch

    onednn: Any = torch.backends.mkldnn
    operators = ("_linear_pointwise", "_convolution_pointwise", "_reorder_convolution_weight")
    if not onednn.is_available() or not all(hasattr(torch.ops.mkldnn, x) for x in operators):
        return False
    return dtype == torch.float32 or (dtype == torch.bfloat16 and has_bfloat16(torch.device("cpu")))


def _use_one_thread() -> None:
    """Restrict torch to the calling thread: OpenMP's other threads stay with the parent."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)


# A forked child would wait for them for ever.
after_fork_in_child(_use_one_thread)
