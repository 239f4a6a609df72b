"""How well the shipped encoders and the vote know sounds of labels that nothing was fitted on.

Run it with ``./dev bench held_out --cache DIR`` (packages are fetched to DIR; some ten minutes on
two cores); results go to ``benchmarks/results/``. The clips are those of ``small_model``: labels of
whole families that no training clip has. Query and exemplars of one label come from different
sources.

- *class means*: one plain rule for all encoders: the label whose exemplars are most like the
  query on average.
- *vote*: what ``earful classify --model none`` answers. *exemplars alone* is the same without
  what the labels' names say, *made-up names* with names of three syllables that mean nothing.
- *shuffled labels* and *swapped audio*: controls with made-up names, in which the exemplars'
  labels are dealt out anew, or stand on random other clips.
- *names alone*: no exemplar at all; *made-up names alone* is its control.
- *absent*: the asked label is taken away, another takes its place. *declined* is how often the
  answer abstains because nothing is like the recording, or because two labels cannot be told
  apart; *wrongly* counts known recordings that would have been answered right. *At 5 %* moves
  the bound of likeness to where so many are declined wrongly, of all known recordings or of
  those answered right.
- *unseen names* and *sentences*: every clip named among all labels by words alone, and every
  clip's sentence searched for among all clips.

Intervals are 95 % percentile bootstrap over labels, seed 0; a difference is paired.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.remembering import RememberingSmall
from benchmarks.small_flamingo import Known, nonce_names, task_of
from benchmarks.small_model import (
    SETTINGS,
    Asked,
    Pool,
    Vectors,
    answered,
    figures_of_words,
    interval,
)
from benchmarks.turns import use_threads
from numpy.typing import NDArray
from training.corpus.build import build

from earful.model import ClipRef, Embedder, load_embedder
from earful.model.audio import load_audio
from earful.model.small import SmallEmbedder, load_small
from earful.model.tiny import TinyEmbedder, load_tiny
from earful.rag.retrieval import (
    Calibration,
    Candidates,
    LabelMeans,
    LabelNames,
    LabelVote,
    PreparedTask,
    Query,
    Retriever,
    find_shots,
)

RESULTS = Path(__file__).resolve().parent / "results" / "held_out.json"
ENCODERS = ("logmel", "earful-tiny", "yamnet", "earful-small")
WHOLE_POOL = "whole pool"
_N_ABSENT = 600
_WRONGLY = 0.05
_UNCALIBRATED = Calibration(temperature=0.1, background=0.0)
Rights = dict[str, NDArray[np.float64]]


def class_means(shots: Vectors, names: Sequence[str], query: Vectors) -> str:
    """Return the label whose exemplars are most like the query on average."""
    similarities = shots @ query
    labels = sorted(set(names))
    place = np.array([labels.index(name) for name in names])
    sums = np.bincount(place, weights=similarities)
    return labels[int(np.argmax(sums / np.bincount(place)))]


def encoders(pool: Pool, paths: Sequence[Path]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return accuracies of class means by encoder, and what the pair adds to ``earful-tiny``."""
    vectors = {name: embed(load_embedder(name, device="cpu"), paths) for name in ENCODERS}
    found: dict[str, Any] = {}
    gains: dict[str, Any] = {}
    for setting, asked in settings_of(pool).items():
        labels = [str(pool.labels[one.query]) for one in asked]
        right = {name: answered(asked, vectors[name], pool, class_means) for name in ENCODERS}
        found[setting] = {name: interval(values, labels) for name, values in right.items()}
        gains[setting] = interval(right["earful-small"] - right["earful-tiny"], labels)
    return found, gains


def embed(embedder: Embedder, paths: Sequence[Path]) -> Vectors:
    """Return an embedder's vectors of files."""
    rate = embedder.fingerprint.sample_rate
    return np.concatenate([embedder.embed([load_audio(path, sample_rate=rate)]) for path in paths])


def settings_of(pool: Pool) -> dict[str, list[Asked]]:
    """Return the questions of every setting."""
    asked = {setting: pool.episodes(*shape) for setting, shape in SETTINGS.items()}
    return {**asked, WHOLE_POOL: pool.whole()}


