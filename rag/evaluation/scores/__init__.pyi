from .model_verdicts import words_for
from .results import ArmScore, ModelVerdict, Verdict
from .run_scores import Answers
from .scorecard import Scorecard
from .verdict import (
    ENOUGH_GROUPS,
    answerer_of,
    difference_text,
    fewest_to_tell,
    is_share,
    metric_text,
)

__all__ = [
    "ENOUGH_GROUPS",
    "Answers",
    "ArmScore",
    "ModelVerdict",
    "Scorecard",
    "Verdict",
    "answerer_of",
    "difference_text",
    "fewest_to_tell",
    "is_share",
    "metric_text",
    "words_for",
]
