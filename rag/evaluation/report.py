"""Report of an evaluation: an HTML file with verdict, scores, plots and the worst mistakes."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from earful.errors import EvaluationError
from earful.html import (
    Axis,
    Bar,
    Cell,
    Page,
    Point,
    Series,
    draw_bars,
    draw_counts,
    draw_series,
)
from earful.rag.evaluation.arms import Arm
from earful.rag.evaluation.confidence_charts import show_confidence
from earful.rag.evaluation.scores import (
    Answers,
    ArmScore,
    Scorecard,
    difference_text,
    is_share,
    metric_text,
)
from earful.wording import counted

_MOST_MISTAKES = 20
_MOST_LABELS = 60
_MOST_EVIDENCE = 3
_MOST_CELLS = 30

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
        show_confidence(page, card)
    _mistakes(page, card)
    _settings(page, card)
    try:
        page.write(path)
    except OSError as error:
        raise EvaluationError(f"{path}: cannot be written ({error.strerror})") from error


def _head(page: Page, card: Scorecard) -> None:
    document = card.document
    first, *others = card.verdict.text.split("; ")
    page.verdict(f"{first[:1].upper()}{first[1:]}", others)
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
        values = [_value(metric, score.metrics[metric].value) for metric in card.metrics]
        is_best = score.arm == card.verdict.arm
        name = f"{score.arm.name} (use this one)" if is_best else score.arm.name
        span = _span(card.metric, score.primary.low, score.primary.high)
        rows.append([name, *values, span, score.n_faults, score.median_s])
    winner = [score.arm for score in card.arms].index(card.verdict.arm)
    page.table(columns, rows, name="table-arms", winner=winner)
    page.text(
        f"Hearing a recording for retrieval takes {card.document['embedding_s']:.3f} s more "
        "wherever there are shots, a vote or a probe. Seconds are medians on the machine of "
        "the run; a model keeps what it made of a recording, so that the first arm that asks it "
        "pays for hearing."
    )
    ranked = sorted(card.arms, key=lambda score: -score.primary.value)
    most = max(score.primary.high for score in ranked)
    page.chart(
        "plot-arms",
        draw_bars(
            [
                Bar(
                    name=score.arm.name,
                    value=score.primary.value,
                    low=score.primary.low,
                    high=score.primary.high,
                    mark=_mark(score.arm, card.verdict.arm),
                    note=_span(card.metric, score.primary.low, score.primary.high),
                )
                for score in ranked
            ],
            _axis(card.metric, most),
        ),
        "Green: the arm to use. Blue: others that may be used in earnest. Grey: controls and "
        "baselines.",
    )


def _shots_curve(page: Page, card: Scorecard) -> None:
    curves: dict[str, list[ArmScore]] = {}
    for score in card.arms:
        if score.arm.k:
            curves.setdefault(score.arm.name.partition("@")[0], []).append(score)
    if not curves:
        return
    ks = sorted({score.arm.k for score in card.arms if score.arm.k})
    series = [
        Series(
            name=name,
            points=[
                Point(
                    x=score.arm.k,
                    y=score.primary.value,
                    title=f"{score.arm.name}: {metric_text(card.metric, score.primary.value)} "
                    f"({_span(card.metric, score.primary.low, score.primary.high)})",
                )
                for score in sorted(scores, key=lambda score: score.arm.k)
            ],
        )
        for name, scores in curves.items()
    ]
    series += [
        Series(
            name=f"{score.arm.name}, without shots",
            points=[Point(x=x, y=score.primary.value, title="") for x in (0, ks[-1])],
            has_dots=False,
        )
        for score in card.arms
        if score.arm.how in ("zero-shot", "probe", "majority")
    ]
    page.section("Shots")
    most = max(score.primary.high for score in card.arms)
    x = Axis(title="shots", high=float(ks[-1]))
    page.chart("plot-shots", draw_series(series, x, _axis(card.metric, most)))


def _differences(page: Page, card: Scorecard) -> None:
    if not card.comparisons:
        return
    page.section("Differences on the same items")
    rows: list[list[str | float | Cell]] = []
    for pair in card.comparisons:
        found = pair.difference
        test = pair.mcnemar
        kind = "exact" if test and test.is_exact else "chi-square"
        low, high = (difference_text(card.metric, end) for end in (found.low, found.high))
        rows.append(
            [
                pair.first,
                pair.second,
                _difference(card.metric, found.value),
                f"{low} to {high}",
                found.p_value,
                f"{test.p_value:.3g} ({test.b} : {test.c}, {kind})" if test else "",
            ]
        )
    unit = "points of a hundred" if is_share(card.metric) else "difference"
    columns = ["of", "less", unit, "interval", "bootstrap p", "McNemar"]
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
            Cell.share(found.precision[label]),
            Cell.share(found.recall[label]),
            Cell.share(found.f1[label]),
        ]
        for label in order
    ]
    page.table(["label", "items", "precision", "recall", "F1"], rows, name="table-labels")
    shown = [label for label in order if found.support[label]][:_MOST_LABELS]
    page.chart(
        "plot-labels",
        draw_bars(
            [
                Bar(
                    name=card.labels[label],
                    value=float(found.recall[label]),
                    note=f"of {counted(int(found.support[label]), 'item')}",
                )
                for label in shown
            ],
            Axis(title="share of its items that were recognised", is_share=True),
        ),
        f"{counted(len(shown), 'label')}, the lowest F1 first.",
    )


def _confusion(page: Page, card: Scorecard) -> None:
    """Draw who is taken for whom; of many labels those that are mistaken most."""
    counts = card.confusion(card.verdict.arm)
    used = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1))
    n_used = len(used)
    if n_used > _MOST_CELLS:
        wrong = counts.sum(axis=0) + counts.sum(axis=1) - 2 * np.diagonal(counts)
        used = np.sort(used[np.argsort(-wrong[used], kind="stable")[:_MOST_CELLS]])
    caption = "Items of each true label, by the answer they got; green is right."
    if n_used > len(used):
        caption += f" Of {n_used} labels the {len(used)} with the most mistakes."
    names = [card.labels[label] for label in used]
    page.chart("plot-confusion", draw_counts(names, counts[np.ix_(used, used)].tolist()), caption)


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
                Cell.share(row["confidence"]),
                Cell(evidence or "-"),
                item["id"],
            ]
        )
    columns = ["recording", "truth", "answer", "confidence", "evidence", "id"]
    page.table(columns, rows, name="table-mistakes")
    n_wrong = f"{len(wrong)} of {counted(len(card.items), 'answer')}"
    page.text(f"{n_wrong} {'is' if len(wrong) == 1 else 'are'} wrong; the surest are shown.")


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


def _mark(arm: Arm, winner: Arm) -> str:
    """Return the class of an arm's bar."""
    return "win" if arm == winner else "c0" if arm.is_answerer else "mute"


def _axis(metric: str, most: float) -> Axis:
    in_percent = is_share(metric)
    high = 1.0 if in_percent else max(most, 0.1)
    return Axis(title=metric, high=high, is_share=in_percent)


def _span(metric: str, low: float, high: float) -> str:
    return f"{metric_text(metric, low)} to {metric_text(metric, high)}"


def _value(metric: str, value: float) -> float | Cell:
    return Cell.share(value) if is_share(metric) else value


def _difference(metric: str, difference: float) -> Cell:
    return Cell(difference_text(metric, difference), repr(float(difference)), is_number=True)
