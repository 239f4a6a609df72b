"""How well the shipped Flamingo answers from exemplars of labels it was never trained on.

Part of ``./dev bench small_model --cache DIR``, on the same pool of held-out clips and its
questions; every answer goes through ``FewShot.classify``, as a user's would.

- *vote* is the product's rule without a language model, *real names* and *nonce names* what the
  Flamingo says of the labels that retrieval shows it (seven at most), by the labels' own names and
  by made-up words, other ones for every question; *blend* is what ``classify`` answers: both, by
  the weight that training found.
- *zero-shot* shows the labels' names alone, *random shots* exemplars that nobody searched for.
- *shuffled labels* deals the exemplars' labels out anew, *swapped audio* puts a random
  other clip behind every exemplar's name: of both nothing can be learned, so what is above
  chance there did not come from the exemplars.

``in_words`` asks about clips of labels that it was trained on, from sources that it was not,
without any exemplar: what the sound is, whether it is this, whether it is something else, a
caption, and all of it again as the rounds of one dialogue. A caption names its sound if the
label's words are in it; *other's* is the same with the caption of another clip.

Intervals and paired differences are as in ``small_model``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from benchmarks.remembering import RememberingSmall
from benchmarks.turns import use_threads
from numpy.typing import NDArray
from training.flamingo.wording import SYLLABLES, with_article

from earful.index.corpus import Exemplar
from earful.model.runtime import n_cores
from earful.model.small import SmallEmbedder, SmallLanguageModel, load_small, load_small_lm
from earful.rag import Answer, FewShot, LabelScore
from earful.rag.task import Answerer, Example, Task

Vectors = NDArray[np.float32]
_ASKED = {"5-way 1-shot": 1000, "5-way 4-shot": 600, "20-way 4-shot": 250}
_CONTROLLED = {"5-way 1-shot": 100, "5-way 4-shot": 80, "20-way 4-shot": 40}
"""Questions that are also asked of the controls."""
WHOLE_POOL = "whole pool"
_PACE_SHOTS, _PACE_QUERIES = 4, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A clip of the pool."""

    path: Path
    label: str
    group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """A question of a dialogue, and the answer that is right."""

    name: str
    question: str
    answer: str


def task_of(clips: Sequence[Known], audio: Sequence[int], names: Sequence[str]) -> Task:
    """Make a task of exemplars: clips of a pool, each under a name that need not be its own."""
    examples = tuple(
        Example(
            exemplar=Exemplar(
                id=str(number),
                audio=PurePosixPath(clips[row].path.name),
                labels=(name,),
                group=clips[row].group,
            ),
            path=clips[row].path,
            where="",
        )
        for number, (row, name) in enumerate(zip(audio, names, strict=True))
    )
    return Task(name="held-out", examples=examples)


class Interview:
    """Asks the Flamingo about clips of a pool.

    Args:
        clips: The pool.
        small: Embeds them, for retrieval, the vote and the Flamingo.
    """

    def __init__(self, clips: Sequence[Known], small: SmallEmbedder) -> None:
        self.clips = clips
        self.embedder = RememberingSmall(small)
        self.model: SmallLanguageModel = load_small_lm(device="cpu")
        self.model.hearing.embedder = self.embedder  # type: ignore[assignment]

    def few(self, task: Task) -> FewShot:
        """Open a task."""
        return FewShot.from_task(task, embedder=self.embedder, model=self.model)


def nonce_names(labels: Sequence[str], rng: np.random.Generator) -> dict[str, str]:
    """Make up a word of three syllables for every label."""
    words: dict[str, None] = {}
    while len(words) < len(labels):
        words["".join(SYLLABLES[int(i)] for i in rng.integers(len(SYLLABLES), size=3))] = None
    return dict(zip(labels, words, strict=True))


def best(scores: Sequence[LabelScore]) -> str:
    """Return the first label, or nothing."""
    return scores[0].label if scores else ""


