#!/bin/sh
# libsndfile 1.2.2 (in the wheel of soundfile 0.14.0), the fact chunk of IMA ADPCM in WAV.
#
# Behaviour: the `fact` chunk of a WAV file states its samples per channel. In MS ADPCM libsndfile
# writes the true number, whatever the channels. In IMA ADPCM it writes the samples of all blocks, the
# filled-up end included, divided by the number of channels: half of them for stereo.
#
# Why it surprises: `fact` is the only place where a file of coded blocks says where the recording ends, so
# a reader trims to it. Whoever does that cuts a stereo recording of this library in half, and one
# of its mono recordings keeps up to a block of noise; the same code is right for MS ADPCM.
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
import struct

import numpy as np
import soundfile

N = 8017
found = {}
print("libsndfile", soundfile.__libsndfile_version__)
for coding in ("IMA_ADPCM", "MS_ADPCM"):
    for channels in (1, 2):
        file = io.BytesIO()
        samples = np.zeros((N, channels), np.float32)
        soundfile.write(file, samples, 16_000, format="WAV", subtype=coding)
        data = file.getvalue()
        (stated,) = struct.unpack_from("<I", data, data.find(b"fact") + 8)
        in_blocks = soundfile.info(io.BytesIO(data)).frames
        found[coding, channels] = stated
        print(f"{coding}, {channels} channels, {N} samples: fact {stated}, blocks hold {in_blocks}")
if found["MS_ADPCM", 2] != N or found["IMA_ADPCM", 2] * 2 != found["IMA_ADPCM", 1]:
    raise SystemExit("changed: expected half in stereo IMA ADPCM, the true number in MS ADPCM")
PY
echo "as described"
