"""How well a scan finds sounds from five examples, on the test bed of ``scan_bed.py``.

Run it with ``./dev bench scan_quality``, or for one seed ``./dev bench scan_quality 0``, with
``--cache DIR`` to encode once; results go to ``benchmarks/results/``.

Settings were chosen on seed 0 and are confirmed on seed 1, which draws other clips, places and
backgrounds. *F1* is the mean of the labels' F1 by the protocol of DCASE's task 5: five events are
given, the others count as found at an overlap of 0.3. *False events* are counted in recordings of
the other labels' targets, without the label that is looked for. *Another recording* takes its
examples from the recording at 15 dB and looks in that at 5 dB as if it were another one. *Heard*
are events whose very clip is among the examples, at another speed and level; *new* ones are not.

Similarity is what the windows of an index give, 2.3 s long and half overlapping, embedded one by
one: the similarity of each to the nearest example, events where it is above the best of six
thresholds. Ours has one threshold.
"""

from __future__ import annotations

import json
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
from benchmarks.scan_bed import (
    DURATION_S,
    N_EXAMPLES,
    RATE,
    SNRS_DB,
    TARGETS,
    BedRecording,
    make_recording,
)
from numpy.typing import NDArray

from earful.index.annotations import Annotation, Polarity
from earful.model import StepEmbedder, load_embedder, step_embedder
from earful.model.audio import Clip
from earful.rag.scan import DEFAULT_THRESHOLD, ScanSettings
from earful.rag.scan.detection import ExampleRecording, fit_detectors
from earful.rag.scan.metrics import EventEvaluation, evaluate_events

RESULTS = Path(__file__).resolve().parent / "results" / "scan_quality.json"
SEEDS: Final = (0, 1)
GATE_SNR_DB: Final = 5
THRESHOLDS: Final = (0.4, 0.5, 0.6, 0.7, 0.8)
_WINDOW_S, _HOP_S = 2.32, 1.16

Steps = NDArray[np.float16]


class Bed:
    """Recordings of one seed, their steps, and what is found in them.

    Args:
        recordings: To look in.
        embedder: Makes their steps, which are kept in float16.
        cache: Folder in which steps of earlier runs lie; ``None`` for none.
    """

    def __init__(
        self,
        recordings: Iterable[BedRecording],
        embedder: StepEmbedder,
        cache: Path | None = None,
    ) -> None:
        self._embedder = embedder
        self.encoding_s: list[float] = []
        self.recordings: dict[tuple[str, int], BedRecording] = {}
        self._steps: dict[str, Steps] = {}
        for recording in recordings:
            path = cache / f"{recording.name}.npy" if cache else None
            # The first is encoded in any case, for the time that it takes.
            if path is None or not path.exists() or not self.encoding_s:
                began = time.process_time()
                steps = embedder.embed_steps(recording.samples).astype(np.float16)
                self.encoding_s.append(time.process_time() - began)
                if path is not None:
                    np.save(path, steps)
            else:
                steps = np.load(path)
            self._steps[recording.name] = steps
            # Steps are all that a scan needs of a recording.
            kept = replace(recording, samples=recording.samples[:0])
            self.recordings[recording.label, recording.snr_db] = kept

    def find(
        self, example_in: BedRecording, look_in: BedRecording, settings: ScanSettings
    ) -> list[Annotation]:
        """Return the events that the examples of one recording find in one."""
        examples = ExampleRecording(
            name=example_in.name,
            sha256=example_in.name,
            steps=self._steps[example_in.name],
            annotations=[
                annotation(example_in, event.start_s, event.end_s) for event in example_in.examples
            ],
            complete_until_s=example_in.complete_until_s,
        )
        detectors = fit_detectors([examples], self._embedder, settings)
        found = detectors.detect(
            self._steps[look_in.name], sha256=look_in.name, duration_s=DURATION_S
        )
        return [
            Annotation(
                recording=look_in.name, start_s=one.start_s, end_s=one.end_s, label=one.label
            )
            for one in found.events
        ]

    def in_own_recording(self, snr_db: int, settings: ScanSettings) -> dict[str, Any]:
        """Look in each recording for what its first five events are examples of."""
        looked_in = [self.recordings[label, snr_db] for label in TARGETS]
        found = [event for one in looked_in for event in self.find(one, one, settings)]
        return told(found, looked_in)

    def in_another(self, settings: ScanSettings, *, loud_db: int = 15) -> float:
        """Return the F1 of examples of one recording in another with the same events."""
        found: list[Annotation] = []
        for label in TARGETS:
            loud, quiet = self.recordings[label, loud_db], self.recordings[label, GATE_SNR_DB]
            found += self.find(loud, quiet, settings)
        return evaluated(found, [self.recordings[x, GATE_SNR_DB] for x in TARGETS]).value

    def false_per_hour(self, settings: ScanSettings) -> float:
        """Return the false events an hour where a label's sound is absent."""
        n_false = n_pairs = 0
        for label in TARGETS:
            for other in TARGETS:
                if other != label:
                    n_pairs += 1
                    n_false += len(
                        self.find(
                            self.recordings[label, GATE_SNR_DB],
                            self.recordings[other, GATE_SNR_DB],
                            settings,
                        )
                    )
        return n_false / (n_pairs * DURATION_S / 3600)


def annotation(
    recording: BedRecording, start_s: float, end_s: float, polarity: Polarity = "positive"
) -> Annotation:
    """Return an annotation of a recording's target."""
    return Annotation(
        recording=recording.name,
        start_s=start_s,
        end_s=end_s,
        label=recording.label,
        polarity=polarity,
    )


