"""Reports of every kind of task; ``tests/test_pages.py`` looks at one in a browser."""

import copy
from pathlib import Path
from typing import Any

import pytest

from earful.rag import FewShot
from earful.rag.evaluation import Scorecard, evaluate, write_report
from tests.support.tone_evaluations import QUICK, TASK, listener

HOWS = ("zero-shot", "retrieved")


@pytest.fixture(scope="module")
def document(index: Path) -> dict[str, Any]:
    return evaluate(FewShot.open(index, model=listener()), TASK, settings=QUICK).document


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "metric", "parts"),
    [
        ("classify", "accuracy", {"table-labels", "plot-confusion", "plot-reliability"}),
        ("multilabel", "macro-f1", {"table-labels", "plot-reliability"}),
        ("ask", "exact-match", set()),
        ("caption", "cider", set()),
    ],
)
def test_a_report_has_the_parts_of_its_task_s_kind(
    kind: str, metric: str, parts: set[str], document: dict[str, Any], tmp_path: Path
) -> None:
    if kind == "caption":
        pytest.importorskip("pycocoevalcap")
    document = copy.deepcopy(document)
    document["task"] |= {"kind": kind, "metric": metric}
    if kind in ("ask", "caption"):
        document["labels"] = []
        document["arms"] = [arm for arm in document["arms"] if arm["how"] in HOWS]
        names = {arm["name"] for arm in document["arms"]}
        document["rows"] = [row for row in document["rows"] if row["arm"] in names]
    card = Scorecard(document)
    write_report(card, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    every = {"table-labels", "plot-confusion", "plot-reliability"}
    assert {part for part in every if f'id="{part}"' in text} == parts
    assert 'id="table-arms"' in text
    # The verdict comes first, and begins with what to use.
    assert card.verdict.text.partition(";")[0][1:] in text.partition("<h2")[0]
