from .leakage import ON_LEAKS
from .listening import Change, Listening, check_listening
from .metrics import Bootstrap, Interval
from .repeat import RunComparison, recorded_task, repeat_run
from .report import write_report
from .run import Evaluation, evaluate, load_evaluation
from .running import ModelSource, NamedModel
from .scores import ModelVerdict, Scorecard, Verdict, difference_text, is_share, metric_text
from .settings import EvaluationSettings
from .update_task import file_to_write, write_verdict

__all__ = [
    "ON_LEAKS",
    "Bootstrap",
    "Change",
    "Evaluation",
    "EvaluationSettings",
    "Interval",
    "Listening",
    "ModelSource",
    "ModelVerdict",
    "NamedModel",
    "RunComparison",
    "Scorecard",
    "Verdict",
    "check_listening",
    "difference_text",
    "evaluate",
    "file_to_write",
    "is_share",
    "load_evaluation",
    "metric_text",
    "recorded_task",
    "repeat_run",
    "write_report",
    "write_verdict",
]
