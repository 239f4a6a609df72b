"""FFmpeg as the one decoder of MP3 and OGG, beside libsndfile: verdicts, pace and size.

The nasty files of the tests are decoded by both, and verdicts that change are listed. Recordings of
noise are read whole; the two take turns in one process.

    ./dev bench decoders

writes ``benchmarks/results/decoders.json``.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any
from unittest import mock

import soundfile
from benchmarks.turns import in_turns, keep, machine, spread, times

from earful.model.audio import load_audio
from earful.model.audio.decoders import soundfile_decoder
from earful.model.audio.decoders.stream_header import Decoder
from earful.model.audio.decoders.stream_length import is_mpeg_frame, read_at
from earful.model.audio.source import OpenSource
from tests.support.audio_formats import CannotWriteError, noise
from tests.support.audio_verdicts import Accepted, Case, Refused, decode, fault
from tests.support.nasty_audio import coded_cases, ffmpeg_cases

KINDS = (("MP3", "MPEG_LAYER_III", 44100), ("OGG", "VORBIS", 44100), ("OGG", "OPUS", 48000))
SECONDS = (5, 60)


def main() -> None:
    """Compare verdicts and seconds, print both and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        changed = [found for case in cases() if (found := changed_verdict(case, Path(scratch)))]
        pace = [
            measure(Path(scratch), kind, coding, rate, seconds, arguments.rounds)
            for seconds in SECONDS
            for kind, coding, rate in KINDS
        ]
    report: dict[str, Any] = {
        "machine": machine(),
        "rounds": arguments.rounds,
        "installed_mb": {name: installed_mb(name) for name in ("av", "soundfile")},
        "nasty_files": len(cases()),
        "changed_verdicts": changed,
        "pace": pace,
    }
    for found in changed:
        print(f"{found['file']}: {found['change']}")
    for row in pace:
        print(f"{row['what']:<34}{row['ffmpeg_over_libsndfile']}")
    print(f"installed, MB: {report['installed_mb']}")
    keep("decoders", report)


def cases() -> list[Case]:
    """Return the nasty files of coded audio."""
    return [*coded_cases(), *ffmpeg_cases()]


@contextmanager
def ffmpeg_first() -> Iterator[None]:
    """Hand MP3 and OGG to FFmpeg without asking libsndfile."""
    choose = soundfile_decoder._choose

    def choose_ffmpeg(source: OpenSource, note: str) -> Decoder:
        head = read_at(source.file, 0, 4)
        source.file.seek(0)
        if head == b"OggS" or head[:3] == b"ID3" or is_mpeg_frame(head):
            return soundfile_decoder._open_with_ffmpeg(source, "FFmpeg reads it", ())
        return choose(source, note)

    with mock.patch.object(soundfile_decoder, "_choose", choose_ffmpeg):
        yield


def changed_verdict(case: Case, folder: Path) -> dict[str, str] | None:
    """Say how FFmpeg's verdict on a file differs; ``None`` where only words do, or nothing."""
    try:
        path = case.place(folder)
    except CannotWriteError:
        return None
    if fault(case.verdict, *decode(path)):
        raise SystemExit(f"{case.name}: the verdict of today does not hold")
    with ffmpeg_first():
        probed, loaded = decode(path)
    if isinstance(case.verdict, Refused):
        if isinstance(loaded, str):
            return None
        change = f"refused ({case.verdict.reason}), now {loaded.n_samples} samples are read"
    elif isinstance(loaded, Accepted):
        if not fault(case.verdict, probed, loaded):
            return None
        change = f"{case.verdict.n_samples} samples, now {loaded.n_samples}"
    else:
        change = "read, now refused"
    return {"file": case.name, "change": change}


def measure(
    folder: Path, kind: str, coding: str, rate: int, seconds: int, n_rounds: int
) -> dict[str, Any]:
    """Read a recording of noise by both."""
    path = folder / f"{coding}-{seconds}.snd"
    with soundfile.SoundFile(path, "w", rate, 1, format=kind, subtype=coding) as file:
        for second in range(seconds):  # libsndfile encodes Vorbis on the stack
            file.write(noise(1, rate, seed=second))

    def by_ffmpeg() -> None:
        with ffmpeg_first():
            load_audio(path)

    took = in_turns(
        {"libsndfile": partial(load_audio, path), "ffmpeg": by_ffmpeg}, n_rounds=n_rounds
    )
    return {
        "what": f"{coding}, {seconds} s",
        "ms": {name: spread(some, digits=1) for name, some in took.items()},
        "ffmpeg_over_libsndfile": times(took["libsndfile"], took["ffmpeg"]),
    }


def installed_mb(name: str) -> float:
    """Return the size of a distribution's files, in MB."""
    files = metadata.files(name) or []
    return round(sum(Path(file.locate()).stat().st_size for file in files) / 1e6, 1)


if __name__ == "__main__":
    main()
