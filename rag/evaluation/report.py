"""Report of an evaluation: an HTML file with verdict, scores, plots and the worst mistakes."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from earful.errors import EvaluationError
from earful.html import Cell, Page
from earful.rag.evaluation.arms import Arm
from earful.rag.evaluation.scores import Answers, ArmScore, Scorecard
from earful.wording import counted

_MOST_MISTAKES = 20
_MOST_LABELS = 60
_MOST_EVIDENCE = 3

Places = Mapping[str, Mapping[str, Any]]


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
    _head(page, card)
    _arms(page, card)
    _shots_curve(page, card)
    _differences(page, card)
    if card.kind == "caption":
        values = [f"{name} {value:.3f}" for name, value in card.java.corpus.items()]
        page.items([f"By {card.verdict.arm.name}: {', '.join(values)}"] if values else [])
        page.items(card.java.notes)
    if card.kind in ("classify", "multilabel"):
        _labels(page, card)
        if card.kind == "classify":
            _confusion(page, card)
        _confidence(page, card)
    _mistakes(page, card)
    _settings(page, card)
    try:
        page.write(path)
    except OSError as error:
        raise EvaluationError(f"{path}: cannot be written ({error.strerror})") from error


def _head(page: Page, card: Scorecard) -> None:
    document = card.document
    page.text(card.verdict.text, is_verdict=True)
    model = document["model"]["name"] if document["model"] else "none"
    page.text(
        f"{counted(len(card.items), 'item')} of {counted(len(set(card.groups)), 'group')}, "
        f"{document['exemplars']['n']} exemplars; language model: {model}; embedder: "
        f"{document['embedder']['name'] if document['embedder'] else 'none'}. Intervals are "
        f"{document['settings']['confidence']:.0%} bootstrap intervals over groups."
    )
    page.items(document["notes"])
    page.text(
        "Where the best of several numbers of shots is named, it was chosen on these very items."
    )


def _arms(page: Page, card: Scorecard) -> None:
    page.section("Arms")
    columns = ["arm", *card.metrics, "interval", "no answer", "seconds an item"]
    rows: list[list[str | float | Cell]] = []
    for score in card.arms:
        span = f"{score.primary.low:.3f} to {score.primary.high:.3f}"
        values = [score.metrics[metric].value for metric in card.metrics]
        rows.append([score.arm.name, *values, span, score.n_faults, score.median_s])
    page.table(columns, rows, name="table-arms")
    page.text(
        f"Hearing a recording for retrieval takes {card.document['embedding_s']:.3f} s more "
        "wherever there are shots, a vote or a probe. Seconds are medians on the machine of "
        "the run; a model keeps what it made of a recording, so that the first arm that asks it "
        "pays for hearing."
    )
    ranked = sorted(card.arms, key=lambda score: score.primary.value)
    page.plot(
        "plot-arms",
        [
            {
                "type": "bar",
                "orientation": "h",
                "y": [score.arm.name for score in ranked],
                "x": [score.primary.value for score in ranked],
                "marker": {"color": [_colour(score.arm) for score in ranked]},
                "error_x": _error_bars(ranked),
            }
        ],
        {"xaxis": {"title": {"text": card.metric}}, "yaxis": {"automargin": True}},
        "Blue: may be used in earnest. Grey: controls and baselines.",
        height=80 + 24 * len(ranked),
    )


def _shots_curve(page: Page, card: Scorecard) -> None:
    curves: dict[str, list[ArmScore]] = {}
    for score in card.arms:
        if score.arm.k:
            curves.setdefault(score.arm.name.partition("@")[0], []).append(score)
    traces: list[dict[str, Any]] = []
    for name, scores in curves.items():
        scores.sort(key=lambda score: score.arm.k)
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": name,
                "x": [score.arm.k for score in scores],
                "y": [score.primary.value for score in scores],
                "error_y": _error_bars(scores) | {"thickness": 1},
            }
        )
    if not curves:
        return
    flat = [score for score in card.arms if score.arm.how in ("zero-shot", "probe", "majority")]
    ks = sorted({score.arm.k for score in card.arms if score.arm.k}) or [0]
    traces += [
        {
            "type": "scatter",
            "mode": "lines",
            "name": score.arm.name,
            "line": {"dash": "dot"},
            "x": [0, ks[-1]],
            "y": [score.primary.value] * 2,
        }
        for score in flat
    ]
    page.section("Shots")
    page.plot(
        "plot-shots",
        traces,
        {"xaxis": {"title": {"text": "shots"}}, "yaxis": {"title": {"text": card.metric}}},
        "Dotted: without shots.",
    )


def _differences(page: Page, card: Scorecard) -> None:
    if not card.comparisons:
        return
    page.section("Differences on the same items")
    rows: list[list[str | float | Cell]] = []
    for pair in card.comparisons:
        found = pair.difference
        test = pair.mcnemar
        kind = "exact" if test and test.is_exact else "chi-square"
        rows.append(
            [
                pair.first,
                pair.second,
                found.value,
                f"{found.low:+.3f} to {found.high:+.3f}",
                found.p_value,
                f"{test.p_value:.3g} ({test.b} : {test.c}, {kind})" if test else "",
            ]
        )
    columns = ["of", "less", "difference", "interval", "bootstrap p", "McNemar"]
    page.table(columns, rows, name="table-differences")


def _labels(page: Page, card: Scorecard) -> None:
    arm = card.verdict.arm
    found = card.per_class(arm)
    page.section(f"Labels, by {arm.name}")
    order = np.argsort(found.f1, kind="stable").tolist()
    rows: list[list[str | float | Cell]] = [
        [
            card.labels[label],
            int(found.support[label]),
            float(found.precision[label]),
            float(found.recall[label]),
            float(found.f1[label]),
        ]
        for label in order
    ]
    page.table(["label", "items", "precision", "recall", "F1"], rows, name="table-labels")
    shown = [label for label in order if found.support[label]][:_MOST_LABELS]
    page.plot(
        "plot-labels",
        [
            {
                "type": "bar",
                "orientation": "h",
                "y": [card.labels[label] for label in shown],
                "x": [float(found.recall[label]) for label in shown],
            }
        ],
        {
            "xaxis": {"title": {"text": "recall"}, "range": [0, 1]},
            "yaxis": {"automargin": True, "type": "category"},
        },
        f"The {len(shown)} labels of the lowest F1.",
        height=80 + 20 * len(shown),
    )


def _confusion(page: Page, card: Scorecard) -> None:
    counts = card.confusion(card.verdict.arm)
    used = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1))[:_MOST_LABELS]
    names = [card.labels[label] for label in used]
    shares = counts[np.ix_(used, used)] / np.maximum(counts[used].sum(axis=1, keepdims=True), 1)
    page.plot(
        "plot-confusion",
        [
            {
                "type": "heatmap",
                "x": names,
                "y": names,
                "z": np.round(shares, 4).tolist(),
                "customdata": counts[np.ix_(used, used)].tolist(),
                "hovertemplate": "%{y} heard as %{x}: %{customdata} items<extra></extra>",
                "colorscale": [[0, "#ffffff"], [1, "#1f5fae"]],
                "zmin": 0,
                "zmax": 1,
            }
        ],
        {
            "xaxis": {"title": {"text": "answer"}, "type": "category", "automargin": True},
            "yaxis": {
                "title": {"text": "truth"},
                "type": "category",
                "autorange": "reversed",
                "automargin": True,
            },
        },
        "Share of each true label.",
        height=160 + 18 * len(names),
    )


def _confidence(page: Page, card: Scorecard) -> None:
    arms = [score.arm for score in card.arms if score.arm.is_answerer]
    chosen = [
        arm
        for how in ("zero-shot", "retrieved", "blend", "vote")
        for arm in arms
        if arm == card.best_of(how)
    ]
    if not chosen:
        chosen = [card.verdict.arm]
    curves: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "calibrated",
            "x": [0, 1],
            "y": [0, 1],
            "line": {"dash": "dot", "color": "#888888"},
        }
    ]
    risks: list[dict[str, Any]] = []
    for arm in chosen:
        bins = card.reliability_of(arm)
        full = np.flatnonzero(bins.count)
        curves.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": f"{arm.name}, ECE {bins.ece:.3f}",
                "x": np.round(bins.confidence[full], 4).tolist(),
                "y": np.round(bins.accuracy[full], 4).tolist(),
                "text": [f"{n} answers" for n in bins.count[full]],
            }
        )
        risk = card.risk_coverage_of(arm)
        risks.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": f"{arm.name}, area {risk.area:.3f}",
                "x": np.round(risk.coverage, 4).tolist(),
                "y": np.round(risk.risk, 4).tolist(),
            }
        )
    page.section("Confidence")
    page.plot(
        "plot-reliability",
        curves,
        {
            "xaxis": {"title": {"text": "confidence"}, "range": [0, 1]},
            "yaxis": {"title": {"text": "share right"}, "range": [0, 1.02]},
        },
        "Above the dotted line an arm is right more often than it says.",
    )
    page.plot(
        "plot-risk",
        risks,
        {
            "xaxis": {"title": {"text": "share of items answered, the surest first"}},
            "yaxis": {"title": {"text": "share of them wrong"}, "rangemode": "tozero"},
        },
        "What abstaining below a confidence gains.",
    )
    _abstentions(page, card)


def _abstentions(page: Page, card: Scorecard) -> None:
    """List how often arms would have said that they are not sure."""
    rows: list[list[str | float | Cell]] = []
    for score in card.arms:
        found = card.abstention_of(score.arm)
        if found is not None:
            right = "-" if found.accuracy is None else found.accuracy
            rows.append([score.arm.name, found.share, right])
    if rows:
        page.table(["arm", "not sure", "right of the others"], rows, name="table-abstentions")
        page.text("All other numbers are of the best guess, whether an arm was sure or not.")


def _mistakes(page: Page, card: Scorecard) -> None:
    """List the wrong answers of the highest confidence, with recordings and evidence."""
    arm = card.verdict.arm
    answers = card.answers[arm.name]
    wrong = _worst(card, answers)
    page.section(f"Worst mistakes, by {arm.name}")
    if not wrong:
        page.text("There is none.")
        return
    places = _places(card)
    rows: list[list[str | float | Cell]] = []
    for position in wrong[:_MOST_MISTAKES]:
        item, row = card.items[position], answers.first[position]
        shots = list(zip(row["shots"], row["similarities"], strict=True))[:_MOST_EVIDENCE]
        evidence = "".join(
            f"<div>{_player(page, places.get(id_)).markup} {similarity:+.2f} "
            f"{_caption(places.get(id_), id_)}</div>"
            for id_, similarity in shots
        )
        rows.append(
            [
                _player(page, item),
                " | ".join(item["references"]) or "(none)",
                row["text"] or row["fault"] or "(nothing)",
                row["confidence"],
                Cell(evidence or "-"),
                item["id"],
            ]
        )
    columns = ["recording", "truth", "answer", "confidence", "evidence", "id"]
    page.table(columns, rows, name="table-mistakes")
    page.text(f"{len(wrong)} of {len(card.items)} answers are wrong; the surest are shown.")


def _worst(card: Scorecard, answers: Answers) -> list[int]:
    """Return the positions of the worst answers: captions by CIDEr, others by confidence."""
    rows = answers.first
    if card.kind == "caption":
        values = card.values(answers, "cider")
        return np.argsort(values, kind="stable").tolist() if values is not None else []
    right = card.right(rows)
    confidence = np.array([row["confidence"] for row in rows])
    wrong = np.flatnonzero(~right)
    ranked: list[int] = wrong[np.argsort(-confidence[wrong], kind="stable")].tolist()
    return ranked


def _places(card: Scorecard) -> Places:
    """Return the recordings of items and of the exemplars that answers name, by id."""
    places = {item["id"]: item for item in card.items}
    places.update({shown["id"]: shown for shown in card.document.get("shown", ())})
    return places


def _player(page: Page, place: Mapping[str, Any] | None) -> Cell:
    if place is None:
        return Cell("")
    return page.player(Path(place["audio"]), place["start_s"], place["end_s"])


def _caption(place: Mapping[str, Any] | None, id_: str) -> str:
    return html.escape(id_ if place is None else f"{' | '.join(place['references'])} ({id_})")


def _settings(page: Page, card: Scorecard) -> None:
    page.section("Settings")
    decisive = {
        name: card.document[name]
        for name in ("settings", "task", "embedder", "exemplars", "model", "versions", "machine")
    }
    page.details("All that decides the answers", json.dumps(decisive, indent=1, ensure_ascii=False))
    if card.document["leaks"]:
        rows: Sequence[Sequence[str | float | Cell]] = [
            [leak["item"], leak["exemplar"], leak["kind"], leak["similarity"]]
            for leak in card.document["leaks"]
        ]
        page.section("Exemplars that give items away")
        page.table(["item", "exemplar", "kind", "similarity"], rows, name="table-leaks")


def _error_bars(scores: Sequence[ArmScore]) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [score.primary.high - score.primary.value for score in scores],
        "arrayminus": [score.primary.value - score.primary.low for score in scores],
    }


def _colour(arm: Arm) -> str:
    return "#3b7dd8" if arm.is_answerer else "#9aa3af"
