from .leakage import ON_LEAKS
from .report import write_report
from .run import Evaluation, EvaluationSettings, ask_again, evaluate, recorded_task, replay
from .scorecard import Scorecard
from .update_task import file_to_write, write_verdict

__all__ = [
    "ON_LEAKS",
    "Evaluation",
    "EvaluationSettings",
    "Scorecard",
    "ask_again",
    "evaluate",
    "file_to_write",
    "recorded_task",
    "replay",
    "write_report",
    "write_verdict",
]
