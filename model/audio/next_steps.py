"""Next steps for recordings that are too long, as a program takes them.

A command replaces them by options and a command of its own.
"""

from typing import Final

BY_TIMES: Final = "by start_s and end_s"
FIND_WHERE: Final = "find where it is with earful.scan"
TAKE_STRETCH: Final = f"take a stretch of it {BY_TIMES}, find where a sound is with earful.scan"
RAISE_LIMIT: Final = ", or raise the limit in a program, by AudioLimits"
