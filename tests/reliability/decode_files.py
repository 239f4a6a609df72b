"""A process that probes, loads and resamples the files named on standard input.

A line in, JSON, is a path. A line out is the result of ``audio_verdicts.decode``, and what this
process has taken so far: CPU seconds and its largest size in MiB.
"""

import json
import os
import resource
import sys
from dataclasses import astuple
from pathlib import Path

from benchmarks.resident import peak_bytes

from tests.support.audio_verdicts import Accepted, decode

EMBEDDER_HZ = 48_000


def found(outcome: Accepted | str) -> list[int] | str:
    return outcome if isinstance(outcome, str) else list(astuple(outcome))


def main() -> None:
    """Decode the files named on standard input, one JSON string a line."""
    # libsndfile prints "Error A : 00" and the like where answers go.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        probed, loaded = decode(Path(json.loads(line)), resampled_hz=EMBEDDER_HZ)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        answer = {
            "probed": found(probed),
            "loaded": found(loaded),
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "mib": peak_bytes() / 2**20,
        }
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
