#!/bin/sh
# metamoth 1.2.2, the zone in the comments of AudioMoth recorders.
#
# Behaviour: of a recorder set to UTC-3:30 (Newfoundland), whose comment says "(UTC-3:30)", the
# zone is read as UTC-02:30, so that the recording starts an hour early. East of Greenwich
# ("UTC+5:45") and at whole hours it is right.
#
# Why it surprises: the firmware writes hours and minutes of one sign, and the library reads just
# these comments, firmware by firmware, without an error or a warning. Its hours are negative and
# its minutes are added to them. The local time beside it is right, so that a look at the file
# finds nothing.
#
# Needs Python 3.10 or newer and the package index; uses uv where it is installed. Exits 0 while
# the behaviour is as described.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
python="$folder/env/bin/python"
if command -v uv >/dev/null 2>&1; then
    uv pip install --quiet --python "$python" metamoth==1.2.2
else
    "$python" -m pip install --quiet --disable-pip-version-check metamoth==1.2.2
fi
cd "$folder"
"$python" - <<'PY'
import struct
from datetime import timedelta

import metamoth


def chunk(name, content):
    return name + struct.pack("<I", len(content)) + content


def recording(zone):
    """A WAV file as firmware 1.8.0 writes it."""
    comment = (
        f"Recorded at 04:30:12 03/05/2023 ({zone}) by AudioMoth 24F3190361DA3578 at medium gain "
        "while battery was 4.2V and temperature was 12.3C."
    )
    texts = chunk(b"ICMT", comment.encode().ljust(384, b"\0"))
    texts += chunk(b"IART", b"AudioMoth 24F3190361DA3578".ljust(32, b"\0"))
    form = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 48_000, 96_000, 2, 16))
    body = b"WAVE" + form + chunk(b"LIST", b"INFO" + texts) + chunk(b"data", bytes(9600))
    return b"RIFF" + struct.pack("<I", len(body)) + body


found = {}
for zone in ("UTC", "UTC-3", "UTC+5:45", "UTC-3:30", "UTC-9:30"):
    with open("recording.WAV", "wb") as file:
        file.write(recording(zone))
    read = metamoth.parse_metadata("recording.WAV")
    found[zone] = read.timezone.utcoffset(None)
    print(f"({zone}): local time {read.datetime}, zone {read.timezone}")
assert found["UTC"] == timedelta(0)
assert found["UTC-3"] == timedelta(hours=-3)
assert found["UTC+5:45"] == timedelta(hours=5, minutes=45)
# In truth 3:30 and 9:30 behind UTC.
assert found["UTC-3:30"] == timedelta(hours=-2, minutes=-30), found
assert found["UTC-9:30"] == timedelta(hours=-8, minutes=-30), found
PY
