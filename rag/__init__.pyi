from .answer import Answer, LabelScore
from .blend import Blend
from .evaluation import (
    Evaluation,
    EvaluationSettings,
    Listening,
    Scorecard,
    Verdict,
    check_listening,
    evaluate,
)
from .few_shot import FewShot, default_model
from .generation import (
    Chat,
    ModelRequest,
    ShotInfluence,
    label_influence,
    relabel_influence,
    text_influence,
)
from .retrieval import AskOptions, LabelScoring, Query, Retriever
from .task import Example, Label, Protocol, Shots, Task, TaskProblem, check_task, load_task

__all__ = [
    "Answer",
    "AskOptions",
    "Blend",
    "Chat",
    "Evaluation",
    "EvaluationSettings",
    "Example",
    "FewShot",
    "Label",
    "LabelScore",
    "LabelScoring",
    "Listening",
    "ModelRequest",
    "Protocol",
    "Query",
    "Retriever",
    "Scorecard",
    "ShotInfluence",
    "Shots",
    "Task",
    "TaskProblem",
    "Verdict",
    "check_listening",
    "check_task",
    "default_model",
    "evaluate",
    "label_influence",
    "load_task",
    "relabel_influence",
    "text_influence",
]
