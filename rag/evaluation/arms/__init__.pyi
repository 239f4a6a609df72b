from .answer_store import AnswerStore
from .arms import BY_MODEL, Arm, arms_of, check_choices
from .controls import (
    asked_about,
    silent,
    with_changed_labels,
    with_other_audio,
    with_other_labels,
)
from .metered import MeteredModel, Spent, meter_model
from .prediction import Prediction
from .runner import ArmRunner, embedding_seconds

__all__ = [
    "BY_MODEL",
    "AnswerStore",
    "Arm",
    "ArmRunner",
    "MeteredModel",
    "Prediction",
    "Spent",
    "arms_of",
    "asked_about",
    "check_choices",
    "embedding_seconds",
    "meter_model",
    "silent",
    "with_changed_labels",
    "with_other_audio",
    "with_other_labels",
]
