from .blended_scorer import Judge
from .chat import Chat, read_turns
from .influence import ShotInfluence, label_influence, relabel_influence, text_influence
from .leave_one_out import Progress, Replayer
from .precompute import keep_features
from .prompt import YES_OR_NO, FittedPrompt, is_yes_or_no
from .request import Inquiry, generation_notes, score_labels, tell, write_answer

__all__ = [
    "YES_OR_NO",
    "Chat",
    "FittedPrompt",
    "Inquiry",
    "Judge",
    "Progress",
    "Replayer",
    "ShotInfluence",
    "generation_notes",
    "is_yes_or_no",
    "keep_features",
    "label_influence",
    "read_turns",
    "relabel_influence",
    "score_labels",
    "tell",
    "text_influence",
    "write_answer",
]