def controls(interview: Interview, shots: Sequence[int], query: int, seed: int) -> dict[str, bool]:
    """Ask one question in every way but the product's own; return what is right."""
    rng = np.random.default_rng([5, seed])
    clips = interview.clips
    wanted = clips[query].label
    names = [clips[row].label for row in shots]
    labels = sorted(set(names))

    def ask(audio: Sequence[int], names: Sequence[str], **choices: Any) -> Answer:
        task = task_of(clips, audio, names)
        few = interview.few(task)
        return few.classify(clips[query].path, task=task, arm="model", **choices)

    made_up = nonce_names(labels, rng)
    unnamed = [made_up[name] for name in names]
    nonce = ask(shots, unnamed)
    others = [row for row in range(len(clips)) if clips[row].label not in labels]
    shuffled = [made_up[names[int(i)]] for i in rng.permutation(len(names))]
    swapped = [int(row) for row in rng.choice(others, len(shots), replace=False)]
    few = FewShot(embedder=interview.embedder, model=interview.model)
    unshown = few.classify(clips[query].path, labels=labels, shots=0, arm="model")
    return {
        "Flamingo, nonce names": nonce.text == made_up[wanted],
        "Flamingo, zero-shot": unshown.text == wanted,
        "Flamingo, random shots": ask(shots, names, strategy="random", seed=seed).text == wanted,
        "Flamingo, shuffled labels": ask(shots, shuffled).text == made_up[wanted],
        "Flamingo, swapped audio": ask(swapped, unnamed).text == made_up[wanted],
    }


def arms(interview: Interview, shots: Sequence[int], query: int) -> dict[str, bool]:
    """Ask one question as ``classify`` does by default: the vote, the Flamingo, and both."""
    clips = interview.clips
    task = task_of(clips, shots, [clips[row].label for row in shots])
    answer = interview.few(task).classify(clips[query].path, task=task)
    wanted = clips[query].label
    return {
        "vote": best(answer.vote) == wanted,
        "Flamingo, real names": best(answer.model_scores) == wanted,
        "blend": best(answer.scores) == wanted,
    }


Rights = dict[str, NDArray[np.float64]]


def ask_all(
    setting: str, clips: Sequence[Known], asked: Sequence[tuple[Sequence[int], int]]
) -> tuple[Rights, Rights]:
    """Ask a setting's questions, in a process of its own.

    Args:
        setting: Its name.
        clips: The pool.
        asked: Shots and query, as rows of the pool.

    Returns:
        What was right by arm, 1 or 0 a question; and the same for the controls, over the first
        questions only.
    """
    use_threads(1)
    interview = Interview(clips, load_small(device="cpu"))
    if setting == WHOLE_POOL:
        found = whole_pool(interview, asked)
        own = ("vote", "Flamingo, real names", "blend")
        return {arm: found[arm] for arm in own}, {
            arm: right for arm, right in found.items() if arm not in own
        }
    each = [arms(interview, *one) for one in asked[: _ASKED[setting]]]
    others = [
        controls(interview, *one, seed) for seed, one in enumerate(asked[: _CONTROLLED[setting]])
    ]
    return _columns(each), _columns(others)


def whole_pool(interview: Interview, asked: Sequence[tuple[Sequence[int], int]]) -> Rights:
    """Ask about every clip, with all clips of other groups to retrieve from."""
    clips = interview.clips
    rows = sorted({query for _, query in asked})
    names = [clips[row].label for row in rows]
    rng = np.random.default_rng(5)
    made_up = nonce_names(sorted(set(names)), rng)
    told = {
        "real": names,
        "nonce": [made_up[name] for name in names],
        "shuffled": [made_up[names[int(i)]] for i in rng.permutation(len(names))],
    }
    tasks = {key: task_of(clips, rows, own) for key, own in told.items()}
    fews = {key: interview.few(task) for key, task in tasks.items()}
    unshown = FewShot(embedder=interview.embedder, model=interview.model)
    labels = sorted(set(names))
    found = []
    for row in rows:
        clip = clips[row]

        def ask(key: str, arm: Answerer = "model", clip: Known = clip) -> Answer:
            return fews[key].classify(clip.path, task=tasks[key], group=clip.group, arm=arm)

        mixed = ask("real", arm="blend")
        found.append(
            {
                "vote": best(mixed.vote) == clip.label,
                "Flamingo, real names": best(mixed.model_scores) == clip.label,
                "Flamingo, nonce names": ask("nonce").text == made_up[clip.label],
                "Flamingo, zero-shot": unshown.classify(
                    clip.path, labels=labels, shots=0, arm="model"
                ).text
                == clip.label,
                "Flamingo, shuffled labels": ask("shuffled").text == made_up[clip.label],
                "blend": best(mixed.scores) == clip.label,
            }
        )
    return _columns(found)


