"""What counts of several words about one item."""

from pathlib import Path

import pytest

from earful.index.labels import Label, LabelJournal


def say(journal: LabelJournal, reviewer: str, said: str, source: str = "review") -> None:
    name, _, polarity = said.partition(" ")
    journal.append(
        Label(
            item="a",
            recording="night.wav",
            recording_sha256="",
            start_s=0.0,
            end_s=1.0,
            label=name,
            polarity=polarity,  # type: ignore[arg-type]
            reviewer=reviewer,
            source=source,  # type: ignore[arg-type]
        )
    )


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("ana wren positive", "wren positive"),
        ("ana wren positive; ana wren negative", "wren negative"),
        ("ana wren positive; ben wren positive", "wren positive"),
        ("ana wren positive; ben wren negative", "disputed"),
        ("ana wren positive; ben robin positive", "disputed"),
        ("ana wren negative; ben robin negative", "robin negative"),
        ("ana robin positive; ben wren negative", "robin positive"),
        ("ana wren negative; ben robin positive", "robin positive"),
        ("ana wren negative; ben robin negative; eva wren negative", "wren negative"),
        ("ana wren positive; ben robin positive; eva owl negative", "disputed"),
        ("ana wren positive; ben robin positive; eva owl positive", "disputed"),
        ("ana wren positive; ben wren positive; eva wren negative", "wren positive"),
        ("ana wren positive; ben wren positive; eva robin positive", "wren positive"),
        (
            "ana wren positive; ben robin positive; eva wren negative; ida robin negative",
            "disputed",
        ),
        ("ana wren positive; ben wren unknown", "wren positive"),
        ("ana wren unknown; ben wren skip", "wren unknown"),
        ("ana wren skip", "wren skip"),
        ("ana wren positive; ana wren skip", "wren skip"),
        ("ana wren positive; ben wren negative; eva wren negative", "wren negative"),
        ("ana wren positive; ben wren negative; eva wren unknown", "disputed"),
        # Two of three say that it is no wren, and nobody that it is no robin, but for the outvoted.
        ("ana wren positive; ben wren negative; eva robin positive", "robin positive"),
        (
            "ana wren positive; ben wren negative; eva wren negative; ida wren positive",
            "disputed",
        ),
        ("ana wren positive; ben wren negative; eva wren positive!", "wren positive"),
        ("ana wren positive; ben wren negative; ana robin positive!", "robin positive"),
        ("ana wren positive!; ben wren negative; eva wren negative", "wren positive"),
        ("ana wren positive!; ben wren unknown!", "wren unknown"),
        ("ana wren positive!; ana wren negative; ben wren positive", "disputed"),
    ],
)
def test_what_counts(tmp_path: Path, words: str, status: str) -> None:
    journal = LabelJournal(tmp_path / "labels.jsonl")
    for word in words.split("; "):
        reviewer, _, said = word.partition(" ")
        say(journal, reviewer, said.rstrip("!"), "resolve" if said.endswith("!") else "review")
    item = journal.state().items["a"]
    if status == "disputed":
        assert (item.status, item.label) == ("disputed", None)
        assert journal.state().counted == ()
    else:
        assert item.label is not None
        assert f"{item.label.label} {item.status}" == status
        assert item.status == item.label.polarity
