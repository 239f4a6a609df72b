"""Template of a task file with comments, as ``earful tasks new`` writes it."""

from __future__ import annotations

import json

from earful.rag.strategies import STRATEGIES
from earful.rag.task.task import ANSWERERS, METRICS, ORDERS, Task

_QUESTIONS = {
    "classify": "What makes this sound?",
    "multilabel": "Which of these can be heard?",
    "ask": "What is happening in this recording?",
    "caption": "Describe the sound in a sentence.",
}


def render_template(task: Task) -> str:
    """Return the text of a task file for a task with a name, a kind and perhaps labels."""
    shots = task.shots
    lines = [
        "# A task file holds data only. `earful tasks check FILE` lists every mistake in it.",
        f"name = {_text(task.name)}",
        f"kind = {_text(task.kind)}  # classify, multilabel, ask or caption",
        f"question = {_text(_QUESTIONS[task.kind])}",
        '# description = "The task is event classification."  # opens the prompt',
        f"metric = {_text(task.metric)}  # {_choice(METRICS[task.kind])}",
    ]
    lines += [
        "",
        "# Examples of your own need no index: [[examples]] below, or one of these two.",
        '# examples = "examples.csv"  # columns audio and label; .tsv, .jsonl and .parquet, too',
        '# examples = "examples"      # a folder with a folder per label',
        "",
    ]
    if task.has_labels:
        lines += [*_labels(task), ""]
    lines += [
        "[shots]",
        f"k = {shots.k}",
        f"strategy = {_text(shots.strategy)}  # {_choice(tuple(STRATEGIES))}",
        f"order = {_text(shots.order)}  # {_choice(ORDERS)}",
        "# max_per_label = 2",
        "",
    ]
    if task.has_labels:
        lines += [
            "[answer]",
            "abstain_below = 0.0  # confidence from 0 to 1",
            f"arm = {_text(task.arm)}  # {_choice(ANSWERERS)}; see `earful evaluate`",
            "",
        ]
    lines += [
        "# [[examples]]",
        '# audio = "recording.wav"  # relative to this file',
        f"# {_solution(task)}",
        "# start_s = 0.0",
        "# end_s = 2.5",
        '# group = "recording-1"  # never shown for a recording of the same group',
    ]
    return "\n".join(lines) + "\n"


def _labels(task: Task) -> list[str]:
    if not task.labels:
        return [
            "# Without labels: those of the examples, or else all of the index.",
            '# labels = ["first", "second"]',
        ]
    first, *others = task.labels
    return [
        f"[labels.{_text(first)}]",
        f"# wording = {_text(first)}  # what a prompt says",
        "# aliases = []  # what other corpora call it",
        *(f"[labels.{_text(name)}]" for name in others),
    ]


def _solution(task: Task) -> str:
    if not task.has_labels:
        return 'answer = "a dog barks twice"'
    names = list(task.labels) or ["first", "second"]
    if task.kind == "multilabel":
        return f"labels = [{', '.join(map(_text, names[:2]))}]"
    return f"label = {_text(names[0])}"


def _choice(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _text(value: str) -> str:
    # Names and labels have no control characters, so their JSON strings are TOML strings.
    return json.dumps(value, ensure_ascii=False)
