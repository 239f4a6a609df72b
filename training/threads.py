"""Threads of a training command: torch's, and those in which encoders of ONNX Runtime compute."""

from __future__ import annotations

import os

import torch


def use_threads(n: int) -> None:
    """Bound the threads of this process.

    torch does not bound ONNX Runtime, whose sessions compute in the threads that call them:
    ``earful.model.runtime.in_threads`` starts as many as ``OMP_NUM_THREADS`` says.
    """
    torch.set_num_threads(n)
    os.environ["OMP_NUM_THREADS"] = str(n)
