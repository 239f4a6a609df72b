"""Counts and scores of events against what ``sed_eval`` and ``sed_scores_eval`` make of them.

``tests/golden/sed_metrics.json`` holds what version 0.2.1 of the one and 0.0.4 of the other said
of twenty random lists; ``tests/parity/test_sed_eval.py`` asks them about a thousand.
"""

import json
from pathlib import Path

from tests.support.event_lists import draw_list, our_counts

GOLDEN = Path(__file__).parents[3] / "golden" / "sed_metrics.json"


def test_counts_are_those_of_sed_eval_and_scores_those_of_sed_scores_eval() -> None:
    theirs = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert len(theirs) == 20
    for seed, said in enumerate(theirs):
        assert our_counts(draw_list(seed)) == said
    assert len({said["psds"]["all"] for said in theirs}) > 10
