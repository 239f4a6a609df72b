"""Count lists of events with the packages ``sed_eval`` and ``sed_scores_eval`` themselves.

Runs in the environment that ``make_sed_environment.sh`` makes, not in ours:

    python count_with_sed_eval.py LISTS.json COUNTS.json

reads what ``tests/support/event_lists.py`` draws, and writes for each list the counts of every
label by both rules of ``sed_eval``, and for its scores the PSDS of all and of each label.
"""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

warnings.simplefilter("ignore")


def main(lists: Path, counts: Path) -> None:
    """Read lists and write counts."""
    told = [count(one) for one in json.loads(lists.read_text(encoding="utf-8"))]
    counts.write_text(json.dumps(told), encoding="utf-8")


def count(one: dict[str, Any]) -> dict[str, Any]:
    """Count one list."""
    import sed_eval

    labels = one["labels"]
    collar = sed_eval.sound_event.EventBasedMetrics(
        event_label_list=labels, t_collar=0.2, percentage_of_length=0.5
    )
    segment = sed_eval.sound_event.SegmentBasedMetrics(event_label_list=labels, time_resolution=1.0)
    for name, duration_s in one["recordings"].items():
        true, found = events(one["true"], name), events(one["found"], name)
        collar.evaluate(reference_event_list=true, estimated_event_list=found)
        segment.evaluate(
            reference_event_list=true,
            estimated_event_list=found,
            evaluated_length_seconds=duration_s,
        )
    return {
        "collar": {label: three(collar.class_wise[label]) for label in labels},
        "segment": {label: three(segment.class_wise[label]) for label in labels},
        "psds": psds(one),
    }


def events(rows: list[list[Any]], recording: str) -> Any:
    """Return the events of a recording as ``sed_eval`` takes them."""
    import dcase_util

    return dcase_util.containers.MetaDataContainer(
        [
            {"filename": name, "onset": start, "offset": end, "event_label": label}
            for name, start, end, label in rows
            if name == recording
        ]
    )


def three(counted: dict[str, Any]) -> list[int]:
    """Return what was found, invented and missed."""
    return [int(counted["Ntp"]), int(counted["Nfp"]), int(counted["Nfn"])]


def psds(one: dict[str, Any]) -> dict[str, Any]:
    """Return the score of all labels and of each."""
    import numpy as np
    from sed_scores_eval.base_modules.scores import create_score_dataframe
    from sed_scores_eval.intersection_based import psds as compute

    scores = {
        name: create_score_dataframe(
            np.array(values).T, np.arange(len(values[0]) + 1) * one["step_s"], one["labels"]
        )
        for name, values in one["scores"].items()
    }
    truth = {
        name: [(start, end, label) for own, start, end, label in one["true"] if own == name]
        for name in scores
    }
    value, by_label, *_ = compute(
        scores,
        truth,
        one["recordings"],
        dtc_threshold=0.7,
        gtc_threshold=0.7,
        alpha_st=1.0,
        max_efpr=1000.0,
    )
    return {
        "all": round(float(value), 9),
        "labels": {name: round(float(x), 9) for name, x in by_label.items()},
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
