from .arguments import (
    check_options,
    to_count,
    to_labels,
    to_one_or_several,
    to_recording,
    to_recordings,
    to_text,
)
from .calibration import MIN_CASES, can_answer, class_scores_of
from .candidates import Candidates, Exclusions
from .index_search import SearchOptions, check_search
from .label_means import (
    UNSHOWN,
    WORD_WEIGHT,
    LabelEvidence,
    LabelMeans,
    LabelNames,
    mean_similarities,
    spread_of,
)
from .prepared_task import ExemplarFilter, PreparedTask
from .query import (
    AskOptions,
    Audio,
    Query,
    Readable,
    Stopwatch,
    read_clip,
    read_in_batches,
    read_query,
    spells_options,
)
from .retriever import Retrieved, Retriever
from .shot_set import ShotSet, Voters, find_shots
from .vote import Calibration, LabelScoring, LabelVote, label_probabilities

__all__ = [
    "MIN_CASES",
    "UNSHOWN",
    "WORD_WEIGHT",
    "AskOptions",
    "Audio",
    "Calibration",
    "Candidates",
    "Exclusions",
    "ExemplarFilter",
    "LabelEvidence",
    "LabelMeans",
    "LabelNames",
    "LabelScoring",
    "LabelVote",
    "PreparedTask",
    "Query",
    "Readable",
    "Retrieved",
    "Retriever",
    "SearchOptions",
    "ShotSet",
    "Stopwatch",
    "Voters",
    "can_answer",
    "check_options",
    "check_search",
    "class_scores_of",
    "find_shots",
    "label_probabilities",
    "mean_similarities",
    "read_clip",
    "read_in_batches",
    "read_query",
    "spells_options",
    "spread_of",
    "to_count",
    "to_labels",
    "to_one_or_several",
    "to_recording",
    "to_recordings",
    "to_text",
]