class Asker:
    """Asks the vote about clips of a pool, which are decoded and embedded once.

    Args:
        clips: The pool.
    """

    def __init__(self, clips: Sequence[Known]) -> None:
        use_threads(1)
        self.clips = clips
        self.embedder = RememberingSmall(load_small(device="cpu"))
        self._retriever = Retriever(embedder=self.embedder, index=None)
        self._task = task_of(clips, range(len(clips)), [clip.label for clip in clips])
        self._all = self._retriever.prepare(self._task).candidates
        self._row_of = {int(exemplar.id): row for row, exemplar in enumerate(self._all.exemplars)}

    def ask(
        self,
        audio: Sequence[int],
        names: Sequence[str],
        query: int,
        *,
        words: bool = True,
        calibrated: bool = False,
    ) -> tuple[str, LabelVote, str]:
        """Ask about a clip, with exemplars under names that need not be their own.

        Args:
            audio: The exemplars, as places in the pool.
            names: A name for each.
            query: The clip asked about.
            words: Whether names count.
            calibrated: Whether to fit confidence and doubt, which never changes the best label.

        Returns:
            The best label, the vote, and why it abstains, or nothing.
        """
        labels = sorted(set(names))
        rows = np.array([self._row_of[place] for place in audio], dtype=np.intp)
        everything = self._all
        scores = everything.stored_scores
        candidates = Candidates(
            labels=labels,
            exemplars=[everything.exemplars[row] for row in rows],
            paths=[everything.paths[row] for row in rows],
            content=[everything.content[row] for row in rows],
            vectors=everything.vectors[rows],
            row_labels=[(labels.index(name),) for name in names],
            stored_scores=scores and scores.subset(rows),
        )
        known = None
        if words:
            said = self.embedder.label_words(labels)
            known = LabelNames(words=said, standardise=self.embedder.standardise)
            known = known if known.mean_something else None
        prepared = PreparedTask(
            task=self._task,
            labels=None,
            index=None,
            candidates=candidates,
            means=LabelMeans(candidates, known),
            calibrations={} if calibrated else {(self._task.shots, 0): (_UNCALIBRATED, "")},
        )
        shots = find_shots(prepared, self._task, self._query(query), seed=0)
        vote = self._retriever.vote(shots, seed=0)
        best = labels[int(np.argmax(vote.scores))]
        return best, vote, vote.doubt(labels, vote.scores)

    def arms(self, shots: Sequence[int], query: int, seed: int) -> dict[str, bool]:
        """Ask one question in every way; return what is right."""
        rng = np.random.default_rng([5, seed])
        wanted = self.clips[query].label
        names = [self.clips[row].label for row in shots]
        made_up = nonce_names(sorted(set(names)), rng)
        unnamed = [made_up[name] for name in names]
        shuffled = [unnamed[int(i)] for i in rng.permutation(len(names))]
        own = made_up[wanted]
        found = {
            "vote": self.ask(shots, names, query)[0] == wanted,
            "vote, exemplars alone": self.ask(shots, names, query, words=False)[0] == wanted,
            "vote, made-up names": self.ask(shots, unnamed, query)[0] == own,
            "vote, shuffled labels": self.ask(shots, shuffled, query)[0] == own,
            "names alone": self.named(query, sorted(made_up)) == wanted,
            "made-up names alone": self.named(query, sorted(made_up.values())) == own,
        }
        others = [row for row, clip in enumerate(self.clips) if clip.label not in made_up]
        if len(others) >= len(shots):
            swapped = [int(row) for row in rng.choice(others, len(shots), replace=False)]
            found["vote, swapped audio"] = self.ask(swapped, unnamed, query)[0] == own
        return found

    def named(self, query: int, labels: Sequence[str]) -> str:
        """Name a clip by words alone."""
        words = self.embedder.label_words(labels)
        scores = self._query(query).class_scores
        assert scores is not None
        heard = words.weights @ scores + words.offsets
        return labels[int(np.argmax(heard))]

    def _query(self, place: int) -> Query:
        row = self._row_of[place]
        scores = self._all.class_scores
        assert scores is not None
        return Query(
            name=str(place),
            vector=self._all.vectors[row],
            reference=ClipRef(audio=self._all.paths[row]),
            exclusions=self._all.exclusions_of(row),
            class_scores=scores[row].astype(np.float32),
        )


def ask_setting(clips: Sequence[Known], asked: Sequence[tuple[list[int], int]]) -> Rights:
    """Ask a setting's questions, in a process of its own."""
    asker = Asker(clips)
    rows = [asker.arms(*one, seed) for seed, one in enumerate(asked)]
    arms = [arm for arm in rows[0] if all(arm in row for row in rows)]
    return {arm: np.array([row[arm] for row in rows], dtype=np.float64) for arm in arms}


def absent(clips: Sequence[Known], asked: Sequence[tuple[list[int], int]]) -> dict[str, Any]:
    """Ask with and without the query's label among the exemplars.

    Args:
        clips: The pool.
        asked: Questions of one label more than are shown: first with all but the last label,
            then with all but the query's.
    """
    asker = Asker(clips)
    told: dict[str, list[tuple[bool, float, bool]]] = {"known": [], "absent": []}
    for shots, query in asked:
        names = [clips[row].label for row in shots]
        wanted = clips[query].label
        last = next(name for name in reversed(names) if name != wanted)
        for kind, without in (("known", last), ("absent", wanted)):
            kept = [row for row, name in zip(shots, names, strict=True) if name != without]
            shown = [clips[row].label for row in kept]
            best, vote, doubt = asker.ask(kept, shown, query, calibrated=True)
            assert vote.evidence is not None
            told[kind].append((bool(doubt), vote.evidence.likeness, best == wanted))
    known, gone = (np.array(told[kind], dtype=np.float64) for kind in ("known", "absent"))
    right = known[known[:, 2] == 1]

    def declined_at(bound: float) -> float:
        return float((gone[:, 1] < bound).mean())

    return {
        "n": len(asked),
        "absent declined": float(gone[:, 0].mean()),
        "known declined": float(known[:, 0].mean()),
        "right declined": float(right[:, 0].mean()),
        "absent declined at 5 % of known": declined_at(float(np.quantile(known[:, 1], _WRONGLY))),
        "absent declined at 5 % of right": declined_at(float(np.quantile(right[:, 1], _WRONGLY))),
    }


