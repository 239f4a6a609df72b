"""What a minute of audio costs the encoders that ship: seconds of one processor.

``earful-tiny``, ``earful-small`` and ``yamnet`` embed the same minute, decoded and at their own
rates, spectrograms included: once as one recording, once as sixty of a second each. The last two
take part a second time with their class scores, which come out of the same pass. All take turns
in one process, on one thread; processor time is counted, so that others on the machine count for
little.

    ./dev bench trunks

writes ``benchmarks/results/trunks.json``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from benchmarks.turns import in_turns, keep, machine, spread, table_of, times, use_threads

from earful.model import load_embedder
from earful.model.audio import Clip, resample
from earful.model.small import SmallEmbedder
from earful.model.yamnet import YamnetEmbedder

RATE = 44_100
SECONDS = 60
FORMS = {"one recording of 60 s": 1, "60 recordings of 1 s": SECONDS}


def main() -> None:
    """Measure on one thread, print tables and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    use_threads(1)
    tiny = load_embedder("earful-tiny", device="cpu")
    small = load_embedder("earful-small", device="cpu")
    yamnet = load_embedder("yamnet", device="cpu")
    assert isinstance(small, SmallEmbedder)
    assert isinstance(yamnet, YamnetEmbedder)
    report: dict[str, Any] = {"machine": machine(), "threads": 1, "rounds": arguments.rounds}
    report["forms"] = {}
    for form, n_clips in FORMS.items():
        ours = recordings(tiny.fingerprint.sample_rate, n_clips)
        theirs = recordings(yamnet.fingerprint.sample_rate, n_clips)
        works: dict[str, Callable[[], object]] = {
            "earful-tiny": partial(tiny.embed, ours),
            "earful-small": partial(small.embed, ours),
            "earful-small and class scores": partial(small.embed_and_score, ours),
            "yamnet": partial(yamnet.embed, theirs),
            "yamnet and class scores": partial(yamnet.embed_and_score, theirs),
        }
        seconds = in_turns(works, n_rounds=arguments.rounds, clock=time.process_time)
        report["forms"][form] = {
            name: {"ms": spread(some, digits=0), "times": times(seconds["earful-tiny"], some)}
            for name, some in seconds.items()
        }
        print(f"\n{form}, processor time\n")
        print(table_of(report["forms"][form], "ms a minute"))
    keep("trunks", report)


def recordings(sample_rate: int, n_clips: int) -> list[Clip]:
    """Return a minute of tones in noise, cut into equal clips."""
    rng = np.random.default_rng(0)
    time_s = np.arange(RATE * SECONDS) / RATE
    tones = np.sin(2 * np.pi * (200 + 100 * np.floor(time_s)) * time_s)
    sound = (0.3 * tones + 0.1 * rng.standard_normal(time_s.size)).astype(np.float32)
    samples = resample(Clip(samples=sound, sample_rate=RATE), sample_rate).samples
    return [Clip(samples=part, sample_rate=sample_rate) for part in np.split(samples, n_clips)]


if __name__ == "__main__":
    main()
