from .bug_report import failure_report
from .doctor import Finding, examine
from .logs import JsonStderr, is_debugging, is_stderr_json, log_traceback, show_faults, show_logs

__all__ = [
    "Finding",
    "JsonStderr",
    "examine",
    "failure_report",
    "is_debugging",
    "is_stderr_json",
    "log_traceback",
    "show_faults",
    "show_logs",
]
