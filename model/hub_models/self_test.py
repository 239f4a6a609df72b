"""Self-test at start-up: does what was worked out of a family hold for these weights, here?

A short prompt of two recordings of noise is asked by ``transformers`` alone and by us. What differs
more than arithmetic does is refused; what is only less exact is done in a slower way. Prompts that
are read in parts, or beside others, are longer than any window of the model over its last tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from earful.errors import ModelError
from earful.model.audio import Clip
from earful.model.hub_models.reading import HubNetwork, Question, score_batch
from earful.model.hub_models.rendering import Renderer
from earful.model.prompt import ClipRef, Place, Prompt, Text

_ANSWERS: Final = ("yes", "a dog barks in the street")
_EXACT: Final = {"float32": 1e-3}
_EXACT_OTHERWISE: Final = 0.05
_SAME: Final = {"float32": 1e-5}
_SAME_OTHERWISE: Final = 1e-3
_LONGEST_WINDOW: Final = 4096
# What a model raises that cannot be asked so.
_REFUSALS: Final = (RuntimeError, ValueError, TypeError, IndexError, AttributeError)


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTest:
    """Result of a self-test.

    Attributes:
        reuses_prompt: Whether answers behind a prompt that was read score as whole passes do.
        batch_safe: Whether answers score the same beside others.
        hears: Whether another recording of an exemplar changes what is said.
        error: Largest difference to ``transformers`` alone, in nats a token.
        keeps_prefixes: Whether a prompt that is read in parts scores as one read in one pass.
        asks_together: Whether a prompt scores the same beside a longer one.
    """

    reuses_prompt: bool
    batch_safe: bool
    hears: bool
    error: float
    keeps_prefixes: bool
    asks_together: bool


def run_self_test(renderer: Renderer, network: HubNetwork) -> SelfTest:
    """Ask a model about noise, in several ways, and set how ``network`` scores.

    Raises:
        ModelError: What is computed here is not what ``transformers`` computes.
    """
    dtype = str(network.dtype).removeprefix("torch.")
    exact = _EXACT.get(dtype, _EXACT_OTHERWISE)
    shown, asked, other = _noise(renderer.sample_rate)
    prompt = _prompt([shown, asked], renderer.sample_rate)
    heard = {
        name: network.encode(renderer.hear(samples))
        for name, samples in {"shown": shown, "asked": asked, "other": other}.items()
    }
    features = np.concatenate([heard["shown"], heard["asked"]])
    rendered = renderer.render(prompt, [len(heard["shown"]), len(heard["asked"])])
    inputs = renderer.full(prompt, [shown, asked])
    if inputs["input_ids"][0].tolist() != rendered.inputs["input_ids"][0].tolist():
        raise _unlike(renderer, "the ids of a prompt are not those of its processor")
    network.keeps_prefixes = False
    first = network.read(rendered, features).logits.log_softmax(-1)
    error = float((network.ask_whole(inputs).log_softmax(-1) - first).abs().max())
    # The noise of every other token of the vocabulary counts in a maximum, so it may be larger.
    if not error <= 10 * exact:
        raise _unlike(renderer, f"log-probabilities differ by {error:.2g} nats")
    answers = [[*renderer.encode(answer), renderer.end_id] for answer in _ANSWERS]
    network.reuses_prompt = network.batches_answers = True
    beside = network.score(rendered, features, answers)
    network.batches_answers = False
    alone = network.score(rendered, features, answers)
    whole = [network.score_whole(rendered, features, answer) for answer in answers]
    network.reuses_prompt = _difference(alone, whole) <= exact
    network.batches_answers = _difference(beside, alone) <= _SAME.get(dtype, _SAME_OTHERWISE)
    swapped = np.concatenate([heard["other"], heard["asked"]])
    hears = len(heard["other"]) == len(heard["shown"]) and not torch.equal(
        network.read(rendered, swapped).logits.log_softmax(-1), first
    )
    same = _SAME.get(dtype, _SAME_OTHERWISE)
    long, brief = _questions(renderer, network, shown, asked, heard)
    apart = _differs(lambda: _in_parts(network, long))
    together = _differs(lambda: _together(network, [long, brief]))
    # In half precision parts differ from the whole as two releases do, but never from each other.
    network.keeps_prefixes = apart <= (same if dtype in _SAME else exact)
    network.kept.clear()
    return SelfTest(
        reuses_prompt=network.reuses_prompt,
        batch_safe=network.batches_answers,
        hears=hears,
        error=error,
        keeps_prefixes=network.keeps_prefixes,
        asks_together=together <= same,
    )


def _questions(
    renderer: Renderer,
    network: HubNetwork,
    shown: NDArray[np.float32],
    asked: NDArray[np.float32],
    heard: dict[str, NDArray[np.float32]],
) -> tuple[Question, Question]:
    """Return two questions of different lengths, both longer than the model's windows."""
    config = network.model.config.get_text_config()
    window = min(int(getattr(config, "sliding_window", None) or 0), _LONGEST_WINDOW)
    words = "What is it? " * (1 + window // 4)
    answers = [(*renderer.encode(answer), renderer.end_id) for answer in _ANSWERS]

    def question(names: list[str], answers: list[tuple[int, ...]]) -> Question:
        clips = [{"shown": shown, "asked": asked}[name] for name in names]
        rendered = renderer.render(
            _prompt(clips, renderer.sample_rate, words), [len(heard[name]) for name in names]
        )
        features = np.concatenate([heard[name] for name in names])
        return Question(prompt=rendered, features=features, answers=tuple(answers))

    return question(["shown", "asked"], answers), question(["asked"], answers[:1])


def _in_parts(network: HubNetwork, question: Question) -> float:
    """Return by how much a question scores otherwise in parts, the first of them kept."""
    asked = (question.prompt, question.features, question.answers)
    network.keeps_prefixes = False
    whole = network.score(*asked)
    network.keeps_prefixes = True
    network.kept.clear()
    return max(_difference(network.score(*asked), whole) for _ in ("read", "kept"))


def _together(network: HubNetwork, questions: list[Question]) -> float:
    """Return by how much questions score otherwise beside each other."""
    network.keeps_prefixes = False
    return max(
        _difference(own, network.score(asked.prompt, asked.features, asked.answers))
        for own, asked in zip(score_batch(network, questions), questions, strict=True)
    )


def _differs(try_it: Callable[[], float]) -> float:
    """Return a difference; infinite where the model cannot be asked so."""
    try:
        found = try_it()
    except _REFUSALS:
        return np.inf
    return found if np.isfinite(found) else np.inf


def _noise(sample_rate: int) -> list[NDArray[np.float32]]:
    random = np.random.default_rng(0)
    return [0.1 * random.standard_normal(sample_rate, dtype=np.float32) for _ in range(3)]


def _prompt(
    recordings: Sequence[NDArray[np.float32]], sample_rate: int, words: str = "What is it?"
) -> Prompt:
    *shown, asked = [
        ClipRef(audio=Clip(samples=samples, sample_rate=sample_rate)) for samples in recordings
    ]
    parts: list[Text | Place] = [Text(kind="system", text="Listen.")]
    for clip in shown:
        parts += [
            clip,
            Text(kind="exemplar", text=words),
            Text(kind="exemplar", text="noise", is_answer=True),
        ]
    return Prompt(parts=(*parts, asked, Text(kind="user", text=words)))


def _difference(some: list[Any], others: list[Any]) -> float:
    return max(float(np.abs(a - b).max()) for a, b in zip(some, others, strict=True))


def _unlike(renderer: Renderer, what: str) -> ModelError:
    return ModelError(
        f"{renderer.name}: {what}, expected what transformers computes by itself; these weights or "
        f"this release of transformers are not those that {renderer.family.title} was worked out "
        "with: pip install 'earful[hub-models]' brings a release that is, or report it"
    )
