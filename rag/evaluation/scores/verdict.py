"""Verdict of an evaluation: whether retrieval helps, and which arm to use."""

from __future__ import annotations

import math

import numpy as np

from earful.rag.evaluation.arms import Arm
from earful.rag.evaluation.scores.results import Comparison, Verdict
from earful.rag.evaluation.scores.run_scores import RunScores
from earful.rag.task import ANSWERERS
from earful.wording import counted

# Metrics that are not shares, so they are not given in percent.
_PLAIN = frozenset({"cider"})
ENOUGH_GROUPS = 20
"""Groups from which a bootstrap sees enough of the ways in which items differ."""

# "As good": the whole interval of the difference lies within so many points.
_AS_GOOD = 3.0
# A confidence that is further from the share that is right says nothing.
_USABLE = 0.15
_USE = {
    "vote": "the neighbour vote",
    "blend": "the blend",
    "retrieved": "the model",
    "zero-shot": "the model without shots",
}

_SHOWN_AS = {
    None: "",
    "interleaved": " interleaved",
    "montage": " in a montage",
    "text": " in words",
}


def fewest_to_tell(confidence: float) -> int:
    """Return from how many groups two arms can be told apart at all.

    Of fewer groups that all go one way, the sign test says no more than chance does. A bootstrap
    of them is sure all the same: each resample is like the next.

    >>> fewest_to_tell(0.95), fewest_to_tell(0.9)
    (6, 5)
    """
    return math.ceil(1.0 - math.log2(1.0 - confidence))


def pass_verdict(card: RunScores) -> Verdict:
    """Choose the cheapest arm that is not shown to be worse than the best, and say why.

    Arms are tried in the order of their cost: the vote with its best number of shots (more
    shots cost nothing), then the model with more and more shots, then the blend. An arm is
    skipped when the whole interval of the best arm's lead over it is above 0.
    """
    scores = {score.arm: score.primary.value for score in card.arms}
    usable = [arm for arm in scores if arm.is_answerer] or list(scores)
    best = max(usable, key=lambda arm: (scores[arm], -cost_order(arm)[0], -arm.k))
    vote = card.best_of("vote")
    chosen = best
    for arm in sorted(usable, key=cost_order):
        if arm.how == "vote" and arm != vote:
            continue
        if arm == best or shown_sign(card, card.compare(best, arm)) <= 0:
            chosen = arm
            break
    return Verdict(text=_sentence(card, chosen), arm=chosen, best=best)


def is_share(metric: str) -> bool:
    """Whether a metric is a share, to be shown in percent.

    >>> is_share("accuracy"), is_share("cider")
    (True, False)
    """
    return metric not in _PLAIN


def metric_text(metric: str, value: float) -> str:
    """Return a metric's value as text, the same everywhere.

    >>> metric_text("accuracy", 0.699), metric_text("cider", 0.699)
    ('69.9%', '0.699')
    """
    return f"{value:.1%}" if is_share(metric) else f"{value:.3f}"


def difference_text(metric: str, difference: float) -> str:
    """Return a difference of two values, of shares in points of a hundred.

    >>> difference_text("accuracy", -0.184), difference_text("cider", 0.2)
    ('-18.4', '+0.200')
    """
    return f"{100 * difference:+.1f}" if is_share(metric) else f"{difference:+.3f}"


def answerer_of(arm: Arm) -> str:
    """Return the name of an arm in a task file; empty when a task cannot have it.

    >>> answerer_of(Arm(how="retrieved", k=4)), answerer_of(Arm(how="probe"))
    ('model', '')
    """
    name = "model" if arm.how == "retrieved" else arm.how
    return name if name in ANSWERERS else ""


def cost_order(arm: Arm) -> tuple[int, int]:
    """Return the sort key of an arm's cost."""
    order = ("majority", "probe", "vote", "zero-shot", "retrieved", "blend")
    return order.index(arm.how) if arm.how in order else len(order), arm.k


def _sentence(card: RunScores, chosen: Arm) -> str:
    """Return the verdict's text: what to use and how good it is, what else was, and the doubts."""
    majority = card.best_of("majority")
    named = _USE.get(chosen.how, f"the {chosen.how} arm")
    with_shots = f" with {shots_text(chosen)}{mode_text(chosen)}" if chosen.k else ""
    parts = [f"use {named}{with_shots}: {value_text(card, chosen)}{beside_chance(card, chosen)}"]
    retrieved, zero, vote = (card.best_of(how) for how in ("retrieved", "zero-shot", "vote"))
    probe = card.best_of("probe")
    if retrieved and zero:
        parts.append(gain_text(card, card.compare(retrieved, zero), retrieved))
    elif retrieved and retrieved != chosen:
        parts.append(
            f"the model with {shots_text(retrieved)} reaches {value_text(card, retrieved)}"
        )
    if vote and retrieved:
        compared = compared_text(card, card.compare(vote, retrieved), "the model")
        parts.append(f"the neighbour vote {compared}")
    elif vote and vote != chosen:
        parts.append(f"the neighbour vote of {shots_text(vote)} reaches {value_text(card, vote)}")
    if probe and vote:
        parts.append(f"a linear probe {compared_text(card, card.compare(probe, vote), 'the vote')}")
    if majority and chosen != majority and shown_sign(card, card.compare(chosen, majority)) <= 0:
        parts.append("but nothing is shown to beat the most frequent answer")
    return "; ".join([*parts, *doubts(card, chosen)])


