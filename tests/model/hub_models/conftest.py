"""Tiny models of every family, each made and loaded once a session.

Two families stand for all in the fast suite; the others are slow, and CI runs them.
"""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from earful.model import ClipRef, Place, Prompt, Text
from earful.model.audio import Clip
from earful.model.hub_models import HubLanguageModel, load_hub_model
from earful.testing.hub_models import FAMILIES, save_tiny_hub_model

# Found and not imported: torchvision alone takes seconds, whichever tests are asked for.
for needed in ("transformers", "torchvision", "timm"):
    if find_spec(needed) is None:
        pytest.skip(f"needs {needed}", allow_module_level=True)

FAST = ("audioflamingo3", "qwen2_5_omni")
RATE = 16_000
LABELS = ["a dog", "cat", "a very long siren"]

Scores = list[NDArray[np.float64]]
ALL = [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES]


def noise(seconds: float, seed: int = 0) -> Clip:
    random = np.random.default_rng(seed)
    samples = 0.1 * random.standard_normal(round(seconds * RATE), dtype=np.float32)
    return Clip(samples=samples, sample_rate=RATE)


def ask(*clips: Clip, question: str = "what is it?", answer: str = "a dog") -> Prompt:
    """Return a prompt that shows all clips but the last, and asks about that."""
    parts: list[Text | Place] = [Text(kind="system", text="Listen.")]
    for clip in clips[:-1]:
        parts += [
            ClipRef(audio=clip, is_exemplar=True),
            Text(kind="exemplar", text=question),
            Text(kind="exemplar", text=answer, is_answer=True),
        ]
    return Prompt(parts=(*parts, ClipRef(audio=clips[-1]), Text(kind="user", text=question)))


def anew(model: HubLanguageModel, prompt: Prompt, labels: Sequence[str] = LABELS) -> Scores:
    """Score without anything that was kept."""
    asked = model._question(prompt, labels)
    model.network.kept.clear()
    return model.network.score(asked.prompt, asked.features, asked.answers)


def read_parts(model: HubLanguageModel, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Return a list that takes the rows and tokens of each part that is read from now on."""
    parts: list[tuple[int, int]] = []
    forward = model.network.forward_heard

    def count(is_audio: NDArray[np.bool_], *others: Any, **inputs: Any) -> Any:
        parts.append((is_audio.shape[0], is_audio.shape[1]))
        return forward(is_audio, *others, **inputs)

    monkeypatch.setattr(model.network, "forward_heard", count)
    return parts


def assert_close(found: Scores | None, expected: Scores, atol: float = 1e-5) -> None:
    assert found is not None
    for own, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(own, other, atol=atol, rtol=0)


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def make(model_type: str) -> Path:
        if model_type not in made:
            made[model_type] = save_tiny_hub_model(model_type, tmp_path_factory.mktemp(model_type))
        return made[model_type]

    return make


@pytest.fixture(scope="session")
def model_of(folder_of: Callable[[str], Path]) -> Callable[[str], HubLanguageModel]:
    loaded: dict[str, HubLanguageModel] = {}

    def load(model_type: str) -> HubLanguageModel:
        if model_type not in loaded:
            loaded[model_type] = load_hub_model(str(folder_of(model_type)), device="cpu")
        return loaded[model_type]

    return load


@pytest.fixture(params=ALL)
def model(
    request: pytest.FixtureRequest, model_of: Callable[[str], HubLanguageModel]
) -> HubLanguageModel:
    """A tiny model of each family."""
    return model_of(request.param)


@pytest.fixture
def flamingo(model_of: Callable[[str], HubLanguageModel]) -> HubLanguageModel:
    """A tiny Audio Flamingo 3, with the template that is shipped."""
    return model_of("audioflamingo3")


@pytest.fixture
def fresh(model: HubLanguageModel) -> HubLanguageModel:
    """A tiny model of each family that keeps nothing yet."""
    model.network.kept.clear()
    return model


@pytest.fixture
def empty(flamingo: HubLanguageModel) -> HubLanguageModel:
    """A tiny Audio Flamingo 3 that keeps nothing yet."""
    flamingo.network.kept.clear()
    return flamingo
