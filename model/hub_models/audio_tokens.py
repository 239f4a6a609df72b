"""Numbers of tokens that recordings take, by family, without decoding them.

Each function takes a length in samples, and the family's processor where a setting of it counts.
They repeat what the feature extractors and encoders do; the tests compare them with the processors.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

CountTokens = Callable[[int, Any], int]

_HOP: Final = 160
_WINDOW_FRAMES: Final = 3000
_WINDOW_SAMPLES: Final = _HOP * _WINDOW_FRAMES
WINDOW_TOKENS: Final = 375
"""Tokens of 30 s, or of a part of them, for Voxtral."""

_PHI_FRAME: Final = 400


def whisper_windows(n_samples: int, processor: Any) -> int:
    """Count tokens of windows of 30 s, 25 a second: Audio Flamingo 3, Music Flamingo.

    >>> class Processor: max_audio_len = 600
    >>> whisper_windows(24_000, Processor), whisper_windows(601 * 16_000, Processor)
    (37, 15000)
    """
    return _pooled(_frames_of_windows(n_samples, processor.max_audio_len))


def whisper_once(n_samples: int, _processor: Any) -> int:
    """Count tokens of one window of 30 s, what is beyond it left out: Qwen2-Audio.

    >>> whisper_once(31 * 16_000, None)
    750
    """
    return _pooled(min(_frames(n_samples), _WINDOW_FRAMES))


def omni_once(n_samples: int, processor: Any) -> int:
    """Count tokens of what the feature extractor takes at most, 25 a second: Qwen2.5-Omni."""
    return _pooled(min(_frames(n_samples), processor.feature_extractor.nb_max_frames))


def omni_moe(n_samples: int, _processor: Any) -> int:
    """Count tokens, 13 a second, each second by itself: Qwen3-Omni.

    >>> omni_moe(31 * 16_000, None)
    403
    """
    seconds, rest = divmod(_frames(n_samples), 100)
    for _ in range(3):
        rest = (rest - 1) // 2 + 1
    return seconds * 13 + rest


def merged_windows(n_samples: int, processor: Any) -> int:
    """Count tokens of windows of 30 s, four frames of 50 Hz in each: GLM-ASR."""
    frames = _frames_of_windows(n_samples, processor.max_audio_len)
    return ((frames - 1) // 2 + 1) // 4


def fixed(_n_samples: int, processor: Any) -> int:
    """Return the number of tokens that every recording takes: Gemma 3n."""
    return int(processor.audio_seq_length)


def conformer(n_samples: int, processor: Any) -> int:
    """Count tokens, 25 a second and at most 30 s: Gemma 4."""
    extractor = processor.feature_extractor
    n_samples = min(n_samples, _WINDOW_SAMPLES)
    frame = int(extractor.frame_length)
    frames = (n_samples + frame // 2 - frame - 1) // _HOP + 1
    for _ in range(2):
        frames = (frames - 1) // 2 + 1
    return min(frames, int(processor.audio_seq_length))


def compressed(n_samples: int, _processor: Any) -> int:
    """Count tokens, one for eight frames: Phi-4-multimodal.

    >>> compressed(16_000, None), compressed(31 * 16_000, None)
    (13, 388)
    """
    return math.ceil(((n_samples - _PHI_FRAME) // _HOP + 1) / 8)


def blocks(n_samples: int, processor: Any) -> int:
    """Count tokens, three for a block of 15 encoded frames: Granite Speech."""
    extractor = processor.audio_processor
    window = extractor.projector_window_size
    n_blocks = math.ceil((n_samples // _HOP + 1) // 2 / window)
    return int(n_blocks * (window // extractor.projector_downsample_rate))


def padded_windows(n_samples: int, _processor: Any) -> int:
    """Count tokens of windows of 30 s, a part of one taking as many as a whole: Voxtral."""
    return WINDOW_TOKENS * max(1, math.ceil(n_samples / _WINDOW_SAMPLES))


def codes(n_samples: int, processor: Any) -> int:
    """Count discrete codes, as the feature extractor does: Apertus 1.5."""
    return int(processor.feature_extractor.get_num_audio_codes(n_samples))


def _frames(n_samples: int) -> int:
    # The mask that is counted takes every 160th sample, the first included.
    return -(-n_samples // _HOP)


def _frames_of_windows(n_samples: int, longest_s: float) -> int:
    longest = int(longest_s // 30) * _WINDOW_SAMPLES
    whole, rest = divmod(min(n_samples, longest), _WINDOW_SAMPLES)
    return whole * _WINDOW_FRAMES + _frames(rest)


def _pooled(frames: int) -> int:
    return ((frames - 1) // 2 + 1 - 2) // 2 + 1
