from .answer_store import AnswerStore
from .arms import BY_MODEL, Arm, arms_of, check_choices
from .metered import MeteredModel, Spent, metered
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
    "check_choices",
    "embedding_seconds",
    "metered",
]
