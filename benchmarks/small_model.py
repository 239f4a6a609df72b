"""How well ``earful-tiny`` tells sounds apart that it was never trained on.

Run it with ``./dev bench small_model --cache DIR``; packages are fetched to DIR, and
results go to ``benchmarks/results/``. The sounds are those of the training corpus' held-out
families: labels that no training clip has, nor any near-synonym of them, from packages under
free licences and from others (GPL, ShareAlike) that nothing was trained on.

- *N-way K-shot*: N labels drawn at random, K clips of each as exemplars, and one query,
  whose exemplars are all of another recording source (package, author or kit) than itself.
- *whole pool*: every clip is answered from all clips of other sources, whatever their label.
- *1-NN* is the nearest exemplar's label; *vote* is the label whose nearer half of exemplars, four
  at most, is nearest on average; *linear probe* is logistic regression on the exemplars.
- *log-mel* are the ``logmel`` embedder's statistics; *aisfx* are the published network's
  outputs, which ``earful-tiny`` is built upon.
- *Flamingo* and *blend* are in ``small_flamingo``.
- *text search*: the sentence of each held-out clip searches all held-out clips; recall@10 is
  how often its clip is among the ten nearest. *zero-shot*: the nearest of all label names.

Intervals are 95 % percentile bootstrap over labels, seed 0: clips of one label are right or
wrong together. A difference is paired.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.small_flamingo import WHOLE_POOL, Known, Rights, ask_all, in_words, pace
from benchmarks.small_table import few_shot_table
from benchmarks.turns import use_threads
from numpy.typing import NDArray
from training.corpus.build import build

from earful.model import load_embedder
from earful.model.audio import Clip, load_audio
from earful.model.tiny import SAMPLE_RATE, TinyEmbedder, load_tiny

RESULTS = Path(__file__).resolve().parent / "results" / "small_model.json"
MOST_AVERAGED = 4
N_EPISODES = 1500
N_RESAMPLES = 2000
FEWEST = 5
PENALTY = 0.01
_N_FOUND = 10
SETTINGS = {"5-way 1-shot": (5, 1), "5-way 4-shot": (5, 4), "20-way 4-shot": (20, 4)}
Vectors = NDArray[np.float32]
Answerer = Callable[[Vectors, Sequence[str], Vectors], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One question: exemplars, a query and its label, as rows of the pool."""

    shots: NDArray[np.int64]
    query: int


class Pool:
    """Held-out clips that another source can answer for."""

    def __init__(self, rows: Sequence[dict[str, str]]) -> None:
        self.labels = np.array([row["label"] for row in rows])
        self.groups = np.array([row["group"] for row in rows])
        self.of_label: dict[str, NDArray[np.int64]] = {}
        for label in sorted(set(self.labels.tolist())):
            own = np.flatnonzero(self.labels == label)
            if len(own) >= FEWEST and len(set(self.groups[own].tolist())) > 1:
                self.of_label[label] = own

    def episodes(self, n_ways: int, n_shots: int) -> list[Asked]:
        """Draw questions of one shape."""
        rng = np.random.default_rng(0)
        found: list[Asked] = []
        while len(found) < N_EPISODES:
            wanted, *others = rng.choice(list(self.of_label), n_ways, replace=False)
            query = int(rng.choice(self.of_label[wanted]))
            apart = self.of_label[wanted][self.groups[self.of_label[wanted]] != self.groups[query]]
            pools = [apart, *(self.of_label[label] for label in others)]
            shots = [rng.permutation(pool)[:n_shots] for pool in pools]
            found.append(Asked(shots=np.concatenate(shots), query=query))
        return found

    def whole(self) -> list[Asked]:
        """Ask about every clip, with all clips of other sources as exemplars."""
        every = np.sort(np.concatenate(list(self.of_label.values())))
        return [
            Asked(shots=every[self.groups[every] != self.groups[query]], query=int(query))
            for query in every
        ]


def nearest(shots: Vectors, names: Sequence[str], query: Vectors) -> str:
    """Return the nearest exemplar's label."""
    return names[int(np.argmax(shots @ query))]


