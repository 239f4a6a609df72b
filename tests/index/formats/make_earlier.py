"""Keep what earful made at earlier commits, for ``test_upgrade.py``.

Each is built by the code of that commit, in a temporary folder, so that it is what users of that
time have::

    python -m tests.index.formats.make_earlier
"""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from tests.support.earlier_code import run_code, write_code

HERE = Path(__file__).resolve().parent
SOUNDS = HERE / "sounds"
RATE = 8000
# The first commit that builds an index, of format 1 as it was before digests; and the last one
# before an index could have shards and lie in object storage, which called itself 0.1.0.
FIRST, RELEASE = "0ea179a", "3cc8c79"


def write_night(path: Path) -> None:
    """Write eight seconds of hiss with a tone at 2 and at 5 seconds."""
    path.parent.mkdir()
    time_s = np.arange(RATE * 8) / RATE
    wave = 0.01 * np.random.default_rng(0).standard_normal(time_s.size)
    for start_s in (2, 5):
        here = (time_s >= start_s) & (time_s < start_s + 1)
        wave[here] += 0.4 * np.sin(2 * np.pi * 900 * time_s[here])
    soundfile.write(path, wave, RATE, subtype="PCM_16")


def keep(commit: str, name: str, commands: list[str], kept: list[str]) -> None:
    """Run commands of a commit, and keep some of the folders that they made."""
    with tempfile.TemporaryDirectory() as made:
        work = Path(made, "work")
        shutil.copytree(SOUNDS, work / "sounds")
        shutil.copytree(HERE / "task", work / "task")
        write_night(work / "night/S1_20260503_220000.wav")
        marks = "recording,start_s,end_s,label\nS1_20260503_220000.wav,2,3,tone\n"
        (work / "marks.csv").write_text(marks)
        code = write_code(commit, Path(made, "code"))
        for command in commands:
            done = run_code(code, *command.split(), cwd=work)
            if done.returncode:
                raise SystemExit(f"{commit}: earful {command}: {done.stderr}")
        shutil.rmtree(HERE / name, ignore_errors=True)
        for one in kept:
            shutil.copytree(work / one, HERE / name / one, ignore=shutil.ignore_patterns(".lock"))


def main() -> None:
    """Keep what both commits make."""
    build = "index build sounds --index tones"
    keep(FIRST, "first", [f"{build} --embedder logmel"], ["tones"])
    keep(
        RELEASE,
        "release",
        [
            # With class scores beside the vectors, and what the first question leaves behind.
            f"{build} --embedder yamnet",
            "classify task/query.wav --index tones --task task/pitch.toml --model none",
            "scan night --examples marks.csv --out night.scan",
            "labels import night.scan marks.csv --reviewer ana",
        ],
        ["tones", "night.scan"],
    )


if __name__ == "__main__":
    main()
