"""Tables of how well the shipped encoders and the vote know labels that nothing was fitted on."""

from __future__ import annotations

from typing import Any

from benchmarks.small_table import interval_cell, markdown_table
from benchmarks.turns import kept

_ENCODERS = {
    "logmel": "log-mel, class means",
    "earful-tiny": "`earful-tiny`, class means",
    "yamnet": "`yamnet`, class means",
    "earful-small": "`earful-small`, class means",
}
_ARMS = {
    "vote": "`classify --model none`",
    "vote, exemplars alone": "the same, exemplars alone",
    "vote, made-up names": "the same, made-up names",
    "names alone": "names alone, no exemplar",
    "vote, shuffled labels": "control: shuffled labels",
    "vote, swapped audio": "control: swapped audio",
    "made-up names alone": "control: made-up names alone",
}


def accuracy() -> str:
    """Return the table of few-shot accuracy, with what was asked below it."""
    told = kept("held_out")
    settings = list(told["vote"])
    votes = [told["vote"][setting] for setting in settings]
    rows = [["chance", *(f"{vote['chance']:.1%}" for vote in votes)]]
    for name, title in _ENCODERS.items():
        rows.append([title, *(interval_cell(told["class means"][s][name]) for s in settings)])
    gains = [interval_cell(told["gain over earful-tiny"][setting]) for setting in settings]
    rows.append(["`earful-small` less `earful-tiny`", *gains])
    for arm, title in _ARMS.items():
        rows.append([title, *(interval_cell(vote["arms"].get(arm)) for vote in votes)])
    names = [interval_cell(vote["gain of names"]) for vote in votes]
    rows.append(["`classify --model none` less exemplars alone", *names])
    pool = told["pool"]
    asked = ", ".join(f"{vote['n']:,}" for vote in votes)
    return (
        f"{markdown_table(['arm', *settings], rows)}\n\n{pool['clips']} clips of "
        f"{pool['labels']} held-out labels from {pool['sources']} sources. Questions a setting: "
        f"{asked}."
    )


def summary() -> str:
    """Return the rows of it that a first reader needs."""
    told = kept("held_out")
    settings = list(told["vote"])
    votes = [told["vote"][setting] for setting in settings]
    means = told["class means"]
    rows = [["chance", *(f"{vote['chance']:.1%}" for vote in votes)]]
    rows += [
        [_ENCODERS[name], *(interval_cell(means[setting][name]) for setting in settings)]
        for name in ("logmel", "earful-tiny", "earful-small")
    ]
    rows += [
        [_ARMS[arm], *(interval_cell(vote["arms"][arm]) for vote in votes)]
        for arm in ("vote", "names alone")
    ]
    return markdown_table(["arm", *settings], rows)


def headline() -> str:
    """Return the few numbers that a first reader needs, in plain words."""
    told = kept("held_out")
    questions = {
        "5-way 1-shot": "5 kinds of sound, 1 example of each",
        "5-way 4-shot": "5 kinds of sound, 4 examples of each",
        "20-way 4-shot": "20 kinds of sound, 4 examples of each",
    }
    rows = []
    for setting, title in questions.items():
        vote, means = told["vote"][setting], told["class means"][setting]
        shares = (vote["arms"]["vote"][0], means["logmel"][0], vote["chance"])
        rows.append([title, *(f"{share:.0%}" for share in shares)])
    for setting, title in (("5-way 1-shot", "5 kinds"), ("20-way 4-shot", "20 kinds")):
        vote = told["vote"][setting]
        shown = f"{vote['arms']['names alone'][0]:.0%}"
        rows.append([f"{title}, by their names alone", shown, "", f"{vote['chance']:.0%}"])
    head = ["question", "earful", "plain log-mel features", "guessing"]
    return markdown_table(head, rows)


def words() -> str:
    """Return the table of naming and finding recordings by words alone."""
    told = kept("held_out")
    ours: dict[str, Any] = told["words"]
    tiny, chance = told["words of earful-tiny"], ours["chance"]
    titles = {
        "top-1": "named right, first answer",
        "top-5": "among the first five",
        "recall@10": "found by its sentence, among the first ten",
    }
    rows = [
        [title, f"{chance[key]:.1%}", interval_cell(tiny[key]), interval_cell(ours[key])]
        for key, title in titles.items()
    ]
    head = ["", "chance", "`earful-tiny`", "`earful-small`"]
    return f"{markdown_table(head, rows)}\n\n{ours['clips']} clips of {ours['labels']} labels."


def abstention() -> str:
    """Return the table of how often an answer abstains, and when."""
    told = kept("held_out")["absent"]
    titles = {
        "absent declined": "label absent: abstains",
        "right declined": "label there, best guess right: abstains",
        "known declined": "label there: abstains",
        "absent declined at 5 % of right": "absent, with 5 % of right guesses declined",
        "absent declined at 5 % of known": "absent, with 5 % of all known ones declined",
    }
    rows = [
        [title, *(f"{part[key]:.1%}" for part in told.values())] for key, title in titles.items()
    ]
    asked = ", ".join(f"{part['n']:,}" for part in told.values())
    return (
        f"{markdown_table(['', *told], rows)}\n\nQuestions a setting: {asked}, each asked with "
        "its label and without."
    )
