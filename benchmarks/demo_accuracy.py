"""Few-shot accuracy on the demo corpus, across sources, beside its baselines.

Run it with ``./dev bench demo_accuracy``; results go to ``benchmarks/results/``.

- *Leave one source out*: every clip of the index corpus is classified from the clips of
  all other groups (another author, kit or sampled instrument). Labels with one group
  alone are left out of the queries, since no other source could answer for them.
- *Unseen labels*: the query clips of ``unseen.toml``, from its few examples alone.
- *1-NN* takes the label of the nearest clip, *vote* is what ``earful classify`` answers
  with: eight neighbours, temperature fitted by leave-one-out.

Intervals are 95 % percentile bootstrap over clips, seed 0.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import earful
from earful.demo import DemoCorpus
from earful.index.search import SearchFilter

RESULTS = Path(__file__).resolve().parent / "results" / "demo_accuracy.json"
EMBEDDERS = ("earful-tiny", "logmel")
K = 8


def interval(right: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Return the mean and the ends of its 95 % bootstrap interval."""
    rng = np.random.default_rng(0)
    means = rng.choice(right, size=(2000, right.size)).mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(right.mean()), float(low), float(high)


def leave_one_source_out(index: earful.Index, few: earful.FewShot) -> dict[str, Any]:
    """Classify each clip of the index from the clips of other groups."""
    vectors = index.vectors()
    groups: dict[str, set[str]] = {}
    for exemplar in vectors.exemplars:
        groups.setdefault(exemplar.answer, set()).add(exemplar.group)
    nearest, vote, labels = [], [], []
    for row, exemplar in enumerate(vectors.exemplars):
        if len(groups[exemplar.answer]) < 2:
            continue
        others = SearchFilter(exclude_groups=frozenset({exemplar.group}))
        (hit,) = vectors.search(vectors.vectors[row], k=1, filter=others)
        nearest.append(hit.exemplar.answer == exemplar.answer)
        answer = few.classify(vectors.paths[row], shots=K, group=exemplar.group)
        vote.append(answer.text == exemplar.answer)
        labels.append(exemplar.answer)
    counts = Counter(labels)
    return {
        "n": len(labels),
        "n_labels": len(counts),
        "1-NN": interval(np.array(nearest)),
        "vote": interval(np.array(vote)),
        "chance": 1 / len(groups),
        "majority": max(counts.values()) / len(labels),
    }


def unseen(corpus: DemoCorpus, few: earful.FewShot) -> dict[str, Any]:
    """Classify the query clips of labels that the index lacks."""
    task = earful.load_task(corpus.task)
    queries = earful.open_corpus(corpus.queries)
    right, labels = [], []
    for row in queries:
        answer = few.classify(queries.path(row.exemplar), task=task, group=row.exemplar.group)
        right.append(answer.text == row.exemplar.answer)
        labels.append(row.exemplar.answer)
    counts = Counter(labels)
    return {
        "n": len(right),
        "n_labels": len(task.labels),
        "vote": interval(np.array(right)),
        "chance": 1 / len(task.labels),
        "majority": max(counts.values()) / len(right),
    }


def main() -> None:
    """Measure every embedder, print a table and write the results."""
    corpus = DemoCorpus.find()
    results: dict[str, dict[str, dict[str, Any]]] = {}
    for name in EMBEDDERS:
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "demo.index"
            earful.build_index(corpus.sounds, target, embedder=name)
            index, few = earful.Index.open(target), earful.FewShot.open(target)
            results[name] = {
                "leave one source out": leave_one_source_out(index, few),
                "unseen labels": unseen(corpus, few),
            }
        print(f"{name}: {time.monotonic() - started:.0f} s")
    for part in ("leave one source out", "unseen labels"):
        first = results[EMBEDDERS[0]][part]
        print(f"\n{part}: {first['n']} clips, {first['n_labels']} labels")
        for baseline in ("chance", "majority"):
            print(f"  {baseline:<18} {first[baseline]:6.1%}")
        for name in EMBEDDERS:
            for arm in ("1-NN", "vote"):
                if arm in results[name][part]:
                    mean, low, high = results[name][part][arm]
                    print(f"  {name + ', ' + arm:<18} {mean:6.1%}  ({low:.1%} to {high:.1%})")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
