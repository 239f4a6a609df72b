#!/bin/sh
# libsndfile 1.2.2 (in the wheel of soundfile 0.14.0) opens MATLAB files that SciPy 1.17.1 writes.
#
# Behaviour: a MAT5 file of a signal `x` and its rate `fs` = 96000, as `scipy.io.savemat` writes it, opens
# without an error, at 44,100 Hz, and has eight samples more than `x`: libsndfile knows a rate only as the
# variable `samplerate` before the signal, as it writes it itself, and takes all that follows the first
# variable's header for sound, the variable `fs` with its tags among it.
#
# Why it surprises: MAT is listed among the formats, the file is valid, and a rate is in it. Whoever lets
# the library say what is a recording gets one that sounds 2.2 times lower, with another variable's bytes at its
# end; a folder of exports becomes a data set of wrong audio.
#
# Needs Python 3.11 or newer and the package index; uses uv where it is installed. Exits 0 while
# the behaviour is as described.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
python="$folder/env/bin/python"
if command -v uv >/dev/null 2>&1; then
    uv pip install --quiet --python "$python" soundfile==0.14.0 scipy==1.17.1 numpy
else
    "$python" -m pip install --quiet --disable-pip-version-check soundfile==0.14.0 scipy==1.17.1 numpy
fi
"$python" - <<'PY'
import io

import numpy as np
import scipy.io
import soundfile

signal = 0.5 * np.sin(np.arange(9600) / 10)
file = io.BytesIO()
scipy.io.savemat(file, {"x": signal, "fs": 96_000})
file.seek(0)
samples, rate = soundfile.read(file)
print("libsndfile", soundfile.__libsndfile_version__)
print(f"written: {signal.size} samples at 96000 Hz, peak {np.abs(signal).max():.3g}")
print(f"read: {samples.size} samples at {rate} Hz, peak {np.abs(samples).max():.3g}")
print("the signal is at the beginning:", np.array_equal(samples[: signal.size], signal))
print("behind it:", samples[signal.size :])
assert rate == 44_100, "it knows the rate now, or refuses the file"
assert samples.size == signal.size + 8, "it stops at the end of the variable now"
assert np.array_equal(samples[: signal.size], signal)
PY
