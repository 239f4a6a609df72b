from .bug_report import failure_report
from .doctor import Finding, examine
from .error_lines import print_error
from .logs import JsonStderr, is_debugging, is_stderr_json, log_traceback, show_faults, show_logs

__all__ = [
    "Finding",
    "JsonStderr",
    "examine",
    "failure_report",
    "is_debugging",
    "is_stderr_json",
    "log_traceback",
    "print_error",
    "show_faults",
    "show_logs",
]
