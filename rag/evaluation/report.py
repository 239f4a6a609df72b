"""Report of an evaluation: an HTML file with verdict, scores, charts and the worst mistakes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from earful.errors import EvaluationError
from earful.html import Axis, Page, Point, Series, across, upwards
from earful.rag.evaluation.confidence_charts import (
    FEWEST_IN_A_BIN,
    charted_arms,
    reliability_chart,
    risk_chart,
)
from earful.rag.evaluation.scores import (
    Answers,
    ArmScore,
    Scorecard,
    difference_text,
    is_share,
    metric_text,
)

_MOST_MISTAKES = 20
_MOST_EVIDENCE = 3
_MOST_CELLS = 60
_MOST_PAIRS = 8
_COSTS = ("#no answer", "#seconds an item")


def write_report(card: Scorecard, path: Path) -> None:
    """Write the report of an evaluation.

    Recordings that are no longer where the run found them are named instead of played.

    Args:
        card: The scores.
        path: HTML file.

    Raises:
        EvaluationError: It cannot be written.
    """
    page = Page(f"Evaluation: {card.document['task']['name']}")
    has_labels = card.kind in ("classify", "multilabel")
    has_charts = has_labels and bool(charted_arms(card))
    ranked = sorted(card.arms, key=lambda score: -score.primary.value)
    most = max(score.primary.high for score in ranked)
    first, *others = card.metrics
    try:
        page.write(
            path,
            "evaluation_page.html",
            card=card,
            verdict=card.verdict.text.split("; "),
            ranked=ranked,
            heads=["arm", f"#{first}", "#interval", *(f"#{name}" for name in others), *_COSTS],
            most=1.0 if is_share(card.metric) else max(most, 0.1),
            metric_text=metric_text,
            difference_text=difference_text,
            is_share=is_share,
            shots=_shots_chart(card),
            labels=_labels(card) if has_labels else [],
            confusion=_confusion(card) if card.kind == "classify" else None,
            reliability=reliability_chart(card) if has_charts else None,
            risk=risk_chart(card) if has_charts else None,
            fewest=FEWEST_IN_A_BIN,
            abstentions=[
                (score.arm.name, found)
                for score in card.arms
                if has_labels and (found := card.abstention_of(score.arm)) is not None
            ],
            mistakes=_mistakes(page, card),
            settings=_settings(card),
        )
    except OSError as error:
        raise EvaluationError(f"{path}: cannot be written ({error.strerror})") from error


def _shots_chart(card: Scorecard) -> tuple[list[Series], Axis, Axis] | None:
    """Return the metric by the number of shots, with the axes; ``None`` without shots."""
    curves: dict[str, list[ArmScore]] = {}
    for score in sorted(card.arms, key=lambda score: score.arm.k):
        if score.arm.k:
            curves.setdefault(score.arm.name.partition("@")[0], []).append(score)
    if not curves:
        return None
    most_shots = float(max(score.arm.k for score in card.arms))
    series = [
        Series(
            name=name,
            points=[
                Point(
                    x=score.arm.k,
                    y=score.primary.value,
                    title=f"{score.arm.name}: {metric_text(card.metric, score.primary.value)}",
                )
                for score in scores
            ],
        )
        for name, scores in curves.items()
    ]
    series += [
        Series(
            name=f"{score.arm.name}, without shots",
            points=[Point(x=x, y=score.primary.value) for x in (0, most_shots)],
            has_dots=False,
        )
        for score in card.arms
        if score.arm.how in ("zero-shot", "probe", "majority")
    ]
    in_percent = is_share(card.metric)
    most = 1.0 if in_percent else max(*(score.primary.high for score in card.arms), 0.1)
    x = across(title="shots", high=most_shots)
    return series, x, upwards(title=card.metric, high=most, is_share=in_percent)


def _labels(card: Scorecard) -> list[tuple[str, int, float, float, float]]:
    """Return each label's items, precision, recall and F1 by the chosen arm, the worst first."""
    found = card.per_class(card.verdict.arm)
    columns = (found.support, found.precision, found.recall, found.f1)
    rows = zip(card.labels, *(column.tolist() for column in columns), strict=True)
    return sorted(rows, key=lambda row: row[-1])


def _confusion(card: Scorecard) -> dict[str, Any]:
    """Return who is taken for whom; of very many labels those that are mistaken most."""
    counts = card.confusion(card.verdict.arm)
    wrong = counts - np.diag(np.diagonal(counts))
    used = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1))
    mistaken = (wrong.sum(axis=0) + wrong.sum(axis=1))[used]
    shown = np.sort(used[np.argsort(-mistaken, kind="stable")[:_MOST_CELLS]])
    pairs = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_PAIRS]
    return {
        "names": [card.labels[label] for label in shown],
        "counts": counts[np.ix_(shown, shown)].tolist(),
        "n_used": len(used),
        "pairs": [
            (card.labels[truth], card.labels[answer], int(wrong[truth, answer]), totals)
            for truth, answer in zip(*np.unravel_index(pairs, wrong.shape), strict=True)
            if wrong[truth, answer] and (totals := int(counts[truth].sum()))
        ],
        "totals": counts.sum(axis=1)[shown].tolist(),
    }


def _mistakes(page: Page, card: Scorecard) -> dict[str, Any]:
    """Return the wrong answers of the highest confidence, with recordings and evidence."""
    answers = card.answers[card.verdict.arm.name]
    wrong = _worst(card, answers)
    places = {item["id"]: item for item in card.items}
    places.update({shown["id"]: shown for shown in card.document.get("shown", ())})
    rows = []
    for position in wrong[:_MOST_MISTAKES]:
        item, row = card.items[position], answers.first[position]
        shots = list(zip(row["shots"], row["similarities"], strict=True))[:_MOST_EVIDENCE]
        for id_ in (item["id"], *(id_ for id_, _ in shots)):
            if place := places.get(id_):
                page.add_sound(id_, Path(place["audio"]), place["start_s"], place["end_s"])
        evidence = [(id_, _named(places.get(id_)), similarity) for id_, similarity in shots]
        rows.append((item["id"], _named(item), row, evidence))
    return {"rows": rows, "n": len(wrong)}


def _worst(card: Scorecard, answers: Answers) -> list[int]:
    """Return the positions of the worst answers: captions by CIDEr, others by confidence."""
    rows = answers.first
    if card.kind == "caption":
        values = card.values(answers, "cider")
        return np.argsort(values, kind="stable").tolist() if values is not None else []
    # An answer of unknown confidence is no mistake of a sure one.
    confidence = np.array([row["confidence"] or 0.0 for row in rows])
    wrong = np.flatnonzero(~card.right(rows))
    ranked: list[int] = wrong[np.argsort(-confidence[wrong], kind="stable")].tolist()
    return ranked


def _named(place: Mapping[str, Any] | None) -> str:
    return " | ".join(place["references"]) if place else ""


def _settings(card: Scorecard) -> str:
    """Return all that decides the answers, as JSON."""
    decisive = ("settings", "task", "embedder", "exemplars", "model", "versions", "machine")
    values = {name: card.document[name] for name in decisive}
    return json.dumps(values, indent=1, ensure_ascii=False)