def pace(clips: Sequence[Known]) -> dict[str, float]:
    """Measure how long it takes to load the models and to answer from twenty exemplars.

    Args:
        clips: A pool; the first of five labels with five clips and more are taken.
    """
    of_label: dict[str, list[int]] = {}
    for row, clip in enumerate(clips):
        of_label.setdefault(clip.label, []).append(row)
    five = [rows for rows in of_label.values() if len(rows) >= _PACE_SHOTS + _PACE_QUERIES][:5]
    load_small_lm(device="cpu")  # files and imports are in memory afterwards
    started = time.perf_counter()
    small = load_small(device="cpu")
    embedder_s = time.perf_counter() - started
    started = time.perf_counter()
    model = load_small_lm(device="cpu")
    model_s = time.perf_counter() - started
    shots = [row for rows in five for row in rows[:_PACE_SHOTS]]
    task = task_of(clips, shots, [clips[row].label for row in shots])
    few = FewShot.from_task(task, embedder=small, model=model)
    queries = [row for rows in five for row in rows[_PACE_SHOTS : _PACE_SHOTS + _PACE_QUERIES]]

    def seconds(row: int) -> float:
        began = time.perf_counter()
        few.classify(clips[row].path, task=task)
        return time.perf_counter() - began

    first, *others = [seconds(row) for row in queries]
    return {
        "threads": n_cores(),
        "load_embedder_s": embedder_s,
        "load_flamingo_s": model_s,
        "first_answer_s": first,
        "answers_per_s": 1 / float(np.median(others)),
    }


def rounds_about(label: str, other: str, coarse: str) -> list[Round]:
    """Return five questions about one sound."""
    return [
        Round(name="how many sounds", question="How many sounds do you hear?", answer="one"),
        Round(name="what it is", question="What is this sound?", answer=label),
        Round(name="is it this", question=f"Is this {with_article(label)}?", answer="yes"),
        Round(name="is it another", question=f"Is this {with_article(other)}?", answer="no"),
        Round(name="what kind", question="What kind of sound is this?", answer=coarse),
    ]


def in_words(clips: Sequence[Known], coarse: Mapping[str, str], names: Sequence[str]) -> Rights:
    """Ask about clips of labels that were trained on.

    Args:
        clips: The clips.
        coarse: Each label's kind.
        names: The labels that it may be confused with.

    Returns:
        What was right by question, 1 or 0 a clip.
    """
    few = FewShot(model=load_small_lm(device="cpu"))
    rng = np.random.default_rng(6)
    found: list[dict[str, bool]] = []
    captions: list[str] = []
    for clip in clips:
        other = str(rng.choice([name for name in names if name != clip.label]))
        rounds = rounds_about(clip.label, other, coarse[clip.label])
        # Every question by itself, then all of them in turn.
        right = {
            f"alone: {one.name}": _said(few.ask(clip.path, one.question, free_text=True))
            == one.answer
            for one in rounds
        }
        talk = few.chat(clip.path, free_text=True)
        right |= {
            f"in dialogue: {one.name}": _said(talk.ask(one.question)) == one.answer
            for one in rounds
        }
        captions.append(_said(few.caption(clip.path, free_text=True)))
        found.append(right)
    for row, clip in enumerate(clips):
        found[row]["caption names it"] = clip.label in captions[row]
        found[row]["other's caption names it"] = clip.label in captions[row - 1]
    return _columns(found)


def _said(answer: Answer) -> str:
    return answer.text.strip().rstrip(".").lower()


def _columns(rows: Sequence[dict[str, bool]]) -> Rights:
    return {name: np.array([row[name] for row in rows], dtype=np.float64) for name in rows[0]}