def evaluated(
    found: Sequence[Annotation],
    looked_in: Sequence[BedRecording],
    *,
    heard: bool | None = None,
) -> EventEvaluation:
    """Evaluate events after the examples.

    Args:
        found: In all recordings.
        looked_in: The recordings.
        heard: Whether only events whose clip is among the examples count, or only the others;
            ``None`` for all.
    """
    reference = []
    for recording in looked_in:
        clips = {event.clip for event in recording.examples}
        for number, event in enumerate(recording.events):
            counts = heard is None or number < N_EXAMPLES or (event.clip in clips) == heard
            reference.append(
                annotation(
                    recording, event.start_s, event.end_s, "positive" if counts else "unknown"
                )
            )
    durations = {recording.name: DURATION_S for recording in looked_in}
    return evaluate_events(found, reference, durations, n_given=N_EXAMPLES)


def told(found: Sequence[Annotation], looked_in: Sequence[BedRecording]) -> dict[str, Any]:
    """Return what is told of events."""
    everything = evaluated(found, looked_in)
    interval = everything.interval
    return {
        "f1": everything.value,
        "interval": [interval.low, interval.high] if interval else None,
        "precision": everything.total.precision,
        "recall": everything.total.recall,
        "recall_heard": evaluated(found, looked_in, heard=True).total.recall,
        "recall_new": evaluated(found, looked_in, heard=False).total.recall,
        "by_label": {label: counts.f1 for label, counts in everything.by_label.items()},
    }


def similarity_f1(seed: int) -> float:
    """Return the F1 of similarity over an index's windows, at the best of six thresholds."""
    recordings = [make_recording(label, GATE_SNR_DB, seed=seed) for label in TARGETS]
    embedder = load_embedder("earful-small")
    window, hop = int(_WINDOW_S * RATE), int(_HOP_S * RATE)
    scored = []
    for recording in recordings:
        starts = range(0, recording.samples.size - window + 1, hop)
        clips = [
            Clip(samples=recording.samples[start : start + window], sample_rate=RATE)
            for start in starts
        ]
        rows = np.concatenate(
            [embedder.embed(clips[row : row + 16]) for row in range(0, len(clips), 16)]
        )
        middles = (np.array(starts) + window / 2) / RATE
        # An example is the window around it.
        own = [
            int(np.abs(middles - (event.start_s + event.end_s) / 2).argmin())
            for event in recording.examples
        ]
        scored.append((recording, middles, (rows @ rows[own].T).max(axis=1)))
    best = 0.0
    for threshold in np.linspace(0.4, 0.9, 6):
        found = [
            annotation(recording, middle - _HOP_S / 2, middle + _HOP_S / 2)
            for recording, middles, scores in scored
            for middle in middles[scores > threshold]
        ]
        best = max(best, evaluated(joined(found), recordings).value)
    return best


def joined(found: Sequence[Annotation]) -> list[Annotation]:
    """Join annotations of a recording that touch."""
    kept: list[Annotation] = []
    for one in found:
        last = kept[-1] if kept else None
        if last and last.recording == one.recording and one.start_s - last.end_s < 0.01:
            kept[-1] = replace(last, end_s=one.end_s)
        else:
            kept.append(one)
    return kept


def measure(seed: int, embedder: StepEmbedder, cache: Path | None = None) -> dict[str, Any]:
    """Measure scans of one seed."""
    bed = Bed(
        (make_recording(label, snr_db, seed=seed) for snr_db in SNRS_DB for label in TARGETS),
        embedder,
        cache,
    )
    hours = len(bed.recordings) * DURATION_S / 3600
    settings = ScanSettings()
    began = time.process_time()
    own = {str(snr_db): bed.in_own_recording(snr_db, settings) for snr_db in SNRS_DB}
    scoring_s = time.process_time() - began
    by_threshold = {}
    for threshold in THRESHOLDS:
        other = replace(settings, threshold=threshold)
        by_threshold[f"{threshold:g}"] = {
            "f1": [bed.in_own_recording(snr_db, other)["f1"] for snr_db in SNRS_DB],
            "false_per_hour": bed.false_per_hour(other),
            "another": bed.in_another(other),
        }
    probe = replace(settings, detector="probe")
    return {
        "own": own,
        "by_threshold": by_threshold,
        "probe": {
            "f1": [bed.in_own_recording(snr_db, probe)["f1"] for snr_db in SNRS_DB],
            "false_per_hour": bed.false_per_hour(probe),
            "another": bed.in_another(probe),
        },
        "cpu_s_per_hour": {
            "encoding": median(bed.encoding_s) * 3600 / DURATION_S,
            "fitting and scoring": scoring_s / hours,
        },
    }


def main(arguments: Sequence[str]) -> None:
    """Measure the seeds that are given, both by default, and keep what was measured of others."""
    embedder = step_embedder(load_embedder("earful-small"))
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("seeds", nargs="*", type=int, help="both by default")
    parser.add_argument("--cache", type=Path, help="folder that keeps the recordings' steps")
    given = parser.parse_args(arguments)
    seeds = given.seeds or list(SEEDS)
    measured = {
        str(seed): {
            **measure(seed, embedder, given.cache),
            "similarity_f1": similarity_f1(seed),
        }
        for seed in seeds
    }
    settings = {
        "threshold": DEFAULT_THRESHOLD,
        "snrs_db": list(SNRS_DB),
        "gate_snr_db": GATE_SNR_DB,
    }
    kept: dict[str, Any] = {}
    if RESULTS.exists() and len(seeds) < len(SEEDS):
        kept = json.loads(RESULTS.read_text(encoding="utf-8"))
        # Seeds are given side by side only if the settings were the same.
        kept = kept["seeds"] if {name: kept[name] for name in settings} == settings else {}
    results = {**settings, "seeds": dict(sorted({**kept, **measured}.items()))}
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
