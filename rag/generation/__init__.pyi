from .blended_scorer import LabelScorer
from .chat import Chat, read_turns
from .influence import ShotInfluence, label_influence, relabel_influence, text_influence
from .leave_one_out import BlendFitter, Progress
from .precompute import precompute_features
from .prompt import FittedPrompt, is_yes_or_no
from .request import ModelRequest, generation_notes, score_labels, to_answer, write_answer

__all__ = [
    "BlendFitter",
    "Chat",
    "FittedPrompt",
    "LabelScorer",
    "ModelRequest",
    "Progress",
    "ShotInfluence",
    "generation_notes",
    "is_yes_or_no",
    "label_influence",
    "precompute_features",
    "read_turns",
    "relabel_influence",
    "score_labels",
    "text_influence",
    "to_answer",
    "write_answer",
]
