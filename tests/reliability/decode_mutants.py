"""A process that decodes recordings that were changed at random, and prints each outcome.

Started by ``test_audio_fuzz.py`` as ``decode_mutants.py SEEDS FIRST LAST STEP``: a folder of valid
recordings, and which numbers to try. What is done to which recording follows from the number
alone, so that anything found can be made again with ``mutant``.

A line out, JSON, is a number, its outcome (``accepted``, ``refused``, or an error that
should not have left the loader), and the largest size of this process so far in MiB.
"""

from __future__ import annotations

import faulthandler
import json
import os
import random
import resource
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from benchmarks.resident import peak_bytes

from earful.errors import AudioError
from earful.model.audio import AudioLimits, load_audio
from earful.model.audio.clip import probe_audio

MOST_BYTES = 6 << 30  # a header that leads to more is found out, not the machine's end
LIMITS = AudioLimits()


def mutant(seeds: Mapping[str, bytes], number: int) -> tuple[str, bytes]:
    """Change one recording; returns its name and the changed bytes."""
    rng = random.Random(number)
    name = rng.choice(sorted(seeds))
    data = bytearray(seeds[name])
    for _ in range(rng.choice((1, 1, 2, 4))):
        size = max(1, len(data))
        at = rng.randrange(rng.choice((64, 512, size))) % size
        change = rng.choice((_flip, _flip, _field, _field, _run, _cut, _drop, _repeat, _splice))
        change(rng, data, at, seeds)
    return name, bytes(data)


def _flip(rng: random.Random, data: bytearray, at: int, _: Mapping[str, bytes]) -> None:
    data[at : at + 1] = bytes(byte ^ 1 << rng.randrange(8) for byte in data[at : at + 1])


def _field(rng: random.Random, data: bytearray, at: int, _: Mapping[str, bytes]) -> None:
    width = rng.choice((1, 2, 4, 8))
    top = 1 << 8 * width
    value = rng.choice((0, 1, 2, top // 2 - 1, top // 2, top - 2, top - 1, rng.randrange(top)))
    data[at : at + width] = value.to_bytes(width, rng.choice(("little", "big")))


def _run(rng: random.Random, data: bytearray, at: int, _: Mapping[str, bytes]) -> None:
    n = min(rng.randrange(1, 300), len(data) - at)
    data[at : at + n] = rng.choice((b"\0", b"\xff", b"\x7f", b"\x80")) * n


def _cut(rng: random.Random, data: bytearray, at: int, _: Mapping[str, bytes]) -> None:
    del data[rng.choice((at, rng.randrange(len(data) + 1))) :]


def _drop(rng: random.Random, data: bytearray, at: int, _: Mapping[str, bytes]) -> None:
    del data[at : at + rng.randrange(1, 200)]


def _repeat(rng: random.Random, data: bytearray, at: int, _: Mapping[str, bytes]) -> None:
    data[at:at] = data[at : at + rng.randrange(1, 400)] * rng.choice((1, 1, 20))


def _splice(rng: random.Random, data: bytearray, at: int, seeds: Mapping[str, bytes]) -> None:
    other = seeds[rng.choice(sorted(seeds))]
    data[at:] = other[rng.choice((0, rng.randrange(len(other)))) :]


def decode(data: bytes) -> str:
    """Return the outcome of these bytes: of the whole, of a segment, and of probing."""
    try:
        verdict = "accepted"
        for start_s, end_s in ((0.0, None), (0.1, 0.15)):
            try:
                clip = load_audio(data, start_s=start_s, end_s=end_s, limits=LIMITS)
            except AudioError as error:
                if not str(error).isprintable():
                    return f"more than a line: {error!r}"
                verdict = "refused" if end_s is None else verdict
                continue
            if not clip.samples.size or not np.isfinite(clip.samples).all():
                return f"samples that are none: {clip!r}"
            if clip.duration_s > LIMITS.max_duration_s or clip.samples.nbytes > LIMITS.max_bytes:
                return f"more than the limits allow: {clip!r}"
        try:
            info = probe_audio(data, limits=LIMITS)
        except AudioError:
            return verdict
        within = LIMITS.min_sample_rate <= info.sample_rate <= LIMITS.max_sample_rate
        if info.duration_s <= 0 or not within or not 1 <= info.channels <= LIMITS.max_channels:
            return f"a header that is none: {info!r}"
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {error} at {place.filename}:{place.lineno}"
    return verdict


def main(folder: str, first: str, last: str, step: str) -> None:
    """Try every ``step``-th number of ``range(first, last)``."""
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    # libsndfile prints "Error A : 00" and the like where answers go.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    seeds = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    for number in range(int(first), int(last), int(step)):
        outcome = decode(mutant(seeds, number)[1])
        print(json.dumps([number, outcome, peak_bytes() / 2**20]), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
