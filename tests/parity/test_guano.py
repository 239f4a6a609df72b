"""Our readers of GUANO and wamd against the package ``guano``, the reference implementation.

Needs an environment of its own, so it runs only when asked to:

    EARFUL_PARITY=1 pytest tests/parity/test_guano.py -s
"""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from earful.model.audio.recorders import read_recorder_metadata
from tests.support.recorder_files import guano, wamd, wav

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.environ.get("EARFUL_PARITY"), reason="set EARFUL_PARITY=1 to make its environment"
    ),
]

THEIRS = """
import json, sys, guano
found = {}
for path in sys.argv[1:]:
    notes = guano.GuanoFile(path)
    start, place = notes.get("Timestamp"), notes.get("Loc Position")
    found[path] = {
        "starts_at": start.isoformat() if hasattr(start, "isoformat") else "",
        "latitude": place[0] if place else None,
        "longitude": place[1] if place else None,
        "model": notes.get("Model", ""),
        "site": notes.get("WA|Song Meter|Prefix") or notes.get("WA|prefix", ""),
        "time_expansion": float(notes.get("TE", 1)),
    }
print(json.dumps(found))
"""
GUANO = [
    "Timestamp: 2012-03-29T03:58:01+04:00\nTE: 1\nMake: Pettersson\nModel: D1000X\n"
    "Loc Position:  37.1878016 -86.1057312",
    "Timestamp:2020-10-17 13:05:00+1:00\nModel:Song Meter Mini\nWA|Song Meter|Prefix:POND",
    "Timestamp: 2026-05-03T04:30:12Z",
    "Timestamp: 2026-05-03T04:30:12.123456-03:30",
    "Timestamp: 2026-05-03T04:30:12.250",
    "Timestamp: 2026-05-03T04:30:12\nTE: 10",
    "Timestamp: 2026-02-30T04:30:12",
    "Note: none\nLoc Position: -27.3888 152.8808",
]
WAMD = [
    ((5, b"2014-04-02 22:59:14-05:00"), (6, b"WGS84,44.98,N,93.27,W,256"), (4, b"RIDGE")),
    ((5, b"2014-04-02 22:59:14"), (6, b",27.38,S,152.88,E"), (1, b"SM4")),
    ((5, b"2014-04-02 22:59:14.250"), (6, b"WGS84, 44.98, -93.27, 12"), (1, b"EMTouch")),
    ((5, b"2014-04-02 22:59:14+05:45"), (0x0F, struct.pack("<H", 10))),
]


def test_metadata_is_that_of_the_package(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    python = tmp_path / "env" / "bin" / "python"
    install: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "guano==1.0.16"]
    subprocess.run(install, check=True)
    ours, paths = {}, []
    for number, text in enumerate(GUANO):
        path = tmp_path / f"guano{number}.wav"
        path.write_bytes(wav(guano(text)))
        paths.append(path)
    for number, fields in enumerate(WAMD):
        path = tmp_path / f"wamd{number}.wav"
        path.write_bytes(wav(wamd(*fields)))
        paths.append(path)
    for path in paths:
        read = read_recorder_metadata(path)
        ours[str(path)] = {
            "starts_at": "" if read.starts_at is None else read.starts_at.isoformat(),
            "latitude": pytest.approx(read.latitude, abs=1e-6),
            "longitude": pytest.approx(read.longitude, abs=1e-6),
            "model": read.device.replace("Pettersson ", ""),
            "site": read.site if read.site_source in ("GUANO", "wamd") else "",
            "time_expansion": read.time_expansion,
        }
    # Their program turns wamd into GUANO, which their package reads.
    program = tmp_path / "env" / "bin" / "wamd2guano.py"
    converter: list[str | Path] = [python, program, *paths[len(GUANO) :]]
    subprocess.run(converter, check=True, capture_output=True)
    output = subprocess.run(
        [python, "-c", THEIRS, *paths], check=True, capture_output=True, text=True
    ).stdout
    assert json.loads(output) == ours
