"""A small encoder of Shorten, the lossless coding inside NIST SPHERE files of the LDC.

Version 2 of the format (T. Robinson, "SHORTEN: simple lossless and near-lossless waveform
compression", 1994), with its first-order differences alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BIG, _LITTLE = 3, 5  # file types of 16-bit samples
_DIFF1, _QUIT, _BLOCK_SIZE, _VERBATIM = 1, 4, 5, 9
_BITS = {"function": 2, "energy": 3, "long": 2, "verbatim length": 5, "byte": 8}


class _Bits:
    def __init__(self) -> None:
        self._text: list[str] = []

    def unsigned(self, value: int, n_low: int) -> None:
        """Rice code: the high part in unary, then ``n_low`` bits."""
        self._text.append("0" * (value >> n_low) + "1")
        if n_low:
            self._text.append(format(value & (1 << n_low) - 1, f"0{n_low}b"))

    def long(self, value: int) -> None:
        n_low = max(1, value.bit_length())
        self.unsigned(n_low, _BITS["long"])
        self.unsigned(value, n_low)

    def to_bytes(self) -> bytes:
        text = "".join(self._text)
        text += "0" * (-len(text) % 32)
        return int(text, 2).to_bytes(len(text) // 8, "big")


def shorten(
    samples: NDArray[np.int16], *, block: int = 256, header: bytes = b"", big_endian: bool = False
) -> bytes:
    """Encode ``(n, channels)`` 16-bit samples; ``header`` is kept as it is, as ``.shn`` does."""
    bits = _Bits()
    channels = samples.shape[1]
    for value in (_BIG if big_endian else _LITTLE, channels, block, 0, 0, 0):
        bits.long(value)
    if header:
        bits.unsigned(_VERBATIM, _BITS["function"])
        bits.unsigned(len(header), _BITS["verbatim length"])
        for byte in header:
            bits.unsigned(byte, _BITS["byte"])
    last = [0] * channels
    for start in range(0, len(samples), block):
        part = samples[start : start + block].astype(int)
        if len(part) < block:
            bits.unsigned(_BLOCK_SIZE, _BITS["function"])
            bits.long(len(part))
        for channel in range(channels):
            steps = np.diff(part[:, channel], prepend=last[channel])
            last[channel] = int(part[-1, channel])
            energy = max(0, int(np.abs(steps).mean()).bit_length() - 1)
            bits.unsigned(_DIFF1, _BITS["function"])
            bits.unsigned(energy, _BITS["energy"])
            for step in steps.tolist():
                bits.unsigned(2 * step if step >= 0 else -2 * step - 1, energy + 1)
    bits.unsigned(_QUIT, _BITS["function"])
    return b"ajkg\x02" + bits.to_bytes()


def sphere(
    samples: NDArray[np.int16], rate: int, *, coding: str = "pcm,embedded-shorten-v2.00"
) -> bytes:
    """A NIST SPHERE file of 16-bit samples, ``(n, channels)``."""
    fields = {
        "channel_count": f"-i {samples.shape[1]}",
        "sample_count": f"-i {len(samples)}",
        "sample_rate": f"-i {rate}",
        "sample_n_bytes": "-i 2",
        "sample_byte_format": "-s2 10",
        "sample_sig_bits": "-i 16",
        "sample_coding": f"-s{len(coding)} {coding}",
    }
    lines = ["NIST_1A", "   1024", *(f"{name} {value}" for name, value in fields.items())]
    head = "\n".join([*lines, "end_head\n"]).encode()
    return head.ljust(1024) + shorten(samples, big_endian=True)
