from .calibration import MIN_CASES, can_answer
from .candidates import Guard, Pool
from .desk import Prepared
from .query import Audio, Choices, Query, Stopwatch, read_clip
from .retriever import Retriever
from .shots import ShotSet, find_shots
from .strategies import arrange
from .vote import LabelScoring, label_probabilities

__all__ = [
    "MIN_CASES",
    "Audio",
    "Choices",
    "Guard",
    "LabelScoring",
    "Pool",
    "Prepared",
    "Query",
    "Retriever",
    "ShotSet",
    "Stopwatch",
    "arrange",
    "can_answer",
    "find_shots",
    "label_probabilities",
    "read_clip",
]
