from .network import HubNetwork
from .prefixes import KeptPrefixes, Reading, cut_points, prefix_keys
from .rendered import Rendered
from .together import MOST_PROMPTS, Question, score_batch, score_together

__all__ = [
    "MOST_PROMPTS",
    "HubNetwork",
    "KeptPrefixes",
    "Question",
    "Reading",
    "Rendered",
    "cut_points",
    "prefix_keys",
    "score_batch",
    "score_together",
]
