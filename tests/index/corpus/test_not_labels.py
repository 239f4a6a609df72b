"""``not_labels``: what a listener found not to be there, in exemplars and in tables of corpora."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.errors import CorpusError
from earful.index.corpus import Exemplar, open_corpus, single_recording, stretch_fields

AUDIO = PurePosixPath("a.wav")
NAMES = st.lists(st.sampled_from(["wren", "owl", "fox", "\u00e4"]), unique=True, max_size=3)


def rows_of(path: Path, **options: object) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    found = [row.exemplar for row in open_corpus(path, **options)]  # type: ignore[arg-type]
    return {one.id: (one.labels, one.not_labels) for one in found}


def test_an_exemplar_says_what_is_not_there() -> None:
    both = Exemplar(id="a", audio=AUDIO, labels=("fox",), not_labels=("owl", "wren"))
    alone = Exemplar(id="b", audio=AUDIO, not_labels=("owl",))
    captioned = Exemplar(id="c", audio=AUDIO, answer="a fox barks", not_labels=("owl",))
    assert [x.is_negative for x in (both, alone, captioned)] == [False, True, False]
    assert (both.answer, alone.answer) == ("fox", "")
    assert stretch_fields(both)["not_labels"] == ["owl", "wren"]
    assert "not_labels" not in stretch_fields(Exemplar(id="d", audio=AUDIO, labels=("fox",)))


@pytest.mark.parametrize(
    ("labels", "denied", "says"),
    [
        (("fox",), ("owl", "fox"), "'fox' is in labels and in not_labels"),
        ((), ("owl", "owl"), "not_labels ['owl', 'owl'] name one label twice"),
        ((), (" ",), "hold an empty label"),
    ],
)
def test_an_exemplar_that_contradicts_itself_is_refused(
    labels: tuple[str, ...], denied: tuple[str, ...], says: str
) -> None:
    with pytest.raises(CorpusError) as caught:
        Exemplar(id="a", audio=AUDIO, labels=labels, not_labels=denied)
    assert says in str(caught.value)


@given(NAMES, NAMES, NAMES)
def test_other_labels_never_contradict_what_is_denied(
    labels: list[str], denied: list[str], others: list[str]
) -> None:
    denied = [one for one in denied if one not in labels]
    found = Exemplar(id="a", audio=AUDIO, labels=tuple(labels), not_labels=tuple(denied))
    other = found.relabelled(tuple(others))
    assert other.labels == tuple(others)
    assert set(other.not_labels) == set(denied) - set(others)


def test_a_text_in_their_place_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="not_labels='owl': expected names"):
        Exemplar(id="a", audio=AUDIO, not_labels="owl")  # type: ignore[arg-type]


def test_a_column_of_every_kind_of_table(tmp_path: Path) -> None:
    wanted = {"a.wav": (("fox",), ("owl", "wren")), "b.wav": ((), ("owl",)), "c.wav": ((), ())}
    csv = tmp_path / "a.csv"
    csv.write_text("audio,labels,not_labels\na.wav,fox,owl|wren\nb.wav,,owl\nc.wav,,\n")
    lines = [
        {"audio": name, "labels": list(own), "not_labels": list(denied)}
        for name, (own, denied) in wanted.items()
    ]
    jsonl = tmp_path / "a.jsonl"
    jsonl.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    parquet = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pa.Table.from_pylist(lines), parquet)
    assert rows_of(csv) == rows_of(jsonl) == rows_of(parquet) == wanted
    (tmp_path / "b.csv").write_text("audio,label,absent\na.wav,fox,owl\n")
    found = rows_of(tmp_path / "b.csv", columns={"not_labels": "absent"})
    assert found == {"a.wav": (("fox",), ("owl",))}
    csv.write_text("audio,labels,not_labels\na.wav,fox,fox\n")
    with pytest.raises(CorpusError, match=r"a\.csv:2: .*'fox' is in labels and in not_labels"):
        rows_of(csv)
    # Without any label it is a corpus all the same.
    csv.write_text("audio,not_labels\na.wav,owl\n")
    assert rows_of(csv) == {"a.wav": ((), ("owl",))}


def test_one_stretch_that_has_one_sound_and_not_another(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    rows = "a.wav,0,2,fox,present\na.wav,0,2,owl,absent\na.wav,0,2,wren,absent\n"
    table.write_text(f"audio,start_s,end_s,label,presence\n{rows}")
    assert rows_of(table) == {
        "a.wav#0-2": (("fox",), ()),
        "a.wav#0-2#not-1": ((), ("owl",)),
        "a.wav#0-2#not-2": ((), ("wren",)),
    }
    merged = {"a.wav#0-2": (("fox",), ("owl", "wren"))}
    assert rows_of(table, merge_rows=True) == merged
    # A table with a column a class says both in one row.
    table.write_text("Audiofilename,Starttime,Endtime,fox,owl,wren\na.wav,0,2,POS,NEG,NEG\n")
    assert rows_of(table) == merged


def test_rows_that_contradict_each_other_are_told(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text("audio,label,presence\na.wav,fox,yes\na.wav,fox,no\nb.wav,owl,no\n")
    corpus = open_corpus(table, merge_rows=True)
    found = [(row.exemplar.labels, row.exemplar.not_labels) for row in corpus]
    assert found == [(("fox",), ()), ((), ("owl",))]
    assert "of 1 stretch some rows say that a label is there" in "\n".join(corpus.reading_notes())


def test_what_is_said_of_an_absent_sound_is_kept_as_text(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text("audio,label,caption,presence\na.wav,wren,it trills,no\n")
    (row,) = open_corpus(table)
    assert row.exemplar.is_negative
    assert row.exemplar.meta["caption"] == "it trills"


def test_one_recording_may_be_denied_a_label(tmp_path: Path) -> None:
    (row,) = single_recording(tmp_path / "a.wav", labels=(), not_labels=("owl",))
    assert (row.exemplar.id, row.exemplar.not_labels) == ("a.wav", ("owl",))
