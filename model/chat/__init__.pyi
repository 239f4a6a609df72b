from .abilities import (
    ChecksHearing,
    Choice,
    ChoosesAnswers,
    ReportsRequests,
    RequestReport,
)
from .control_strings import break_control_strings, control_strings_in

__all__ = [
    "ChecksHearing",
    "Choice",
    "ChoosesAnswers",
    "ReportsRequests",
    "RequestReport",
    "break_control_strings",
    "control_strings_in",
]
