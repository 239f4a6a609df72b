from .blended_scorer import LabelScorer
from .chat import Chat, read_turns
from .from_exemplars import Heard, Said, answer_heard, describe_heard, name_heard
from .influence import ShotInfluence, label_influence, relabel_influence, text_influence
from .leave_one_out import BlendFitter, Progress
from .precompute import ask_ahead, precompute_features
from .prompt import FittedPrompt, is_yes_or_no
from .prototypes import describe_exemplars, takes_prototypes
from .questions import (
    affirmed,
    asks_for_a_description,
    asks_for_a_name,
    is_yes_no_question,
    label_asked_about,
    labels_to_choose_from,
    offers_choice,
)
from .request import (
    ModelRequest,
    generation_notes,
    score_labels,
    scoring_notes,
    shortlist,
    to_answer,
    with_room,
    write_answer,
)
from .yes_no import YesNo, judge_choice, judge_label, score_yes_no

__all__ = [
    "BlendFitter",
    "Chat",
    "FittedPrompt",
    "Heard",
    "LabelScorer",
    "ModelRequest",
    "Progress",
    "Said",
    "ShotInfluence",
    "YesNo",
    "affirmed",
    "answer_heard",
    "ask_ahead",
    "asks_for_a_description",
    "asks_for_a_name",
    "describe_exemplars",
    "describe_heard",
    "generation_notes",
    "is_yes_no_question",
    "is_yes_or_no",
    "judge_choice",
    "judge_label",
    "label_asked_about",
    "label_influence",
    "labels_to_choose_from",
    "name_heard",
    "offers_choice",
    "precompute_features",
    "read_turns",
    "relabel_influence",
    "score_labels",
    "score_yes_no",
    "scoring_notes",
    "shortlist",
    "takes_prototypes",
    "text_influence",
    "to_answer",
    "with_room",
    "write_answer",
]
