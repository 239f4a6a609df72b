#!/bin/sh
# crowsetta 5.1.2 loses selections of Raven tables whose labels begin with a quotation mark.
#
# Behaviour: of a selection table with five rows, whose second and fourth labels begin with `"` (an
# abbreviation for "as above", say), `Raven.from_file` returns three boxes and no error or warning:
# rows two to four are one, with the times of the second and a label that holds the text of all
# three, tabs and line ends included.
#
# Why it surprises: Raven's tables separate cells by tabs and never quote one; crowsetta knows the
# format by name. It reads them by pandas' CSV rules, in which a quotation mark at the start of a cell opens a
# text that goes on over tabs and lines to the next such mark. With one such label in a table there is an
# error; with two, selections are gone, and whoever counts calls counts too few.
#
# Needs Python 3.11 or newer and the package index; uses uv where it is installed. Exits 0 while
# the behaviour is as described.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
python="$folder/env/bin/python"
if command -v uv >/dev/null 2>&1; then
    uv pip install --quiet --python "$python" crowsetta==5.1.2 "setuptools<81"
else
    "$python" -m pip install --quiet --disable-pip-version-check crowsetta==5.1.2 "setuptools<81"
fi
cd "$folder"
"$python" - <<'PY'
from importlib.metadata import version
from pathlib import Path

import crowsetta

header = (
    "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\t"
    "Annotation\n"
)
labels = ["wren", '" loud', "owl", '" soft', "wren"]
rows = "".join(
    f"{n}\tSpectrogram 1\t1\t{n}.0\t{n}.5\t100.0\t2000.0\t{label}\n"
    for n, label in enumerate(labels, start=1)
)
path = Path("night.selections.txt")
path.write_text(header + rows)
boxes = crowsetta.formats.bbox.Raven.from_file(path).to_annot().bboxes
print("crowsetta", version("crowsetta"))
print(f"written: {len(labels)} selections; read: {len(boxes)}")
for box in boxes:
    print(f"  {box.onset:g} to {box.offset:g} s: {box.label!r}")
assert len(boxes) == 3, "it reads all selections now, or refuses the table"
assert "owl" in boxes[1].label and "\n" in boxes[1].label
PY