def by_words(embedder: SmallEmbedder, rows: Sequence[dict[str, str]], scores: Vectors) -> Any:
    """Return how often words alone name a clip, and how often its sentence finds it."""
    names = sorted({row["label"] for row in rows})
    words = embedder.label_words(names)
    sentences = embedder.text_weights([row["caption"] for row in rows])
    heard = scores @ words.weights.T + words.offsets
    return {
        "clips": len(rows),
        "labels": len(names),
        **figures_of_words(heard, sentences @ scores.T, [row["label"] for row in rows], names),
        "chance": {"top-1": 1 / len(names), "top-5": 5 / len(names), "recall@10": 10 / len(rows)},
    }


def measure(corpus: Path, processes: int) -> dict[str, Any]:
    """Measure everything on a corpus that was built."""
    with (corpus / "manifest.csv").open(newline="", encoding="utf-8") as file:
        every = list(csv.DictReader(file))
    held = {row["family"] for row in every if row["split"] == "held_out"}
    unseen = [
        row for row in every if row["family"] in held and row["split"] in ("held_out", "foreign")
    ]
    paths = [corpus / row["file_name"] for row in unseen]
    pool = Pool(unseen)
    clips = [
        Known(path=path, label=row["label"], group=row["group"])
        for path, row in zip(paths, unseen, strict=True)
    ]
    jobs = settings_of(pool)
    gone = {
        name: pool.episodes(n_ways + 1, n_shots)[:_N_ABSENT]
        for name, (n_ways, n_shots) in SETTINGS.items()
    }
    results: dict[str, Any] = {
        "pool": {
            "clips": sum(map(len, pool.of_label.values())),
            "labels": len(pool.of_label),
            "sources": len(set(pool.groups.tolist())),
        },
        "vote": {},
        "absent": {},
    }
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as executor:
        answers = {
            setting: executor.submit(ask_setting, clips, _plain(asked))
            for setting, asked in reversed(jobs.items())
        }
        declined = {
            name: executor.submit(absent, clips, _plain(asked)) for name, asked in gone.items()
        }
        for setting, asked in jobs.items():
            labels = [str(pool.labels[one.query]) for one in asked]
            right = answers[setting].result()
            n_ways = SETTINGS[setting][0] if setting in SETTINGS else len(pool.of_label)
            results["vote"][setting] = {
                "n": len(asked),
                "chance": 1 / n_ways,
                "arms": {arm: interval(values, labels) for arm, values in right.items()},
                "gain of names": interval(right["vote"] - right["vote, exemplars alone"], labels),
            }
            print(setting, json.dumps(results["vote"][setting], indent=1), flush=True)
        results["absent"] = {name: found.result() for name, found in declined.items()}
        print(json.dumps(results["absent"], indent=1), flush=True)
    results["class means"], results["gain over earful-tiny"] = encoders(pool, paths)
    small = load_small(device="cpu")
    scores = np.concatenate(
        [
            small.embed_and_score([load_audio(path, sample_rate=small.fingerprint.sample_rate)])[1]
            for path in paths
        ]
    )
    results["words"] = by_words(small, unseen, scores)
    tiny = load_tiny(device="cpu")
    results["words of earful-tiny"] = tiny_words(tiny, unseen, embed(tiny, paths))
    return results


def tiny_words(
    tiny: TinyEmbedder, rows: Sequence[dict[str, str]], vectors: Vectors
) -> dict[str, Any]:
    """Return the same of the text tower of ``earful-tiny``, the baseline."""
    names = sorted({row["label"] for row in rows})
    sentences = tiny.embed_text([row["caption"] for row in rows])
    named = vectors @ tiny.embed_text(names).T
    return figures_of_words(named, sentences @ vectors.T, [row["label"] for row in rows], names)


def _plain(asked: Sequence[Asked]) -> list[tuple[list[int], int]]:
    return [(one.shots.tolist(), one.query) for one in asked]


def main() -> None:
    """Measure, print the tables and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--corpus", type=Path, help="a corpus that was built already")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    if options.corpus:
        results = measure(options.corpus, options.processes)
    else:
        with tempfile.TemporaryDirectory() as folder:
            build(options.cache, Path(folder))
            results = measure(Path(folder), options.processes)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
