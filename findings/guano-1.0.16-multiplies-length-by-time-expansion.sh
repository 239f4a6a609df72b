#!/bin/sh
# guano 1.0.16, its program wamd2guano.py, on a recording that was slowed down.
#
# Behaviour: a WAV file of one second, whose notes by Wildlife Acoustics give a time expansion of
# 10, becomes one whose GUANO notes have "Length: 10.00". The specification in the same repository
# wants the length of the WAV file divided by the factor: 0.10.
#
# Why it surprises: it is the reference implementation, and the sample rate beside it is multiplied
# as the specification has it, so that length times rate gives a hundred times the samples that
# there are. Whoever divides numbers of calls by lengths is wrong by the square of the factor.
#
# Needs Python 3.10 or newer and the package index; uses uv where it is installed. Exits 0 while
# the behaviour is as described.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
python="$folder/env/bin/python"
if command -v uv >/dev/null 2>&1; then
    uv pip install --quiet --python "$python" guano==1.0.16
else
    "$python" -m pip install --quiet --disable-pip-version-check guano==1.0.16
fi
cd "$folder"
"$python" - <<'PY'
import struct


def chunk(name, content):
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def field(number, content):
    return struct.pack("<HI", number, len(content)) + content


notes = field(0x00, struct.pack("<H", 1)) + field(0x01, b"EM3")
notes += field(0x05, b"2026-05-03 04:30:12") + field(0x0F, struct.pack("<H", 10))
form = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 24_000, 48_000, 2, 16))
body = b"WAVE" + form + chunk(b"data", bytes(48_000)) + chunk(b"wamd", notes)
with open("bat.wav", "wb") as file:
    file.write(b"RIFF" + struct.pack("<I", len(body)) + body)
PY
"$python" env/bin/wamd2guano.py bat.wav >converted.txt
"$python" - <<'PY'
import guano

found = guano.GuanoFile("bat.wav")
length, rate, factor = (found[key] for key in ("Length", "Samplerate", "TE"))
print(f"a WAV file of 1 s at 24000 Hz: Length {length}, Samplerate {rate}, TE {factor}")
assert (factor, rate) == (10, 240_000)
assert length == 10.0, length  # 0.1 by the specification
PY
