"""Evaluations of labelled tones, by scripted models that listen or follow their shots."""

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from earful.model import Prompt, ScriptedLanguageModel, Text
from earful.model.scripted import CAPABILITIES
from earful.rag.evaluation import EvaluationSettings
from earful.rag.task import Shots, Task
from tests.support.labelled_tones import label_of, tone, write_wav

HZ = {"low": 200.0, "middle": 700.0, "high": 2000.0}
TASK = Task(name="tones", shots=Shots(k=3))
# Takes of one tone are as near as copies would be; the tests of leaks look at them.
QUICK = EvaluationSettings(shots=(0, 1, 3), seeds=2, resamples=200, near_duplicate=1.0)

_RATE = 8000


def write_take(path: Path, hz: float, seed: int) -> Path:
    """Write a take of a tone."""
    return write_wav(path, tone(hz, seed, rate=_RATE, detune=0.1, noise=0.05), _RATE)


def listener(**capabilities: Any) -> ScriptedLanguageModel:
    """Return a model with a perfect ear that looks at no shot."""
    return ScriptedLanguageModel(
        log_probability=lambda prompt, answer: (
            -0.1 if label_of(prompt.clips[-1]) == answer else -3.0
        ),
        capabilities=replace(CAPABILITIES, **capabilities),
    )


def follower() -> ScriptedLanguageModel:
    """Return a deaf model that answers as most of its shots do."""

    def log_probability(prompt: Prompt, answer: str) -> float:
        answers = [part.text for part in prompt.parts if isinstance(part, Text) and part.is_answer]
        return math.log(0.01 + Counter(answers)[answer])

    return ScriptedLanguageModel(log_probability=log_probability)


def values(scores: dict[str, Any], metric: str = "accuracy") -> dict[str, float]:
    """Return each arm's value of a metric."""
    return {arm["name"]: arm["metrics"][metric]["value"] for arm in scores["arms"]}