def beside_chance(card: RunScores, chosen: Arm) -> str:
    """Name the metric, and say what a guess and the most frequent answer would reach."""
    metric = " right" if card.metric == "accuracy" else f" {card.metric.replace('-', ' ')}"
    if card.kind != "classify" or "accuracy" not in card.metric or not card.labels:
        return metric
    beside = f"{metric} (chance {1.0 / len(card.labels):.1%}"
    majority = card.best_of("majority")
    if majority and majority != chosen:
        beside += f", the most frequent answer {value_text(card, majority)}"
    return beside + ")"


def doubts(card: RunScores, chosen: Arm) -> list[str]:
    """Return what to mind about the chosen arm: an interval that is a point, its confidence."""
    told = _doubts_of_interval(card, chosen)
    return told if card.kind != "classify" else told + _doubts_of_confidence(card, chosen)


def _doubts_of_interval(card: RunScores, chosen: Arm) -> list[str]:
    found = next(score for score in card.arms if score.arm == chosen).primary
    if not is_share(card.metric) or not found.low == found.high == 1.0:
        return []
    # A bootstrap of groups without a fault draws none: the share that so many may have by chance.
    n = len(set(card.groups))
    most = 1.0 - (1.0 - card.document["settings"]["confidence"]) ** (1.0 / n)
    return [f"none of {counted(n, 'group')} went wrong, and up to {most:.0%} of others still may"]


def _doubts_of_confidence(card: RunScores, chosen: Arm) -> list[str]:
    rows = card.answers[chosen.name].first
    told = [row["confidence"] for row in rows if row["confidence"] is not None]
    if len(told) < len(rows):
        return []
    said = float(np.mean(told))
    right = float(card.right(rows).mean())
    # Two standard errors of a share are what so few items may be off by.
    if abs(said - right) <= max(_USABLE, 1.0 / math.sqrt(len(rows))):
        return []
    return [
        f"its confidence is unusable here: it says {said:.1%} on average and is right in "
        f"{right:.1%}"
    ]


def gain_text(card: RunScores, found: Comparison, retrieved: Arm) -> str:
    """Describe how retrieval compares with no shots."""
    value, low, high = points_text(card, found)
    level = f"{card.document['settings']['confidence']:.0%} CI"
    span = f"({level} {low} to {high}, {shots_text(retrieved)}{mode_text(retrieved)})"
    sign = shown_sign(card, found)
    if sign > 0:
        return f"retrieval adds {value}{unit_of(card)} over zero-shot {span}"
    if sign < 0:
        return f"retrieval costs {value.lstrip('-')}{unit_of(card)} against zero-shot {span}"
    return f"retrieval makes no sure difference to zero-shot: {value}{unit_of(card)} {span}"


def shown_sign(card: RunScores, found: Comparison) -> int:
    """Return 1 where the first arm is shown to be better, -1 where it is worse, else 0."""
    if len(set(card.groups)) < fewest_to_tell(card.document["settings"]["confidence"]):
        return 0
    return (found.difference.low > 0) - (found.difference.high < 0)


def unit_of(card: RunScores) -> str:
    """Return what stands behind a difference; empty for a metric that is no share."""
    return "" if card.metric in _PLAIN else " points"


def compared_text(card: RunScores, found: Comparison, other: str = "") -> str:
    """Describe how the first arm of a comparison compares with the second."""
    value, low, high = points_text(card, found)
    span = f"({value}, {low} to {high})"
    than = f" than {other}" if other else ""
    sign = shown_sign(card, found)
    if sign > 0:
        return f"is better{than} {span}"
    if sign < 0:
        return f"is worse{than} {span}"
    scale = 1.0 if card.metric in _PLAIN else 100.0
    is_near = max(-found.difference.low, found.difference.high) * scale <= _AS_GOOD
    if is_near and len(set(card.groups)) >= ENOUGH_GROUPS:
        return f"is as good{f' as {other}' if other else ''} {span}"
    return f"cannot be told apart{f' from {other}' if other else ''} {span}"


def points_text(card: RunScores, found: Comparison) -> tuple[str, str, str]:
    """Return a difference and its interval as text, in points where the metric is a share."""
    difference = found.difference
    scale, digits = (1.0, 3) if card.metric in _PLAIN else (100.0, 1)
    value, low, high = (
        f"{x * scale:.{digits}f}" for x in (difference.value, difference.low, difference.high)
    )
    return value, low, high


def value_text(card: RunScores, arm: Arm) -> str:
    """Return an arm's value of the task's own metric as text."""
    value = next(score for score in card.arms if score.arm == arm).primary.value
    return metric_text(card.metric, value)


def shots_text(arm: Arm) -> str:
    """Return an arm's number of shots as text."""
    return "1 shot" if arm.k == 1 else f"{arm.k} shots"


def mode_text(arm: Arm) -> str:
    """Return how an arm's shots are shown, behind their number; empty where that is not chosen."""
    return _SHOWN_AS[arm.shot_mode]
