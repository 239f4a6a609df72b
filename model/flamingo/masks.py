"""Attention masks and positions of a Flamingo, without a loop over the batch.

Masks are additive biases for the fused attention kernels. Hidden places have half of the
lowest finite number: minus infinity gives NaN in a row where all is hidden, and the lowest
number itself overflows inside kernels that scale by log2(e).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CrossMask:
    """Mask of the windows that each text position may look at.

    Attributes:
        bias: Shape ``(B, 1, T, L)``: 0 where it may look, very low elsewhere.
        sees_any: Shape ``(B, 1, T, 1)``: 0 for a position that may look nowhere, else 1;
            ``None`` when all may look somewhere.
        latest: The mask of blocks that look at the latest audio only, if there are any.
    """

    bias: Tensor
    sees_any: Tensor | None
    latest: CrossMask | None = None


def hidden_bias(visible: Tensor, dtype: torch.dtype) -> Tensor:
    """Return 0 where ``visible``, and elsewhere a number so low that softmax gives 0."""
    low = torch.finfo(dtype).min / 2
    return torch.zeros(visible.shape, dtype=dtype, device=visible.device).masked_fill(~visible, low)


def slot_mask(
    n_audios: Tensor, n_windows: int, windows_per_audio: int, *, latest: bool = False
) -> Tensor:
    """Return which windows a position may look at, from the number of audios up to it.

    A position sees every audio before it or at it; one before the first audio sees the
    first.

    Args:
        n_audios: int, any shape: ``<audio>`` tokens up to and including the position.
        n_windows: L.
        windows_per_audio: W.
        latest: Whether a position sees the last of its audios only.

    Returns:
        bool, shape ``(*n_audios.shape, L)``.

    >>> slot_mask(torch.tensor([0, 1, 2]), 4, 2).int().tolist()
    [[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1]]
    >>> slot_mask(torch.tensor([0, 1, 2]), 4, 2, latest=True).int().tolist()
    [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1]]
    """
    windows = torch.arange(n_windows, device=n_audios.device)
    end = windows_per_audio * n_audios.clamp(min=1)[..., None]
    return (windows < end) & (windows >= end - windows_per_audio) if latest else windows < end


def count_audios(is_audio: Tensor, n_slots: int) -> Tensor:
    """Count the audios up to each position, itself included.

    Args:
        is_audio: bool, shape ``(B, T)``: where the text has a place for audio.
        n_slots: Number of slots.

    Returns:
        int64, shape ``(B, T)``.

    Raises:
        ValueError: A text has no place for audio, or more places than there are slots.
    """
    n_audios = is_audio.cumsum(dim=1)
    n_places = n_audios[:, -1]
    wrong = ((n_places < 1) | (n_places > n_slots)).nonzero()
    if wrong.numel():
        row = int(wrong[0])
        raise ValueError(
            f"text {row} has {int(n_places[row])} places for audio: expected 1 to {n_slots}, "
            "one per slot"
        )
    return n_audios


def cross_mask(
    is_audio: Tensor,
    window_mask: Tensor,
    *,
    windows_per_audio: int,
    dtype: torch.dtype,
    with_latest: bool = False,
) -> CrossMask:
    """Build the mask of whole prompts.

    Args:
        is_audio: bool, shape ``(B, T)``: where the text has a place for audio.
        window_mask: Shape ``(B, L)``; 0 for a window without audio.
        windows_per_audio: W.
        dtype: Type of the bias.
        with_latest: Whether some blocks look at the latest audio only.

    Raises:
        ValueError: A text has no place for audio, or more places than there are slots.
    """
    n_audios = count_audios(is_audio, window_mask.shape[1] // windows_per_audio)
    return audio_mask(
        n_audios,
        window_mask,
        windows_per_audio=windows_per_audio,
        dtype=dtype,
        with_latest=with_latest,
    )


def audio_mask(
    n_audios: Tensor,
    window_mask: Tensor,
    *,
    windows_per_audio: int,
    dtype: torch.dtype,
    with_latest: bool = False,
) -> CrossMask:
    """Build the mask of positions from the number of audios up to each.

    Args:
        n_audios: int, shape ``(B, T)``; see ``slot_mask``.
        window_mask: Shape ``(B, L)``; 0 for a window without audio.
        windows_per_audio: W.
        dtype: Type of the bias.
        with_latest: Whether some blocks look at the latest audio only.
    """
    n_windows = window_mask.shape[1]
    mask = mask_of(slot_mask(n_audios, n_windows, windows_per_audio), window_mask, dtype)
    if not with_latest:
        return mask
    latest = slot_mask(n_audios, n_windows, windows_per_audio, latest=True)
    return replace(mask, latest=mask_of(latest, window_mask, dtype))


def mask_of(slots: Tensor, window_mask: Tensor, dtype: torch.dtype) -> CrossMask:
    """Hide windows without audio from what the slots allow.

    Args:
        slots: bool, shape ``(B, T, L)``, from ``slot_mask``.
        window_mask: Shape ``(B, L)``; 0 for a window without audio.
        dtype: Type of the bias.
    """
    visible = slots & window_mask.bool()[:, None]
    sees_any = visible.any(dim=-1, keepdim=True)
    if bool(sees_any.all()):
        return CrossMask(bias=hidden_bias(visible, dtype)[:, None], sees_any=None)
    bias = hidden_bias(visible | ~sees_any, dtype)
    return CrossMask(bias=bias[:, None], sees_any=sees_any[:, None].to(dtype))


def causal_bias(attention_mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Build the mask in which each token sees itself and the real tokens before it.

    Args:
        attention_mask: Shape ``(B, T)``; 0 where padded.
        dtype: Type of the bias.

    Returns:
        Shape ``(B, 1, T, T)``.
    """
    length = attention_mask.shape[1]
    earlier = torch.ones(length, length, dtype=torch.bool, device=attention_mask.device).tril()
    return hidden_bias(earlier & attention_mask.bool()[:, None], dtype)[:, None]


def positions_of(attention_mask: Tensor) -> Tensor:
    """Return each token's position among the real tokens; padding is at -1.

    Args:
        attention_mask: Shape ``(B, T)``; 0 where padded.

    Returns:
        int64, shape ``(B, T)``.
    """
    mask = attention_mask.long()
    return mask.cumsum(dim=1) * mask - 1
