"""Read sounds where packages keep them: plain files, group files, SoundFonts, WADs.

Each reader gives a sound as mono float64 with its rate in Hz, as it was recorded. Only a
recording that a SoundFont loops may be held, where a caller asks: by repeating the loop under
the SoundFont's own volume envelope, with none of its filters, effects or other pitches.
"""

from __future__ import annotations

import gzip
import io
import itertools
import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from training.corpus import game_zip, qt_resource

Samples = NDArray[np.float64]
# Generators of a SoundFont's zones, as its specification (2.04, section 8.1.2) numbers them.
DELAY_TO_DECAY = (33, 34, 35, 36)
SUSTAIN = 37
SAMPLE = 53
LOOP_MODE = 54


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """How loud a held note is over time: silence, rise, hold, decay to a level that stays."""

    delay_s: float = 0.0
    attack_s: float = 0.001
    hold_s: float = 0.001
    decay_s: float = 0.001
    sustain_db: float = 0.0

    def gains(self, n_samples: int, rate: int) -> Samples:
        """Return the gain of each sample; ``decay_s`` is the time for a fall by 100 dB.

        >>> Envelope(attack_s=0.2, hold_s=0.1, decay_s=1.0, sustain_db=-20.0).gains(5, 10)
        array([0.        , 0.5       , 1.        , 1.        , 0.31622777])
        """
        time = np.arange(n_samples) / rate - self.delay_s
        rise = np.clip(time / max(self.attack_s, 1e-6), 0.0, 1.0)
        fallen = np.clip(time - self.attack_s - self.hold_s, 0.0, None) / max(self.decay_s, 1e-6)
        gains: Samples = rise * 10.0 ** (np.maximum(-100.0 * fallen, self.sustain_db) / 20.0)
        return gains


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleHeader:
    """Where a recording stands inside a SoundFont, and how the first instrument holds it.

    Positions count samples, or bytes of Ogg Vorbis where ``is_vorbis`` is set (SF3); loop
    positions then count samples from the recording's own begin. ``envelope`` is None where
    the recording is not held.
    """

    start: int
    end: int
    loop_start: int
    loop_end: int
    rate_hz: int
    is_vorbis: bool
    envelope: Envelope | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundFont:
    """A SoundFont's bytes, where its samples begin, and its recordings by name."""

    data: bytes
    begin: int
    samples: dict[str, SampleHeader]


def read_member(place: Path, member: str, note_s: float = 0.0) -> tuple[Samples, int]:
    """Return a sound as mono float64 with its rate in Hz.

    Args:
        place: A folder, a SoundFont or a WAD.
        member: The sound's path or name inside.
        note_s: How long to hold a shorter recording that a SoundFont loops, in seconds.
    """
    if place.suffix in {".sf2", ".sf3"}:
        return soundfont_sample(place, member, note_s)
    if place.suffix == ".wad":
        return doom_sound(place, member)
    group, _, inside = member.partition("/")
    if group.endswith(".ocg"):
        data: bytes | str = group_file(place / group)[inside]
    elif group.endswith(".rcc"):
        data = qt_resource.members(place / group)[inside]
    elif group.endswith(".pk3"):
        data = game_zip.members(place / group)[inside]
    else:
        data = str(place / member)
    samples, rate = soundfile.read(
        io.BytesIO(data) if isinstance(data, bytes) else data, always_2d=True
    )
    return samples.mean(axis=1), rate


@cache
def group_file(path: Path) -> dict[str, bytes]:
    """Read an OpenClonk group file: path inside to contents."""
    found: dict[str, bytes] = {}
    _read_group(path.read_bytes(), "", found)
    return found


def _read_group(data: bytes, prefix: str, found: dict[str, bytes]) -> None:
    if data[:2] == b"\x1e\x8c":  # gzip with its two magic bytes replaced
        data = gzip.decompress(b"\x1f\x8b" + data[2:])
    header = bytearray(byte ^ 237 for byte in data[:204])
    for i in range(0, 202, 3):
        header[i], header[i + 2] = header[i + 2], header[i]
    (n_entries,) = struct.unpack_from("<i", header, 36)
    body = 204 + 316 * n_entries
    for number in range(n_entries):
        entry = data[204 + 316 * number :][:316]
        name = entry[:260].split(b"\0")[0].decode("latin-1")
        _, is_group, size, _, offset = struct.unpack_from("<5i", entry, 260)
        content = data[body + offset : body + offset + size]
        if is_group:
            _read_group(content, f"{prefix}{name}/", found)
        else:
            found[prefix + name] = content


