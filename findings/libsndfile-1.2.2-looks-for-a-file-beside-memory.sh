#!/bin/sh
# libsndfile 1.2.2 (in the wheel of soundfile 0.14.0), audio in memory and the working folder.
#
# Behaviour: of bytes that are read through callbacks (`soundfile.SoundFile(io.BytesIO(…))`), and that do not begin
# with a name it knows, as MP3 frames do not, libsndfile looks for the resource fork of a Sound Designer II file
# of the empty name: a file called `._` in the working folder. With an empty one there no MP3 opens from
# memory any more, by a program that is given no path at all. Writing SD2 to memory leaves just such a file.
#
# Why it surprises: what is in memory has no folder, so nobody looks there when MP3 files that opened a minute
# ago are "bad data offset"; and writing to memory touches no disk, one would think.
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
mkdir "$folder/work"
cd "$folder/work"
"$python" - <<'PY'
import io
import os

import numpy as np
import soundfile

samples = 0.5 * np.sin(np.arange(48_000) / 10)
mp3 = io.BytesIO()
soundfile.write(mp3, samples, 48_000, format="MP3", subtype="MPEG_LAYER_III")


def opens() -> str:
    """Say what comes of the MP3 in memory."""
    try:
        return f"{soundfile.info(io.BytesIO(mp3.getvalue())).frames} samples"
    except soundfile.LibsndfileError as error:
        return str(error.error_string)


print("libsndfile", soundfile.__libsndfile_version__)
before, files_before = opens(), os.listdir()
print("before:", before, files_before)
soundfile.write(io.BytesIO(), samples, 48_000, format="SD2", subtype="PCM_16")
print("after writing SD2 to memory:", opens(), os.listdir())
assert files_before == [] and before.endswith("samples")
assert os.listdir() == ["._"], "it writes nothing beside memory now"
os.truncate("._", 0)
print("with an empty file:", opens())
assert not opens().endswith("samples"), "it does not look beside memory any more"
os.remove("._")
print("without it:", opens())
assert opens() == before
PY
