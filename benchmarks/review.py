"""How a reviewer's labels are spent best, on the bed of ``scan_bed.py``, and how long he waits.

Run it with ``./dev bench review``, or seed by seed with ``./dev bench review 0``, which keeps what
was measured of others; with ``--cache DIR`` a run that was interrupted goes on. Results go to
``benchmarks/results/``.

Each recording of five minutes at 5 dB is scanned with its first five target events as examples, and
all before the last of them known. A simulated reviewer then asks a ``ReviewSession`` for one item
after the other, all of them in the first half of the recording; peaks down to a score of 0, by
default 0.3, are items, so that there are fifty of them. He says yes where half of the item or of a
target event lies in the other, unsure where they overlap less, and no elsewhere; the detector is
fitted again after each ten labels. *AP* is the average precision of the windows of the second half,
which nobody labels, by the detector that the examples and these labels make. *Found* are target
events of the first half that were confirmed, other than the examples. The interval is of the
difference in AP to the first strategy, of resampled recordings.

The waits are for the next item among ten thousand, and for a detector that is fitted again for an
hour of recording, beside what encoding that hour costs in CPU seconds.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
import soundfile
from benchmarks.scan_bed import DURATION_S, RATE, TARGETS, BedEvent, BedRecording, make_recording
from numpy.typing import NDArray

import earful
from earful.index.annotations import Annotation, Event, RecordingRow, event_id
from earful.index.labels import Label, read_marks
from earful.index.recordings import StepStore
from earful.model import StepEmbedder, load_step_embedder
from earful.rag.review import ReviewItem, ReviewSession, ReviewSettings
from earful.rag.scan import (
    Events,
    ExampleSources,
    LabelSummary,
    ScanOptions,
    ScanPart,
    ScanSettings,
    vectors_folder,
)
from earful.rag.scan.detection import ExampleRecording, fit_detectors

RESULTS = Path(__file__).resolve().parent / "results" / "review.json"
SEEDS: Final = (0, 1)
SNR_DB: Final = 5
COUNTS: Final = (20, 50)
REFIT_AFTER: Final = 10
HALF_S: Final = DURATION_S / 2
LOWEST_SCORE: Final = 0.0
DIVERSITY: Final = 20
STRATEGIES: Final = {
    "mix": ("mix", DIVERSITY),
    "mix without diversity": ("mix", 1),
    "top": ("top", 1),
    "margin": ("margin", 1),
    "diverse": ("diverse", DIVERSITY),
    "target=0.4": ("target=0.4", 1),
    "random": ("random", 1),
}
_N_RESAMPLED: Final = 2000
_N_MANY: Final = 10_000
# An event that no item overlaps.
_NOWHERE: Final = (BedEvent(label="", start_s=-2.0, end_s=-1.0, clip=""),)

Scores = NDArray[np.float32]


# What labels of one recording by one strategy came to: average precision in the second half and
# target events that were confirmed, both by number of labels, and the labels that could be given.
Reviewed = dict[str, Any]


class Bed:
    """Recordings of the bed as scans that are to be reviewed.

    Args:
        folder: To write into.
        embedder: Of the scans.
    """

    def __init__(self, folder: Path, embedder: StepEmbedder) -> None:
        self._folder, self.embedder = folder, embedder
        self._start: dict[str, float] = {}

    def scan(self, recording: BedRecording) -> Path:
        """Scan the first half of a recording, and return the folder."""
        out = self._folder / f"{recording.name}.scan"
        if (out / "scan.json").exists():
            (out / "labels.jsonl").unlink(missing_ok=True)
            return out
        audio = self._folder / f"{recording.name}.wav"
        soundfile.write(audio, recording.samples, RATE, subtype="PCM_16")
        table = self._folder / f"{recording.name}.csv"
        rows = [f"{audio},{e.start_s},{e.end_s},{e.label}\n" for e in recording.examples]
        table.write_text("recording,start_s,end_s,label\n" + "".join(rows), encoding="utf-8")
        earful.scan(
            [audio],
            examples=ExampleSources(
                annotations=(table,), complete_until_s=recording.complete_until_s
            ),
            out=out,
            embedder=self.embedder,
            options=ScanOptions(
                part=ScanPart(to_s=HALF_S), vectors=self._folder / "vectors", jobs=1
            ),
        )
        return out

    def review_all(self, recording: BedRecording) -> dict[str, Reviewed]:
        """Let a simulated reviewer label a recording by each strategy, from anew."""
        kept = self._folder / f"{recording.name}.json"
        if not kept.exists():
            found = {name: self.review(recording, *how) for name, how in STRATEGIES.items()}
            kept.write_text(json.dumps(found), encoding="utf-8")
        read: dict[str, Reviewed] = json.loads(kept.read_text(encoding="utf-8"))
        return read

    def review(self, recording: BedRecording, strategy: str, diversity: int) -> Reviewed:
        """Let a simulated reviewer label a recording by one strategy."""
        out = self.scan(recording)
        settings = ReviewSettings(
            diversity=diversity, lowest_score=LOWEST_SCORE, fit_in_background=False
        )
        session = ReviewSession.open(out, settings=settings, embedder=self.embedder)
        session.refit()
        if recording.name not in self._start:
            self._start[recording.name] = self.precision(recording, out)
        precision = {"0": self._start[recording.name]}
        n_found: dict[str, int] = {}
        given = {event.start_s for event in recording.examples}
        found: set[float] = set()
        n_labels = 0
        for n in range(1, max(COUNTS) + 1):
            items = session.next_items(1, reviewer="reviewer", strategy=strategy)
            if items and items[0].queue != "skipped":
                n_labels = n
                found |= answer(session, items[0], recording.events)
                if n % REFIT_AFTER == 0 and n < max(COUNTS):
                    session.refit()
            if n in COUNTS:
                precision[str(n)] = self.precision(recording, out)
                n_found[str(n)] = len(found - given)
        return {"precision": precision, "found": n_found, "n_labels": n_labels}

    def precision(self, recording: BedRecording, out: Path) -> float:
        """Return the average precision of the windows of the second half."""
        store = StepStore.open(vectors_folder(out))
        audio = str(self._folder / f"{recording.name}.wav")
        key = next(key for key, path in store.paths().items() if path == audio)
        steps = store.steps(key)[:]
        marks, _ = read_marks(out)
        given = [
            Annotation(recording=audio, start_s=e.start_s, end_s=e.end_s, label=e.label)
            for e in recording.examples
        ]
        # As a session does: an example that is confirmed counts once.
        marks = [one for one in marks if not any(_is_same(one, other) for other in given)]
        detectors = fit_detectors(
            [
                ExampleRecording(
                    name=audio,
                    sha256=store.about(key).sha256,
                    steps=steps,
                    annotations=[*given, *marks],
                    complete_until_s=recording.complete_until_s,
                )
            ],
            self.embedder,
            ScanSettings(),
            labels=[recording.label],
        )
        found = detectors.detect(steps, sha256=store.about(key).sha256, duration_s=DURATION_S)
        middles = np.arange(found.scores.shape[1]) * found.step_s + found.window_s / 2
        second = middles >= HALF_S
        is_event = np.zeros(len(middles), dtype=np.bool_)
        for event in recording.events:
            is_event |= (middles >= event.start_s) & (middles < event.end_s)
        return average_precision(found.scores[0, second], is_event[second])


def answer(session: ReviewSession, item: ReviewItem, events: Sequence[BedEvent]) -> set[float]:
    """Say what an item is; return the beginning of the target event that it confirms, if one."""
    shared = {
        event.start_s: (
            min(item.end_s, event.end_s) - max(item.start_s, event.start_s),
            min(item.end_s - item.start_s, event.end_s - event.start_s),
        )
        for event in events
    }
    best = max(shared, key=lambda start_s: shared[start_s][0] / shared[start_s][1])
    length_s, shorter_s = shared[best]
    polarity: Any = "negative"
    if length_s > 0:
        polarity = "positive" if length_s >= shorter_s / 2 else "unknown"
    session.label(
        Label(
            item=item.item,
            recording=item.recording,
            recording_sha256=item.recording_sha256,
            start_s=item.start_s,
            end_s=item.end_s,
            label=item.guess,
            polarity=polarity,
            reviewer="reviewer",
        )
    )
    return {best} if polarity == "positive" else set()


def _is_same(one: Annotation, other: Annotation) -> bool:
    shorter = min(one.end_s - one.start_s, other.end_s - other.start_s)
    return min(one.end_s, other.end_s) - max(one.start_s, other.start_s) >= shorter / 2


def average_precision(scores: Scores, is_event: NDArray[np.bool_]) -> float:
    """Return the average precision of a ranking of windows."""
    right = is_event[np.argsort(-scores, kind="stable")]
    precisions = np.cumsum(right) / np.arange(1, len(right) + 1)
    return float(precisions[right].mean()) if right.any() else 0.0


def told(seeds: dict[str, dict[str, list[Reviewed]]]) -> dict[str, Any]:
    """Return what is told of each strategy, the differences to the first with their intervals."""
    random = np.random.default_rng(0)
    reviewed = {name: [one for own in seeds.values() for one in own[name]] for name in STRATEGIES}
    first = next(iter(reviewed.values()))
    drawn = random.integers(0, len(first), (_N_RESAMPLED, len(first)))
    found: dict[str, Any] = {}
    for name, own in reviewed.items():
        found[name] = {
            "n_labels": float(np.mean([one["n_labels"] for one in own])),
            "start": float(np.mean([one["precision"]["0"] for one in own])),
        }
        for n in map(str, COUNTS):
            values = np.array([one["precision"][n] for one in own])
            gains = values - np.array([one["precision"][n] for one in first])
            low, high = np.quantile(gains[drawn].mean(axis=1), [0.025, 0.975])
            found[name][n] = {
                "precision": float(values.mean()),
                "less_first": float(gains.mean()),
                "interval": [float(low), float(high)],
                "found": float(np.mean([one["found"][n] for one in own])),
            }
    return found


def waits(folder: Path, bed: Bed, recordings: Sequence[BedRecording]) -> dict[str, Any]:
    """Measure how long a reviewer waits."""
    hour = recordings[: round(3600 / DURATION_S)]
    first = hour[0]
    out = folder / "hour.scan"
    earful.scan(
        [folder / f"{one.name}.wav" for one in hour],
        examples=folder / f"{first.name}.csv",
        out=out,
        embedder=bed.embedder,
        options=ScanOptions(vectors=folder / "vectors", jobs=1),
    )
    session = ReviewSession.open(
        out, settings=ReviewSettings(fit_in_background=False), embedder=bed.embedder
    )
    session.refit()
    cpu_s, wall_s = [], []
    for _ in range(5):
        for item in session.next_items(REFIT_AFTER, reviewer="reviewer"):
            own = next(one for one in hour if f"{one.name}.wav" == item.source.name)
            answer(session, item, own.events if own.label == first.label else _NOWHERE)
        began, began_wall = time.process_time(), time.perf_counter()
        session.refit()
        cpu_s.append(time.process_time() - began)
        wall_s.append(time.perf_counter() - began_wall)
    hours = len(hour) * DURATION_S / 3600
    samples, _ = soundfile.read(folder / f"{first.name}.wav", dtype="float32")
    began = time.process_time()
    bed.embedder.embed_steps(samples)
    encoding_s = (time.process_time() - began) * 3600 / DURATION_S
    return {
        "hours": hours,
        "refit_cpu_s_per_hour": median(cpu_s) / hours,
        "refit_wall_s_per_hour": median(wall_s) / hours,
        "encoding_cpu_s_per_hour": encoding_s,
        "ratio": median(cpu_s) / hours / encoding_s,
        "next_item_ms": next_item_ms(folder),
    }


def next_item_ms(folder: Path) -> dict[str, float]:
    """Measure a label and the next item among ten thousand events."""
    audio = folder / "many.wav"
    soundfile.write(audio, np.zeros(RATE, np.float32), RATE)
    random, sha256 = np.random.default_rng(0), "ab" * 32
    rows = tuple(
        Event(
            event_id=event_id(sha256, "bell", float(n), n + 0.5),
            recording=str(audio),
            recording_sha256=sha256,
            start_s=float(n),
            end_s=n + 0.5,
            label="bell",
            score=round(float(random.uniform(0.5, 1.5)), 4),
        )
        for n in range(_N_MANY)
    )
    row = RecordingRow(recording=str(audio), sha256=sha256, duration_s=float(_N_MANY))
    summary = LabelSummary(
        label="bell", n_examples=5, detector="neighbours", background="", threshold=0.5
    )
    many = Events(rows=rows, recordings=(row,), summaries=(summary,))
    many.write(folder / "many.scan")
    session = ReviewSession.open(
        folder / "many.scan", settings=ReviewSettings(fit_in_background=False)
    )
    began = time.perf_counter()
    items = session.next_items(1, reviewer="reviewer")
    first_ms = 1000 * (time.perf_counter() - began)
    next_ms = []
    for _ in range(200):
        answer(session, items[0], _NOWHERE)
        began = time.perf_counter()
        items = session.next_items(1, reviewer="reviewer")
        next_ms.append(1000 * (time.perf_counter() - began))
    return {"events": _N_MANY, "first": first_ms, "median": median(next_ms), "max": max(next_ms)}


def main(arguments: Sequence[str]) -> None:
    """Measure the seeds that are given, all by default, and keep what was measured of others."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("seeds", nargs="*", type=int, help="all by default")
    parser.add_argument("--cache", type=Path, help="folder that keeps scans and reviews")
    given = parser.parse_args(arguments)
    embedder = load_step_embedder("earful-small")
    folder = given.cache or Path(tempfile.mkdtemp(prefix="earful-review-"))
    folder.mkdir(parents=True, exist_ok=True)
    measured: dict[str, dict[str, list[Reviewed]]] = {}
    hour: list[BedRecording] = []
    try:
        bed = Bed(folder, embedder)
        for seed in given.seeds or SEEDS:
            own: dict[str, list[Reviewed]] = {name: [] for name in STRATEGIES}
            for label in TARGETS:
                recording = make_recording(label, SNR_DB, seed=seed)
                bed.scan(recording)
                recording = replace(recording, samples=recording.samples[:0])
                hour.append(recording)
                for name, one in bed.review_all(recording).items():
                    own[name].append(one)
                print(recording.name, file=sys.stderr, flush=True)
            measured[str(seed)] = own
        waited = waits(folder, bed, hour)
    finally:
        if given.cache is None:
            shutil.rmtree(folder, ignore_errors=True)
    kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    settings = {
        "snr_db": SNR_DB,
        "counts": list(COUNTS),
        "lowest_score": LOWEST_SCORE,
    }
    if {name: kept.get(name) for name in settings} != settings:
        kept = {}
    # The longest stretch of recordings tells the waits.
    waited = max(waited, kept.get("waits", waited), key=lambda one: one["hours"])
    seeds = dict(sorted({**kept.get("seeds", {}), **measured}.items()))
    results = {**settings, "strategies": told(seeds), "waits": waited, "seeds": seeds}
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(json.dumps({**results, "seeds": list(seeds)}, indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
