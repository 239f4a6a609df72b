#!/bin/sh
# FFmpeg as PyAV 18.1.0 ships it: where AC-3 begins.
#
# Behaviour: the same AC-3 packets of a click at sample 10,000 decode to a click at 10,256 from a raw
# `.ac3` file, MPEG-TS, AVI and WAV, and at 10,000 from MP4 and Matroska.
#
# Why it surprises: the coding and its delay (256 samples, half of its transform) are the same in
# every container, and a decoder could take it off everywhere. It is done only where the container states
# it, so that times in labels are 5 ms off in one half of the files of a corpus, and copying
# a stream into another container moves the sound.
#
# Needs Python 3.11 or newer and the package index; uses uv where it is installed. Exits 0 while
# the behaviour is as described.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
python="$folder/env/bin/python"
if command -v uv >/dev/null 2>&1; then
    uv pip install --quiet --python "$python" av==18.1.0 numpy
else
    "$python" -m pip install --quiet --disable-pip-version-check av==18.1.0 numpy
fi
"$python" - <<'PY'
import io

import av
import numpy as np

RATE = 48_000
CLICK = np.zeros(RATE, np.float32)
CLICK[10_000] = 0.9


def written(kind: str) -> io.BytesIO:
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as container:
        stream = container.add_stream("ac3", rate=RATE)
        stream.layout = "mono"
        regroup = av.AudioResampler(format="fltp", layout="mono", rate=RATE, frame_size=1536)
        frame = av.AudioFrame.from_ndarray(CLICK[None], "fltp", "mono")
        frame.sample_rate, frame.pts = RATE, 0
        for piece in [*regroup.resample(frame), *regroup.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    file.seek(0)
    return file


found = {}
print("PyAV", av.__version__)
for kind in ("ac3", "mpegts", "avi", "wav", "mp4", "matroska"):
    with av.open(written(kind)) as container:
        frames = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    found[kind] = int(np.abs(np.concatenate(frames)).argmax())
    print(f"{kind}: the click of sample 10000 at {found[kind]}")
late = all(abs(found[kind] - 10_256) <= 2 for kind in ("ac3", "mpegts", "avi", "wav"))
right = all(abs(found[kind] - 10_000) <= 2 for kind in ("mp4", "matroska"))
if not (late and right):
    raise SystemExit("changed: expected 256 samples late but in MP4 and Matroska")
PY
echo "as described"
