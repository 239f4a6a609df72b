"""A contestant's side of a benchmark: do one round whenever asked, and say how long it took.

Needs nothing but Python, so that a contestant may run in any environment.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any


def serve(action: Callable[[], Any], **told: Any) -> None:
    """Answer until stdin ends; each line on it asks for one round.

    Args:
        action: A round. What it returns goes back beside the seconds it took.
        told: Goes back at once, as the sign that the contestant is ready.
    """
    # Packages print while they work; what is ours goes where they cannot reach.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    action()  # what happens on the first call only is nobody's pace
    print(json.dumps(told), file=out, flush=True)
    for _ in sys.stdin:
        started = time.perf_counter()
        result = action()
        seconds = time.perf_counter() - started
        print(json.dumps({"seconds": seconds, "result": result}), file=out, flush=True)
