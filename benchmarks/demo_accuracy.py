"""Few-shot accuracy on the demo corpus, across sources, beside its baselines.

Run it with ``./dev bench demo_accuracy``; results go to ``benchmarks/results/``.

- *Leave one source out*: every clip of the index corpus is classified from the clips of
  all other groups (another author, kit or sampled instrument). Clips whose label no other
  group has are left out of the queries, since no other source could answer for them.
- *Leave one package out*: the same from other Debian packages alone, which also takes
  away what was recorded and mastered together.
- *Unseen labels*: the query clips of ``unseen.toml``, from its few examples alone.
- *1-NN* takes the label of the nearest clip, *vote* is what ``earful classify --model
  none`` answers with.

The difference is ``earful-small`` less ``earful-tiny``.

Intervals are 95 % percentile bootstrap, seed 0, drawn over groups rather than clips: clips of
one recording are right or wrong together. A difference is paired, clip by clip.
"""

from __future__ import annotations

import csv
import json
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import earful
from earful.demo import DemoCorpus
from earful.index.search import SearchFilter, VectorSet

RESULTS = Path(__file__).resolve().parent / "results" / "demo_accuracy.json"
EMBEDDERS = ("earful-small", "earful-tiny", "logmel")
K = 8
N_RESAMPLES = 2000
Interval = tuple[float, float, float]


@dataclass(slots=True)
class Outcomes:
    """Which of the queries each arm got right, in one fixed order of queries."""

    n_choices: int
    labels: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    right: dict[str, list[bool]] = field(default_factory=dict)

    def ask(self, label: str, group: str, answers: dict[str, str]) -> None:
        """Note what each arm answered to one query."""
        self.labels.append(label)
        self.groups.append(group)
        for arm, answer in answers.items():
            self.right.setdefault(arm, []).append(answer == label)

    def summary(self) -> dict[str, Any]:
        """Return accuracies with their intervals, chance and the commonest label's share."""
        counts = Counter(self.labels)
        return {
            "n": len(self.labels),
            "n_labels": len(counts),
            "n_groups": len(set(self.groups)),
            **{arm: interval(np.array(right), self.groups) for arm, right in self.right.items()},
            "chance": 1 / self.n_choices,
            "majority": max(counts.values()) / len(self.labels),
        }


def interval(values: NDArray[np.bool_] | NDArray[np.float64], groups: list[str]) -> Interval:
    """Return the mean of ``values`` and its 95 % interval over resampled groups."""
    _, member = np.unique(groups, return_inverse=True)
    sums, sizes = np.bincount(member, weights=values), np.bincount(member)
    drawn = np.random.default_rng(0).integers(sums.size, size=(N_RESAMPLES, sums.size))
    low, high = np.percentile(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1), [2.5, 97.5])
    return float(np.mean(values)), float(low), float(high)


def nearest_label(vectors: VectorSet, row: int, without: frozenset[str]) -> str:
    """Return the label of the clip nearest to a row, with some groups left out."""
    others = SearchFilter(exclude_groups=without)
    (hit,) = vectors.search(vectors.vectors[row], k=1, filter=others)
    return hit.exemplar.answer


def across_sources(vectors: VectorSet, few: earful.FewShot) -> Outcomes:
    """Classify each clip of the index from the clips of other groups."""
    asked = Outcomes(n_choices=len({exemplar.answer for exemplar in vectors.exemplars}))
    for row, exemplar in enumerate(vectors.exemplars):
        own = frozenset({exemplar.group})
        if answerable(vectors, exemplar.answer, own):
            nearest = nearest_label(vectors, row, own)
            vote = few.classify(vectors.paths[row], shots=K, group=exemplar.group).text
            asked.ask(exemplar.answer, exemplar.group, {"1-NN": nearest, "vote": vote})
    return asked


def across_packages(vectors: VectorSet, packages: dict[str, str]) -> Outcomes:
    """Classify each clip of the index from the clips of other packages."""
    asked = Outcomes(n_choices=len({exemplar.answer for exemplar in vectors.exemplars}))
    for row, exemplar in enumerate(vectors.exemplars):
        package = packages[exemplar.group]
        own = frozenset(group for group, other in packages.items() if other == package)
        if answerable(vectors, exemplar.answer, own):
            nearest = nearest_label(vectors, row, own)
            asked.ask(exemplar.answer, exemplar.group, {"1-NN": nearest})
    return asked


def answerable(vectors: VectorSet, label: str, without: frozenset[str]) -> bool:
    """Tell whether a label still has a clip when some groups are left out."""
    return any(e.answer == label and e.group not in without for e in vectors.exemplars)


def unseen(corpus: DemoCorpus, few: earful.FewShot) -> Outcomes:
    """Classify the query clips of labels that the index lacks."""
    task = earful.load_task(corpus.task)
    queries = earful.open_corpus(corpus.queries)
    asked = Outcomes(n_choices=len(task.labels))
    for row in queries:
        path, group = queries.path(row.exemplar), row.exemplar.group
        answers = {
            "1-NN": few.classify(path, task=task, group=group, shots=1).evidence[0].exemplar.answer,
            "vote": few.classify(path, task=task, group=group).text,
        }
        asked.ask(row.exemplar.answer, group, answers)
    return asked


def measure(corpus: DemoCorpus, embedder: str, packages: dict[str, str]) -> dict[str, Outcomes]:
    """Build the demo index with one embedder and ask it everything."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "demo.index"
        earful.build_index(corpus.sounds, target, embedder=embedder)
        vectors, few = earful.Index.open(target).vectors(), earful.FewShot.open(target)
        return {
            "leave one source out": across_sources(vectors, few),
            "leave one package out": across_packages(vectors, packages),
            "unseen labels": unseen(corpus, few),
        }


def difference(ours: Outcomes, theirs: Outcomes) -> dict[str, Interval]:
    """Return how much more often ours is right, arm by arm, on the same queries."""
    return {
        arm: interval(np.array(ours.right[arm], float) - np.array(theirs.right[arm]), ours.groups)
        for arm in ours.right
    }


def main() -> None:
    """Measure every embedder, print a table and write the results."""
    corpus = DemoCorpus.find()
    with (corpus.sounds / "metadata.csv").open(newline="", encoding="utf-8") as file:
        packages = {row["group"]: row["package"] for row in csv.DictReader(file)}
    outcomes: dict[str, dict[str, Outcomes]] = {}
    for name in EMBEDDERS:
        started = time.monotonic()
        outcomes[name] = measure(corpus, name, packages)
        print(f"{name}: {time.monotonic() - started:.0f} s")
    ours, theirs, *_ = EMBEDDERS
    results: dict[str, dict[str, Any]] = {
        name: {part: asked.summary() for part, asked in parts.items()}
        for name, parts in outcomes.items()
    }
    results["difference"] = {
        part: difference(outcomes[ours][part], outcomes[theirs][part]) for part in outcomes[ours]
    }
    for part, first in results[ours].items():
        print(f"\n{part}: {first['n']} clips of {first['n_groups']} groups, ", end="")
        print(f"{first['n_labels']} labels")
        for baseline in ("chance", "majority"):
            print(f"  {baseline:<18} {first[baseline]:6.1%}")
        for name, parts in results.items():
            for arm in outcomes[ours][part].right:
                mean, low, high = parts[part][arm]
                print(f"  {name + ', ' + arm:<18} {mean:6.1%}  ({low:.1%} to {high:.1%})")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
