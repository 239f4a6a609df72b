"""Self-test at start-up: does what was worked out of a family hold for these weights, here?

A short prompt of two recordings of noise is asked by ``transformers`` alone and by us. What differs
more than arithmetic does is refused; what is only less exact is done in a slower way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from earful.errors import ModelError
from earful.model.audio import Clip
from earful.model.hub_models.network import HubNetwork
from earful.model.hub_models.rendering import Renderer
from earful.model.prompt import ClipRef, Prompt, Text

_ANSWERS: Final = ("yes", "a dog barks in the street")
_EXACT: Final = {"float32": 1e-3}
_EXACT_OTHERWISE: Final = 0.05
_SAME: Final = {"float32": 1e-5}
_SAME_OTHERWISE: Final = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTest:
    """Result of a self-test.

    Attributes:
        reuses_prompt: Whether answers behind a prompt that was read score as whole passes do.
        batch_safe: Whether answers score the same beside others.
        hears: Whether another recording of an exemplar changes what is said.
        error: Largest difference to ``transformers`` alone, in nats a token.
    """

    reuses_prompt: bool
    batch_safe: bool
    hears: bool
    error: float


def run_self_test(renderer: Renderer, network: HubNetwork) -> SelfTest:
    """Ask a model about noise, in several ways, and set how ``network`` scores.

    Raises:
        ModelError: What is computed here is not what ``transformers`` computes.
    """
    dtype = str(network.dtype).removeprefix("torch.")
    exact = _EXACT.get(dtype, _EXACT_OTHERWISE)
    shown, asked, other = _noise(renderer.sample_rate)
    prompt = _prompt(shown, asked, renderer.sample_rate)
    heard = {
        name: network.encode(renderer.hear(samples))
        for name, samples in {"shown": shown, "asked": asked, "other": other}.items()
    }
    features = np.concatenate([heard["shown"], heard["asked"]])
    rendered = renderer.render(prompt, [len(heard["shown"]), len(heard["asked"])])
    inputs = renderer.full(prompt, [shown, asked])
    if inputs["input_ids"][0].tolist() != rendered.inputs["input_ids"][0].tolist():
        raise _unlike(renderer, "the ids of a prompt are not those of its processor")
    first = network.read(rendered, features).logits.log_softmax(-1)
    error = float((network.ask_whole(inputs).log_softmax(-1) - first).abs().max())
    # The noise of every other token of the vocabulary counts in a maximum, so it may be larger.
    if not error <= 10 * exact:
        raise _unlike(renderer, f"log-probabilities differ by {error:.2g} nats")
    answers = [[*renderer.encode(answer), renderer.end_id] for answer in _ANSWERS]
    network.reuses_prompt = network.batches_answers = True
    together = network.score(rendered, features, answers)
    network.batches_answers = False
    alone = network.score(rendered, features, answers)
    whole = [network.score_whole(rendered, features, answer) for answer in answers]
    network.reuses_prompt = _difference(alone, whole) <= exact
    network.batches_answers = _difference(together, alone) <= _SAME.get(dtype, _SAME_OTHERWISE)
    swapped = np.concatenate([heard["other"], heard["asked"]])
    hears = len(heard["other"]) == len(heard["shown"]) and not torch.equal(
        network.read(rendered, swapped).logits.log_softmax(-1), first
    )
    return SelfTest(
        reuses_prompt=network.reuses_prompt,
        batch_safe=network.batches_answers,
        hears=hears,
        error=error,
    )


def _noise(sample_rate: int) -> list[NDArray[np.float32]]:
    random = np.random.default_rng(0)
    return [0.1 * random.standard_normal(sample_rate, dtype=np.float32) for _ in range(3)]


def _prompt(shown: NDArray[np.float32], asked: NDArray[np.float32], sample_rate: int) -> Prompt:
    clips = [
        ClipRef(audio=Clip(samples=samples, sample_rate=sample_rate)) for samples in (shown, asked)
    ]
    return Prompt(
        parts=(
            Text(kind="system", text="Listen."),
            clips[0],
            Text(kind="exemplar", text="What is it?"),
            Text(kind="exemplar", text="noise", is_answer=True),
            clips[1],
            Text(kind="user", text="What is it?"),
        )
    )


def _difference(some: list[Any], others: list[Any]) -> float:
    return max(float(np.abs(a - b).max()) for a, b in zip(some, others, strict=True))


def _unlike(renderer: Renderer, what: str) -> ModelError:
    return ModelError(
        f"{renderer.name}: {what}, expected what transformers computes by itself; these weights or "
        f"this release of transformers are not those that {renderer.family.title} was worked out "
        "with: pip install 'earful[hub-models]' brings a release that is, or report it"
    )
