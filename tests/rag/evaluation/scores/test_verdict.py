from dataclasses import replace
from pathlib import Path

from earful.rag import FewShot
from earful.rag.evaluation import Scorecard, evaluate
from earful.rag.evaluation.metrics import Difference
from earful.rag.evaluation.scores.results import Comparison
from earful.rag.evaluation.scores.verdict import compared_text
from tests.support.tone_evaluations import QUICK, TASK


def described(card: Scorecard, low: float, value: float, high: float) -> str:
    """Return the words for a difference, in shares."""
    gap = Difference(value=value, low=low, high=high, p_value=0.5)
    return compared_text(card, Comparison(first="a", second="b", difference=gap, mcnemar=None))


def test_only_arms_that_are_surely_near_are_called_as_good(index: Path) -> None:
    settings = replace(QUICK, shots=(1,), arms=("vote",))
    card = evaluate(FewShot.open(index), TASK, settings=settings).scorecard
    # Nine groups are too few to call anything as good, whatever the interval.
    assert described(card, 0.0, 0.0, 0.0) == "cannot be told apart (0.0, 0.0 to 0.0)"
    assert "the items come from 9 groups only" in " ".join(card.document["notes"])
    card.groups = [str(n) for n in range(20)]
    assert described(card, -0.02, 0.0, 0.02) == "is as good (0.0, -2.0 to 2.0)"
    assert described(card, -0.2, 0.0, 0.2) == "cannot be told apart (0.0, -20.0 to 20.0)"
    assert described(card, 0.01, 0.1, 0.2) == "is better (10.0, 1.0 to 20.0)"
    assert described(card, -0.2, -0.1, -0.01) == "is worse (-10.0, -20.0 to -1.0)"


def test_five_groups_that_go_one_way_tell_no_arms_apart(index: Path) -> None:
    settings = replace(QUICK, shots=(1,), arms=("vote",), limit=5)
    card = evaluate(FewShot.open(index), TASK, settings=settings).scorecard
    # Five coins fall on one side in a sixteenth of the cases; six in a thirty-second.
    card.groups = [str(n) for n in range(5)]
    assert described(card, 1.0, 1.0, 1.0) == "cannot be told apart (100.0, 100.0 to 100.0)"
    assert described(card, -1.0, -1.0, -1.0) == "cannot be told apart (-100.0, -100.0 to -100.0)"
    card.groups = [str(n) for n in range(6)]
    assert described(card, 1.0, 1.0, 1.0) == "is better (100.0, 100.0 to 100.0)"
    assert described(card, -1.0, -1.0, -1.0) == "is worse (-100.0, -100.0 to -100.0)"


def test_an_interval_without_a_width_is_no_proof(index: Path) -> None:
    settings = replace(QUICK, shots=(3,), arms=("vote", "majority"))
    found = evaluate(FewShot.open(index), TASK, settings=settings)
    assert found.accuracy("vote@3") == 1.0
    # 1 - 0.05 ** (1 / 9), the share of faults with which nine in a row go right in a twentieth.
    assert "none of 9 groups went wrong, and up to 28% of others still may" in found.verdict.text
    few = evaluate(FewShot.open(index), TASK, settings=replace(settings, limit=3))
    assert "but nothing is shown to beat the most frequent answer" in few.verdict.text
    assert "below 6 nothing is told apart" in " ".join(few.document["notes"])


def said(card: Scorecard, confidence: float) -> str:
    """Return the verdict of a run whose answers all had one confidence."""
    rows = [{**row, "confidence": confidence} for row in card.document["rows"]]
    return Scorecard({**card.document, "rows": rows}).verdict.text


def test_a_verdict_begins_with_what_to_use_and_its_number(index: Path) -> None:
    settings = replace(QUICK, shots=(1,), arms=("vote", "majority"))
    card = evaluate(FewShot.open(index), TASK, settings=settings).scorecard
    right = next(score for score in card.arms if score.arm.how == "vote").primary.value
    most_frequent = next(score for score in card.arms if score.arm.how == "majority").primary.value
    assert said(card, right) == (
        f"use the neighbour vote with 1 shot: {right:.1%} right (chance 33.3%, the most frequent "
        f"answer {most_frequent:.1%}); none of 9 groups went wrong, and up to 28% of others still "
        "may"
    )
    # The doubts come last: a confidence that says 50 % of what is right in 92 is one.
    assert right > 0.9
    assert said(card, 0.4).startswith("use the neighbour vote with 1 shot: ")
    assert said(card, 0.4).endswith(
        f"; its confidence is unusable here: it says 40.0% on average and is right in {right:.1%}"
    )
    # Of so few items, a share is not known to a few points.
    assert "unusable" not in said(card, right - 0.2)
