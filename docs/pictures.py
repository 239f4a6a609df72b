"""Draw the pictures of docs/how-answers-come-about.md, from numbers of the demo's recordings.

``./dev run python -m docs.pictures`` measures (a minute), writes the numbers to
``docs/images/answers.json`` and draws; ``--draw`` draws those numbers, and ``--check`` fails where
a picture is not of them.
A picture has its own background, and follows the light or dark setting of the screen.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from docs.written import write_or_check

IMAGES = Path(__file__).resolve().parent / "images"
NUMBERS = IMAGES / "answers.json"
QUERIES = {
    "known": "thunder/environment-lightning-thunder5.flac",
    "unlike": "fire/fire-inflame.flac",
}
"""A recording that is named rightly, and one that is not."""
_WIDTH = 640
_STYLE = """\
svg { background: #ffffff } .ink { fill: #1c2428 } .faint { stroke: #c9d1d4; fill: none }
.a { fill: #00796b } .b { fill: #c2570c } .c { fill: #5b5bd6 } .mean { stroke: #1c2428 }
.line { stroke: #00796b; fill: none; stroke-width: 2 }
text { font: 13px system-ui, sans-serif }
@media (prefers-color-scheme: dark) {
svg { background: #1b2226 } .ink { fill: #e6ecee } .faint { stroke: #4a565b }
.a { fill: #4db6ac } .b { fill: #f2a065 } .c { fill: #a5a5ff } .mean { stroke: #e6ecee }
.line { stroke: #4db6ac } }
"""


def measure() -> dict[str, Any]:
    """Ask about the demo's recordings and return what the pictures show."""
    import earful
    from earful.demo import DemoCorpus
    from earful.rag.evaluation import EvaluationSettings, evaluate
    from earful.rag.task import Task

    demo, found = DemoCorpus.find(), {}
    with tempfile.TemporaryDirectory() as folder:
        few_path, all_path = Path(folder, "few.index"), Path(folder, "sounds.index")
        earful.build_index(demo.queries.parent / "examples", few_path)
        earful.build_index(demo.sounds, all_path)
        few = earful.FewShot.open(few_path, model="earful-small")
        for name, query in QUERIES.items():
            answer = few.classify(demo.queries / query)
            hits = few.search(demo.queries / query, k=len(few.index))
            found[name] = {
                "query": query,
                "answer": answer.text,
                "similarities": [[hit.exemplar.answer, round(hit.similarity, 3)] for hit in hits],
                "vote": {one.label: round(one.score, 3) for one in answer.vote},
                "model": {one.label: round(one.score, 3) for one in answer.model_scores},
                "both": {one.label: round(one.score, 3) for one in answer.scores},
            }
        settings = EvaluationSettings(shots=(8,), arms=("vote",), near_duplicate=1.0)
        voting = earful.FewShot.open(all_path, model=None)
        card = evaluate(voting, Task(name="demo"), settings=settings).scorecard
        (arm,) = [score.arm for score in card.arms]
        reliability, risk = card.reliability_of(arm), card.risk_coverage_of(arm)
        filled = reliability.count > 0
        tenths = [
            min(range(len(risk.coverage)), key=lambda i: abs(risk.coverage[i] - n / 20))
            for n in range(2, 21)
        ]
        found["calibration"] = {
            "n": int(reliability.count.sum()),
            "confidence": [round(float(x), 3) for x in reliability.confidence[filled]],
            "right": [round(float(x), 3) for x in reliability.accuracy[filled]],
            "count": [int(x) for x in reliability.count[filled]],
            "ece": round(reliability.ece, 3),
        }
        found["coverage"] = {
            "answered": [round(float(risk.coverage[i]), 3) for i in tenths],
            "right": [round(1 - float(risk.risk[i]), 3) for i in tenths],
        }
    return found


def pictures(found: Mapping[str, Any]) -> dict[str, str]:
    """Return every picture as SVG under its name."""
    return {
        "answers-similarity": _similarity(found["known"], found["unlike"]),
        "answers-scores": _scores(found["unlike"]),
        "answers-calibration": _calibration(found["calibration"]),
        "answers-coverage": _coverage(found["coverage"]),
    }


def _similarity(*queries: Mapping[str, Any]) -> str:
    parts: list[str] = []
    top = 34
    for colour, query in zip("ab", queries, strict=True):
        by_label: dict[str, list[float]] = {}
        for label, similarity in query["similarities"]:
            by_label.setdefault(label, []).append(similarity)
        parts.append(_text(16, top, f"{query['query']}: {query['answer']}", "start", bold=True))
        ranked = sorted(by_label.items(), key=lambda item: -sum(item[1]) / len(item[1]))
        for row, (label, values) in enumerate(ranked):
            y = top + 24 + 22 * row
            parts.append(_text(130, y + 4, label, "end"))
            parts.append(f'<path class="faint" d="M140 {y}H620"/>')
            parts += [
                f'<circle class="{colour}" cx="{_at(value)}" cy="{y}" r="5"/>' for value in values
            ]
            mean = _at(sum(values) / len(values))
            parts.append(f'<path class="mean" stroke-width="2" d="M{mean} {y - 9}v18"/>')
        top += 24 + 22 * len(ranked) + 22
    for value in (0.0, 0.25, 0.5, 0.75):
        parts.append(_text(_at(value), top - 12, f"{value:g}"))
    parts.append(
        _text(620, top + 6, "similarity of each exemplar; the stroke is their mean", "end")
    )
    return _picture("Similarities to the exemplars of each label", parts, top + 20)


def _at(similarity: float) -> float:
    return round(250 + 460 * similarity, 1)


def _scores(query: Mapping[str, Any]) -> str:
    parts, y = [], 50
    shown = (
        ("vote", "a", "neighbour vote"),
        ("model", "b", "language model"),
        ("both", "c", "both"),
    )
    for place, (_, colour, name) in enumerate(shown):
        parts.append(
            f'<rect class="{colour}" x="{140 + 150 * place}" y="14" width="12" height="12"/>'
        )
        parts.append(_text(158 + 150 * place, 25, name, "start"))
    for label in query["both"]:
        parts.append(_text(130, y + 16, label, "end"))
        for part, colour, _ in shown:
            score = query[part].get(label, 0.0)
            size = f'width="{max(1, 420 * score):.1f}" height="7"'
            parts.append(f'<rect class="{colour}" x="140" y="{y}" {size}/>')
            if score >= 0.01:
                parts.append(_text(148 + 420 * score, y + 8, f"{score:.0%}", "start", small=True))
            y += 9
        y += 9
    return _picture(f"What vote and model say of {query['query']}", parts, y + 6)


def _calibration(found: Mapping[str, Any]) -> str:
    parts = _axes("how sure it says it is", "how often it is right")
    parts.append(f'<path class="faint" stroke-dasharray="4" d="{_path([(0, 0), (1, 1)])}"/>')
    for sure, right, n in zip(found["confidence"], found["right"], found["count"], strict=True):
        x, y = _xy(sure, right)
        parts.append(f'<circle class="a" cx="{x}" cy="{y}" r="{3 + n**0.5:.1f}"/>')
    return _picture(f"Confidence and accuracy of {found['n']} answers", parts, 330)


def _coverage(found: Mapping[str, Any]) -> str:
    parts = _axes("share of the recordings that are answered, the surest first", "right")
    points = list(zip(found["answered"], found["right"], strict=True))
    parts.append(f'<path class="line" d="{_path(points)}"/>')
    return _picture("Accuracy of the surest answers", parts, 330)


def _axes(across: str, upwards: str) -> list[str]:
    parts = [_text(350, 322, across), _text(16, 18, upwards, "start")]
    for value in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = _xy(value, value)
        parts.append(f'<path class="faint" d="M80 {y}H620M{x} 30V280"/>')
        parts += [_text(x, 298, f"{value:.0%}"), _text(72, y + 4, f"{value:.0%}", "end")]
    return parts


def _xy(x: float, y: float) -> tuple[float, float]:
    return round(80 + 540 * x, 1), round(280 - 250 * y, 1)


def _path(points: Iterable[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x} {y}" for x, y in (_xy(*point) for point in points))


def _text(
    x: float,
    y: float,
    text: str,
    anchor: str = "middle",
    *,
    bold: bool = False,
    small: bool = False,
) -> str:
    weight = ' font-weight="600"' if bold else ""
    size = ' style="font-size: 11px"' if small else ""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="ink" {place}{weight}{size}>{escape(text)}</text>'


def _picture(title: str, parts: Sequence[str], height: int) -> str:
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">\n'
        f"<title>{escape(title)}</title>\n<style>\n{_STYLE}</style>\n{body}\n</svg>\n"
    )


def main() -> None:
    """Measure and draw, draw alone, or check."""
    if not {"--draw", "--check"} & set(sys.argv[1:]):
        NUMBERS.write_text(json.dumps(measure(), indent=1) + "\n", encoding="utf-8")
    drawn = pictures(json.loads(NUMBERS.read_text(encoding="utf-8")))
    write_or_check(
        {IMAGES / f"{name}.svg": picture for name, picture in drawn.items()},
        remedy="python -m docs.pictures --draw",
    )


if __name__ == "__main__":
    main()
