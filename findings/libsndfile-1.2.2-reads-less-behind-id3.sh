#!/bin/sh
# libsndfile 1.2.2 (in the wheel of soundfile 0.14.0), WAV and AIFF behind an ID3v2 tag.
#
# Behaviour: an ID3v2 tag of T bytes before a WAV or AIFF file is passed over, and the file opens
# without an error. Its samples end T bytes early: of 64,000 16-bit samples behind a tag of
# 60,000 bytes the last 30,000 are missing.
#
# Why it surprises: taggers put such tags before any file, a reader either knows them or refuses
# the file, and the same library reads FLAC and MP3 behind a tag whole. The length in the
# WAV header is right, and the samples that come are right, so that nothing looks wrong.
#
# Needs Python 3.10 or newer and the package index; uses uv where it is installed. Exits 0 while
# the behaviour is as described.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
python="$folder/env/bin/python"
if command -v uv >/dev/null 2>&1; then
    uv pip install --quiet --python "$python" soundfile==0.14.0 numpy
else
    "$python" -m pip install --quiet --disable-pip-version-check soundfile==0.14.0 numpy
fi
"$python" - <<'PY'
import io

import numpy as np
import soundfile

samples = (0.5 * np.sin(np.arange(64_000) / 7)).astype(np.float32)
size = bytes(59_990 >> shift & 127 for shift in (21, 14, 7, 0))
tag = b"ID3\4\0\0" + size + bytes(59_990)
print("libsndfile", soundfile.__libsndfile_version__)
found = {}
for kind in ("WAV", "AIFF", "FLAC"):
    file = io.BytesIO()
    soundfile.write(file, samples, 16_000, format=kind, subtype="PCM_16")
    found[kind] = len(soundfile.read(io.BytesIO(tag + file.getvalue()))[0])
    print(f"{kind} behind a tag of {len(tag)} bytes: {found[kind]} of {len(samples)} samples")
if not (found["FLAC"] == 64_000 and found["WAV"] < 35_000 and found["AIFF"] < 35_000):
    raise SystemExit("changed: expected FLAC whole, and about half of WAV and AIFF")
PY
echo "as described"
