from .answer import Answer, LabelScore
from .blend import Blend
from .evaluation import Evaluation, EvaluationSettings, evaluate
from .few_shot import FewShot, default_model
from .generation import Chat, ShotInfluence, label_influence, relabel_influence, text_influence
from .retrieval import LabelScoring, Retriever
from .task import Example, Label, Shots, Task, check_task, load_task

__all__ = [
    "Answer",
    "Blend",
    "Chat",
    "Evaluation",
    "EvaluationSettings",
    "Example",
    "FewShot",
    "Label",
    "LabelScore",
    "LabelScoring",
    "Retriever",
    "ShotInfluence",
    "Shots",
    "Task",
    "check_task",
    "default_model",
    "evaluate",
    "label_influence",
    "load_task",
    "relabel_influence",
    "text_influence",
]