@cache
def soundfont(path: Path) -> SoundFont:
    """Read where each recording of a SoundFont stands."""
    data = path.read_bytes()
    chunks: dict[bytes, tuple[int, int]] = {}

    def walk(position: int, end: int) -> None:
        while position < end:
            kind, size = struct.unpack_from("<4sI", data, position)
            if kind == b"LIST":
                walk(position + 12, position + 8 + size)
            else:
                chunks[kind] = (position + 8, size)
            position += 8 + size + size % 2

    walk(12, len(data))
    envelopes = _envelopes(data, chunks)
    headers, size = chunks[b"shdr"]
    samples = {}
    for number, position in enumerate(range(headers, headers + size - 46, 46)):
        name, *numbers, kind = struct.unpack_from("<20s5IxxxxH", data, position)
        start, end, loop_start, loop_end, rate_hz = numbers
        samples[name.split(b"\0")[0].decode("latin-1")] = SampleHeader(
            start=start,
            end=end,
            loop_start=loop_start,
            loop_end=loop_end,
            rate_hz=rate_hz,
            is_vorbis=bool(kind & 0x10),
            envelope=envelopes.get(number),
        )
    return SoundFont(data=data, begin=chunks[b"smpl"][0], samples=samples)


def _envelopes(data: bytes, chunks: dict[bytes, tuple[int, int]]) -> dict[int, Envelope | None]:
    """Return how the first zone that plays each recording holds it, by the recording's number."""

    def records(kind: bytes, form: str) -> list[tuple[int, ...]]:
        position, size = chunks[kind]
        return list(struct.iter_unpack(form, data[position : position + size]))

    bags, generators = records(b"ibag", "<HH"), records(b"igen", "<Hh")
    first_bags = [first for (first,) in records(b"inst", "<20xH")]
    found: dict[int, Envelope | None] = {}
    for begin, end in itertools.pairwise(first_bags):
        general: dict[int, int] = {}
        for bag in range(begin, end):
            zone = generators[bags[bag][0] : bags[bag + 1][0]]
            own = {kind: amount for kind, amount in zone}
            if SAMPLE not in own:  # what holds for the whole instrument
                general = own
            elif own[SAMPLE] not in found:
                found[own[SAMPLE]] = _envelope(general | own)
    return found


def _envelope(zone: dict[int, int]) -> Envelope | None:
    if not zone.get(LOOP_MODE, 0) & 1:
        return None
    delay_s, attack_s, hold_s, decay_s = (
        2.0 ** (zone.get(number, -12_000) / 1200.0) for number in DELAY_TO_DECAY
    )
    return Envelope(
        delay_s=delay_s,
        attack_s=attack_s,
        hold_s=hold_s,
        decay_s=decay_s,
        sustain_db=-zone.get(SUSTAIN, 0) / 10.0,
    )


def soundfont_sample(path: Path, name: str, note_s: float = 0.0) -> tuple[Samples, int]:
    """Return one recording out of a SoundFont, as it was recorded or held by its loop."""
    font = soundfont(path)
    header = font.samples[name]
    if header.is_vorbis:
        ogg = font.data[font.begin + header.start : font.begin + header.end]
        samples, rate = soundfile.read(io.BytesIO(ogg), always_2d=True)
        values = samples.mean(axis=1)
        loop = (header.loop_start, header.loop_end)
    else:
        rate = header.rate_hz
        stored = np.frombuffer(
            font.data,
            dtype="<i2",
            count=header.end - header.start,
            offset=font.begin + 2 * header.start,
        )
        values = stored / 32768.0
        loop = (header.loop_start - header.start, header.loop_end - header.start)
    n_samples = round(note_s * rate)
    if header.envelope is None or values.size >= n_samples:
        return values, rate
    held = hold(values, loop, n_samples)
    return held * header.envelope.gains(held.size, rate), rate


def hold(values: Samples, loop: tuple[int, int], n_samples: int) -> Samples:
    """Repeat a loop until there are ``n_samples``; leave alone what is longer or has no loop.

    >>> hold(np.array([0.0, 1.0, 2.0, 9.0]), (1, 3), 7)
    array([0., 1., 2., 1., 2., 1., 2.])
    """
    start, end = loop
    if values.size >= n_samples or not 0 <= start < end <= values.size:
        return values
    n_repeats = -(-(n_samples - end) // (end - start))
    return np.concatenate([values[:end], np.tile(values[start:end], n_repeats)])[:n_samples]


def doom_sound(path: Path, name: str) -> tuple[Samples, int]:
    """Return one sound lump of a Doom WAD: 8 bits unsigned, padded by 16 samples each side."""
    data = path.read_bytes()
    n_lumps, directory = struct.unpack_from("<2i", data, 4)
    for number in range(n_lumps):
        start, _, lump = struct.unpack_from("<2i8s", data, directory + 16 * number)
        if lump.rstrip(b"\0") == name.encode("ascii"):
            _, rate, n_samples = struct.unpack_from("<HHI", data, start)
            values = np.frombuffer(data, np.uint8, count=n_samples - 32, offset=start + 24)
            return (values.astype(np.float64) - 128.0) / 128.0, int(rate)
    raise SystemExit(f"{path}: has no sound {name}")