def voted(shots: Vectors, names: Sequence[str], query: Vectors) -> str:
    """Return the label whose exemplars are nearest on average, the nearer half of them.

    Unlike ``rag.score.vote`` it has no temperature, which would suit one embedder better than
    another.
    """
    similarities = shots @ query
    of_label: dict[str, list[float]] = defaultdict(list)
    for name, similarity in zip(names, similarities.tolist(), strict=True):
        of_label[name].append(similarity)

    def score(label: str) -> float:
        found = sorted(of_label[label], reverse=True)
        return float(np.mean(found[: min((len(found) + 1) // 2, MOST_AVERAGED)]))

    return max(of_label, key=score)


def probed(shots: Vectors, names: Sequence[str], query: Vectors) -> str:
    """Return what logistic regression on the exemplars says."""
    labels = sorted(set(names))
    wanted = torch.tensor([labels.index(name) for name in names])
    inputs = torch.from_numpy(shots)
    weights = torch.zeros(shots.shape[1], len(labels), requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=30, line_search_fn="strong_wolfe")

    def loss() -> float:
        optimizer.zero_grad()
        fit = torch.nn.functional.cross_entropy(inputs @ weights, wanted)
        value = fit + PENALTY * weights.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value.item()

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return labels[int((torch.from_numpy(query) @ weights).argmax())]


def interval(values: NDArray[np.float64], labels: Sequence[str]) -> tuple[float, float, float]:
    """Return a mean with its 95 % interval over resampled labels."""
    _, member = np.unique(labels, return_inverse=True)
    sums, sizes = np.bincount(member, weights=values), np.bincount(member)
    drawn = np.random.default_rng(0).integers(sums.size, size=(N_RESAMPLES, sums.size))
    low, high = np.percentile(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1), [2.5, 97.5])
    return float(values.mean()), float(low), float(high)


def answered(
    asked: Sequence[Asked], vectors: Vectors, pool: Pool, how: Answerer
) -> NDArray[np.float64]:
    """Return 1 for every question that is answered right, else 0."""
    return np.array(
        [
            how(vectors[one.shots], pool.labels[one.shots].tolist(), vectors[one.query])
            == pool.labels[one.query]
            for one in asked
        ],
        dtype=np.float64,
    )


def embed(tiny: TinyEmbedder, paths: Sequence[Path]) -> dict[str, Vectors]:
    """Return each embedder's unit vectors of some clips."""
    logmel = load_embedder("logmel")
    rate = logmel.fingerprint.sample_rate
    found: dict[str, list[Vectors]] = defaultdict(list)
    for path in paths:
        clip: Clip = load_audio(path, sample_rate=SAMPLE_RATE)
        outputs = tiny.published_outputs(clip).mean(axis=0)
        found["aisfx"].append(outputs / np.linalg.norm(outputs))
        found["earful-tiny"].append(tiny.embed([clip])[0])
        found["log-mel"].append(logmel.embed([load_audio(path, sample_rate=rate)])[0])
    return {name: np.stack(rows) for name, rows in found.items()}


def few_shot(pool: Pool, vectors: dict[str, Vectors]) -> dict[str, Any]:
    """Return accuracies of every arm in every setting."""
    results: dict[str, Any] = {}
    settings = {name: pool.episodes(*shape) for name, shape in SETTINGS.items()}
    settings["whole pool"] = pool.whole()
    arms: dict[str, tuple[str, Answerer]] = {
        "log-mel, vote": ("log-mel", voted),
        "aisfx, 1-NN": ("aisfx", nearest),
        "aisfx, vote": ("aisfx", voted),
        "earful-tiny, 1-NN": ("earful-tiny", nearest),
        "earful-tiny, vote": ("earful-tiny", voted),
        "earful-tiny, linear probe": ("earful-tiny", probed),
    }
    for setting, asked in settings.items():
        labels = [str(pool.labels[one.query]) for one in asked]
        right = {
            arm: answered(asked, vectors[name], pool, how)
            for arm, (name, how) in arms.items()
            # A probe for every clip of the pool would be fitted anew each time.
            if not (setting == "whole pool" and how is probed)
        }
        n_ways = SETTINGS[setting][0] if setting in SETTINGS else len(pool.of_label)
        results[setting] = {
            "n": len(asked),
            "chance": 1 / n_ways,
            "arms": {arm: interval(values, labels) for arm, values in right.items()},
            "gain over aisfx, vote": interval(
                right["earful-tiny, vote"] - right["aisfx, vote"], labels
            ),
        }
        print(setting, json.dumps(results[setting], indent=1), flush=True)
    return results


def by_flamingo(pool: Pool, clips: Sequence[Known], processes: int) -> dict[str, Any]:
    """Return accuracies of the Flamingo's arms in every setting."""
    jobs = {setting: pool.episodes(*shape) for setting, shape in SETTINGS.items()}
    jobs[WHOLE_POOL] = pool.whole()
    results: dict[str, Any] = {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as executor:
        # The longest first.
        answers = {
            setting: executor.submit(
                ask_all, setting, clips, [(one.shots.tolist(), one.query) for one in asked]
            )
            for setting, asked in reversed(jobs.items())
        }
        for setting, asked in jobs.items():
            labels = [str(pool.labels[one.query]) for one in asked]
            right, others = answers[setting].result()
            results[setting] = _told(right, labels)
            results[setting]["controls"] = {
                "n": len(next(iter(others.values()))),
                "arms": {arm: interval(x, labels[: len(x)]) for arm, x in others.items()},
            }
            print(setting, json.dumps(results[setting], indent=1), flush=True)
    return results


def _told(right: Rights, labels: Sequence[str]) -> dict[str, Any]:
    vote = right["vote"]
    compared = ("Flamingo, real names", "blend")
    return {
        "n": len(vote),
        "arms": {arm: interval(x, labels[: len(x)]) for arm, x in right.items()},
        "less vote": {
            arm: interval(right[arm] - vote, labels[: len(vote)])
            for arm in compared
            if arm in right
        },
    }


def by_text(
    tiny: TinyEmbedder,
    rows: Sequence[dict[str, str]],
    vectors: Vectors,
    names: Sequence[str],
) -> dict[str, Any]:
    """Return recall@10 of sentences, and zero-shot accuracy over all labels."""
    sentences = tiny.embed_text([row["caption"] for row in rows])
    labels = [row["label"] for row in rows]
    scores = vectors @ tiny.embed_text(list(names)).T
    found = figures_of_words(scores, sentences @ vectors.T, labels, names)
    return {
        "n": len(rows),
        "n_labels": len(names),
        "recall@10": found["recall@10"],
        "recall@10, chance": _N_FOUND / len(rows),
        "zero-shot top-1": found["top-1"],
        "zero-shot top-5": found["top-5"],
        "zero-shot top-1, chance": 1 / len(names),
    }


def figures_of_words(
    named: NDArray[np.floating],
    found: NDArray[np.floating],
    labels: Sequence[str],
    names: Sequence[str],
) -> dict[str, tuple[float, float, float]]:
    """Return how often clips are named right, and found by their sentences.

    Args:
        named: How well each name fits each clip, shape ``(n, n_names)``.
        found: How well each clip fits each clip's sentence, shape ``(n, n)``.
        labels: Of the clips.
        names: All labels to choose from.
    """
    order = np.argsort(-named, axis=1, kind="stable")
    wanted = np.array([names.index(label) for label in labels])
    first = np.argsort(-found, axis=1, kind="stable")[:, :_N_FOUND]
    hit = np.array([number in own for number, own in enumerate(first)], dtype=np.float64)
    return {
        "top-1": interval((order[:, 0] == wanted).astype(float), labels),
        "top-5": interval((order[:, :5] == wanted[:, None]).any(1).astype(float), labels),
        "recall@10": interval(hit, labels),
    }


def main() -> None:
    """Build the corpus, measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--corpus", type=Path, help="a corpus that was built, instead of a new one")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--pace", action="store_true", help="only renew the times, on a quiet CPU")
    only.add_argument("--flamingo", action="store_true", help="only renew what the Flamingo says")
    options = parser.parse_args()
    use_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        corpus = options.corpus or Path(folder)
        if options.corpus is None:
            build(options.cache, corpus)
        results = measure(corpus, options)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    if not options.pace:
        print(few_shot_table(results))


def measure(corpus: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Measure on a corpus what the options ask for; the rest is as it was."""
    with (corpus / "manifest.csv").open(newline="", encoding="utf-8") as file:
        every = list(csv.DictReader(file))
    held = {row["family"] for row in every if row["split"] == "held_out"}
    splits = ("held_out", "foreign")
    unseen = [row for row in every if row["family"] in held and row["split"] in splits]
    seen = [row for row in every if row["split"] == "new_source"]

    def known_clip(row: dict[str, str]) -> Known:
        path = corpus / row["file_name"]
        return Known(path=path, label=row["label"], group=row["group"])

    results: dict[str, Any] = {}
    if options.pace or options.flamingo:
        results = json.loads(RESULTS.read_text(encoding="utf-8"))
    if not options.flamingo:
        results["pace"] = pace([known_clip(row) for row in unseen])
    if options.pace:
        return results
    pool = Pool(unseen)
    results["vote"] = "`classify --model none`"
    results["flamingo"] = by_flamingo(pool, [known_clip(row) for row in unseen], options.processes)
    trained = sorted({row["label"] for row in every if row["split"] == "train"})
    asked = [row for row in seen if row["label"] in trained]
    told = in_words(
        [known_clip(row) for row in asked],
        {row["label"]: row["coarse"] for row in asked},
        trained,
    )
    owners = [row["label"] for row in asked]
    results["in words"] = {
        "clips": len(asked),
        "labels": len(set(owners)),
        "of": len(trained),
        "right": {name: interval(x, owners) for name, x in told.items()},
    }
    print(json.dumps(results["in words"], indent=1), flush=True)
    if options.flamingo:
        return results
    tiny = load_tiny(device="cpu")
    vectors = embed(tiny, [corpus / row["file_name"] for row in unseen])
    results["pool"] = {
        "clips": sum(map(len, pool.of_label.values())),
        "labels": len(pool.of_label),
        "sources": len(set(pool.groups.tolist())),
    }
    results["few-shot"] = few_shot(pool, vectors)
    known = embed(tiny, [corpus / row["file_name"] for row in seen])["earful-tiny"]
    names = sorted({row["label"] for row in every if row["family"] not in held})
    results["text"] = {
        "unseen labels": by_text(
            tiny, unseen, vectors["earful-tiny"], sorted({row["label"] for row in unseen})
        ),
        "seen labels, new sources": by_text(tiny, seen, known, names),
    }
    print(json.dumps(results["text"], indent=1))
    return results


if __name__ == "__main__":
    main()
