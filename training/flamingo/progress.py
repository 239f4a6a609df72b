"""How well a Flamingo in training tells labels apart, beside the rule of label means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from training.flamingo.episodes import Episode, Episodes
from training.flamingo.label_slots import LabelSlots, ranked
from training.flamingo.sounds import Corpus
from training.flamingo.train import collate

from earful.model.flamingo import Flamingo

SETTINGS = {"5w1s": (5, 1), "5w4s": (5, 4), "20w4s": (20, 4)}
_N_EPISODES = 400
_AT_ONCE = 40
_SEED = 1
_QUESTION = "Classify this sound."
_TEMPERATURE = 0.1
"""What the rule's scores are divided by where nothing was calibrated."""
_SHARES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 2.0)
_WEIGHTS = tuple(n / 20 for n in range(1, 20))


class Probe:
    """Questions as ``classify`` asks them, but that names are single words that mean nothing.

    What the labels' own names say is in the evidence.

    Args:
        corpora: Sounds to ask about, by name; each a list of folds.
        episodes: Writes prompts.
    """

    def __init__(
        self,
        corpora: Mapping[str, Sequence[Corpus]],
        episodes: Episodes,
        n_episodes: int = _N_EPISODES,
    ) -> None:
        self._episodes = episodes
        self._asked: dict[str, list[LabelSlots]] = {}
        self._rule: dict[str, float] = {}
        for name, folds in corpora.items():
            for setting, (n_ways, n_each) in SETTINGS.items():
                rng = np.random.default_rng(_SEED)
                asked: list[LabelSlots] = []
                drawn = 0
                while drawn < n_episodes:
                    corpus = folds[drawn % len(folds)]
                    found = _question(corpus, n_ways, n_each, rng)
                    drawn += 1
                    if found is not None:
                        asked.append(found)
                key = f"{name} {setting}"
                self._asked[key] = asked
                right = [slots.right == len(slots.names) - 1 for slots in asked]
                self._rule[key] = sum(right) / n_episodes
                self._n = n_episodes

    def __call__(self, model: Flamingo) -> dict[str, float]:
        """Return accuracies: the first token of the answer is the wanted name's."""
        measured: dict[str, float] = {}
        for key, asked in self._asked.items():
            _, found = self.scores(model, key)
            hits = [
                int(np.argmax(own)) == slots.right for slots, own in zip(asked, found, strict=True)
            ]
            measured[key] = sum(hits) / self._n
            measured[f"{key}, rule"] = self._rule[key]
        return measured

    def scores(
        self, model: Flamingo, key: str
    ) -> tuple[list[LabelSlots], list[NDArray[np.float64]]]:
        """Return the questions of a setting, and what the model says to each.

        Args:
            model: In evaluation mode.
            key: For example ``"train 5w1s"``.

        Returns:
            For every question the logarithm of the probability of each name's first token.
        """
        asked = self._asked[key]
        return asked, answer_slots(model, self._episodes, asked)


def answer_slots(
    model: Flamingo, episodes: Episodes, asked: Sequence[LabelSlots]
) -> list[NDArray[np.float64]]:
    """Ask questions about labels, under names of one token that mean nothing.

    Args:
        model: In evaluation mode.
        episodes: Writes prompts.
        asked: The questions.

    Returns:
        For every question the logarithm of the probability of each name's first token.
    """
    found: list[NDArray[np.float64]] = []
    for start in range(0, len(asked), _AT_ONCE):
        rng = np.random.default_rng([_SEED, start])
        group = [
            episodes.by_slots(slots, episodes.simple_names(len(slots.names), rng), _QUESTION)
            for slots in asked[start : start + _AT_ONCE]
        ]
        found += _first_tokens(model, episodes, group)
    return found


def fit_blend(model: Flamingo, probe: Probe) -> tuple[float, float]:
    """Fit the model's weight beside the rule on training labels, asked about from other folds.

    Args:
        model: In evaluation mode.
        probe: With sounds called ``"train"``.

    Returns:
        Weight and temperature of a log-linear pool. The model's share of the logits is the one
        with which most questions are answered right, all settings counting alike; and of the
        weights that give this share, that under which right answers are the likeliest.
    """
    questions: list[tuple[NDArray[np.float64], NDArray[np.float64], int, float]] = []
    for setting in SETTINGS:
        asked, said = probe.scores(model, f"train {setting}")
        for slots, own in zip(asked, said, strict=True):
            rule = _normal(slots.scores / _TEMPERATURE)
            questions.append((rule, _normal(own), slots.right, 1 / len(asked)))

    def right(share: float) -> float:
        return sum(
            part * (int(np.argmax(rule + share * own)) == wanted)
            for rule, own, wanted, part in questions
        )

    def likelihood(share: float, weight: float) -> float:
        return sum(
            part * float(_normal((1 - weight) * (rule + share * own))[wanted])
            for rule, own, wanted, part in questions
        )

    share = max(_SHARES, key=right)
    weight = max(_WEIGHTS, key=lambda weight: likelihood(share, weight))
    return weight, weight / ((1 - weight) * share)


def _normal(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(logits - np.logaddexp.reduce(logits))


def _first_tokens(
    model: Flamingo, episodes: Episodes, group: Sequence[Episode]
) -> list[NDArray[np.float64]]:
    """Return the log-probability of the first token of each name that could be answered."""
    config = model.config
    batch, _ = collate(group, config.windows_per_audio, config.pad_id)
    device = model.device
    with torch.inference_mode():
        hidden = model.read(
            batch.ids.to(device),
            batch.attention_mask.to(device),
            batch.features.to(device),
            batch.window_mask.to(device),
        )
        # The vocabulary is the largest product: only for the places that are asked about.
        ends = torch.tensor([episode.prompt_length - 1 for episode in group], device=device)
        logits = model.logits(hidden[torch.arange(len(group), device=device), ends])
    found = logits.double().log_softmax(dim=-1).cpu().numpy()
    scores = []
    for said, episode in zip(found, group, strict=True):
        scores.append(np.array([said[episodes.first_token(name)] for name in episode.names]))
    return scores


def _question(
    corpus: Corpus, n_ways: int, n_each: int, rng: np.random.Generator
) -> LabelSlots | None:
    while True:
        n = min(n_ways, len(corpus.labels))
        ways = [str(x) for x in rng.choice(corpus.labels, n, replace=False)]
        query, same = corpus.pair(ways[0], rng, apart=1.0)
        if any(sound.group != query.group for sound in same):
            break
    pools = [same, *(corpus.by_label[label] for label in ways[1:])]
    shots = [[pool[int(i)] for i in rng.permutation(len(pool))[:n_each]] for pool in pools]
    return ranked(query, ways, shots, known=corpus.known.issuperset(ways))
