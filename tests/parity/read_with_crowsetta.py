"""Reads annotations by crowsetta and praatio, and writes what they found as JSON.

Run by the environment that ``make_crowsetta_environment.sh`` makes: ``read_with_crowsetta.py
KIND PATH``.
"""

import json
import sys
from pathlib import Path


def read(kind: str, path: Path) -> list[list[object]]:
    """Return start, end, label and band of each annotation."""
    import crowsetta

    if kind == "raven":
        raven = crowsetta.formats.bbox.Raven.from_file(path, annot_col="Label")
        boxes = raven.to_annot().bboxes
        return [[b.onset, b.offset, b.label, b.low_freq, b.high_freq] for b in boxes]
    if kind == "audacity-band":
        boxes = crowsetta.formats.bbox.AudBBox.from_file(path).to_annot().bboxes
        return [[b.onset, b.offset, b.label, b.low_freq, b.high_freq] for b in boxes]
    if kind == "audacity":
        found = crowsetta.formats.seq.AudSeq.from_file(path)
        return [
            [start_s, end_s, label]
            for start_s, end_s, label in zip(
                found.start_times, found.end_times, found.labels, strict=True
            )
        ]
    from praatio import textgrid

    grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=False)
    return [
        [each.start, each.end, each.label, name]
        for name in grid.tierNames
        if hasattr((tier := grid.getTier(name)), "insertSpace")
        for each in tier.entries
        if hasattr(each, "end")
    ]


if __name__ == "__main__":
    json.dump(read(sys.argv[1], Path(sys.argv[2])), sys.stdout)
