#!/bin/sh
# libsndfile 1.2.2 (in the wheel of soundfile 0.14.0), floats written as PCM of 16 bits.
#
# Behaviour: `soundfile.write` turns floats into whole numbers by one rule for WAV, AIFF, CAF and W64, and by
# another for FLAC. There they are rounded down, floor(x * 32768); here to the nearest. Half of all samples differ
# by one, and what is written as WAV is half a step too low on average: silence with dither gets an offset of
# -0.5 / 32768. (soundfile switches libsndfile's clipping on, and its way there shifts bits away.)
#
# Why it surprises: both are lossless containers of the same 16 bits, so the same array written to both, read
# again, is taken to be the same recording; digests of the samples say that it is not. And a WAV of floats is
# expected to be off by half a step at most, in both directions: it is off by up to a whole one, in one.
# Whole numbers written as whole numbers are the same in both.
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

floats = np.random.default_rng(0).uniform(-0.9, 0.9, 100_000)
print("libsndfile", soundfile.__libsndfile_version__)


def kept(samples, container):
    file = io.BytesIO()
    soundfile.write(file, samples, 16_000, format=container, subtype="PCM_16")
    file.seek(0)
    return soundfile.read(file, dtype="int16")[0]


found = {name: kept(floats, name) for name in ("WAV", "AIFF", "CAF", "W64", "FLAC")}
for name, whole in found.items():
    error = whole - floats * 32768
    differing = np.mean(whole != found["FLAC"])
    print(f"{name:<4} error {error.min():+.2f} to {error.max():+.2f} steps, mean {error.mean():+.3f};"
          f" differs from FLAC in {differing:.0%} of samples")
down, nearest = np.floor(np.rint(floats * 2.0**31) / 65536), np.rint(floats * 32768)
as_described = all((whole == down).all() for name, whole in found.items() if name != "FLAC")
whole = nearest.astype(np.int16)
same = (kept(whole, "WAV") == whole).all() and (kept(whole, "FLAC") == whole).all()
if not (as_described and (found["FLAC"] == nearest).all() and same):
    raise SystemExit("changed: expected WAV rounded down, FLAC to the nearest, whole numbers kept")
PY
echo "as described"
