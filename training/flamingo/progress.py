"""How well a Flamingo in training reads names from its context, beside the nearest shot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from training.flamingo.episodes import Corpus, Episode, Episodes, Sound
from training.flamingo.train import collate
from training.flamingo.wording import nonce_names

from earful.model.flamingo import Flamingo, FlamingoConfig

_N_EPISODES = 240
_AT_ONCE = 40
_SEED = 1


class Probe:
    """Five-way one-shot episodes, named by words that mean nothing.

    Args:
        corpora: Sounds to ask about, by name.
        episodes: Writes prompts.
        words: For names.
        config: Sizes.
    """

    def __init__(
        self,
        corpora: Mapping[str, Corpus],
        episodes: Episodes,
        words: Sequence[str],
        config: FlamingoConfig,
    ) -> None:
        self._config = config
        self._asked: dict[str, list[Episode]] = {}
        self._nearest: dict[str, float] = {}
        for name, corpus in corpora.items():
            rng = np.random.default_rng(_SEED)
            found, hits = [], 0
            for _ in range(_N_EPISODES):
                shots, query, labels = _five_way(corpus, rng)
                names = dict(zip(labels, nonce_names(words, len(labels), rng), strict=True))
                told = [(sound, names[sound.label]) for sound in shots]
                found.append(
                    episodes.classify(told, query, names[query.label], "Classify this sound.")
                )
                near = max(shots, key=lambda sound: float(_vector(sound) @ _vector(query)))
                hits += near.label == query.label
            self._asked[name] = found
            self._nearest[name] = hits / _N_EPISODES

    def __call__(self, model: Flamingo) -> dict[str, float]:
        """Return accuracies: the first token of the answer is the wanted name's."""
        measured: dict[str, float] = {}
        for name, asked in self._asked.items():
            measured[name] = self._accuracy(model, asked, permuted=False)
            measured[f"{name}, 1-NN"] = self._nearest[name]
        measured["audio permuted"] = self._accuracy(model, asked, permuted=True)
        return measured

    def _accuracy(self, model: Flamingo, asked: Sequence[Episode], *, permuted: bool) -> float:
        rng = np.random.default_rng(_SEED)
        hits = 0
        for start in range(0, len(asked), _AT_ONCE):
            group = asked[start : start + _AT_ONCE]
            batch, targets = collate(group, self._config.windows_per_audio, self._config.pad_id)
            features, mask = batch.features, batch.window_mask
            if permuted:
                order = torch.from_numpy(rng.permutation(len(group[0].audios)))
                blocks = (len(group), len(order), self._config.windows_per_audio)
                features = features.view(*blocks, -1)[:, order].reshape(features.shape)
                mask = mask.view(*blocks)[:, order].reshape(mask.shape)
            device = model.device
            with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16):
                logits = model(
                    batch.ids.to(device),
                    batch.attention_mask.to(device),
                    features.to(device),
                    mask.to(device),
                )
            rows = torch.arange(len(group))
            ends = torch.tensor([episode.prompt_length - 1 for episode in group])
            hits += int((logits.cpu()[rows, ends].argmax(dim=-1) == targets[rows, ends]).sum())
        return hits / len(asked)


def _five_way(corpus: Corpus, rng: np.random.Generator) -> tuple[list[Sound], Sound, list[str]]:
    labels = [str(x) for x in rng.choice(corpus.labels, min(5, len(corpus.labels)), replace=False)]
    query, same = corpus.pair(labels[0], rng)
    shots = [same[int(rng.integers(len(same)))]]
    for label in labels[1:]:
        pool = corpus.by_label[label]
        shots.append(pool[int(rng.integers(len(pool)))])
    return [shots[int(i)] for i in rng.permutation(len(shots))], query, labels


def _vector(sound: Sound) -> NDArray[np.float32]:
    mean = sound.views[0].mean(axis=0)
    return np.asarray(mean / np.linalg.norm(mean))
