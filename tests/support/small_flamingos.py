"""Sizes of a Flamingo that a test makes, and asks, in milliseconds."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from earful.model.flamingo import FlamingoConfig

CONFIG = FlamingoConfig(
    audio_dim=16,
    audio_layers=1,
    audio_heads=2,
    audio_ffn_dim=24,
    windows_per_audio=2,
    hidden_dim=32,
    n_layers=2,
    n_heads=4,
    ffn_dim=48,
    max_positions=64,
    vocab_size=40,
    cross_heads=2,
    cross_head_dim=8,
    audio_id=37,
    end_of_chunk_id=38,
    separator_id=39,
)


@contextmanager
def one_thread() -> Iterator[None]:
    """On a busy machine torch's threads wait for each other longer than small networks take."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
