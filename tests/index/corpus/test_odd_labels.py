"""Labels that look odd are told with a count and what helps, and never refused."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from earful.index.corpus import Survey, open_corpus, single_recording, survey_corpus


def survey(folder: Path, *rows: str, head: str = "file,label", **options: object) -> Survey:
    lines = [f"{number}.wav,{row}\n" for number, row in enumerate(rows)]
    for number in range(len(rows)):
        samples = np.random.default_rng(number).normal(0, 0.1, 4000)
        soundfile.write(folder / f"{number}.wav", samples, 8000)
    (folder / "t.csv").write_text(f"{head}\n{''.join(lines)}", encoding="utf-8")
    return survey_corpus(open_corpus(folder / "t.csv", **options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("labels", "counts"),
    [
        (("Frog", "frog", "frog"), "'Frog' 1, 'frog' 2"),
        (("bird", "bird?", "bird (?)"), "'bird' 1, 'bird (?)' 1, 'bird?' 1"),
        (("tree frog", "tree_frog", "Tree  frog"), "'tree frog' 1, 'tree_frog' 1"),
        (("01", "1", "1.0"), "'01' 1, '1' 1, '1.0' 1"),
        (("6205", '"6205,0"'), "'6205' 1, '6205,0' 1"),
    ],
)
def test_spellings_of_one_label_are_counted(
    tmp_path: Path, labels: tuple[str, ...], counts: str
) -> None:
    (note,) = survey(tmp_path, *labels).notes
    assert "1 label stands in several spellings" in note
    assert counts in note


@pytest.mark.parametrize(
    "labels", [("frog", "toad", "?"), ("1", "2", "10"), ("A", "B"), ("i.O.", "n.i.O.")]
)
def test_other_labels_are_not_taken_for_one(tmp_path: Path, labels: tuple[str, ...]) -> None:
    assert not any("spellings" in note for note in survey(tmp_path, *labels).notes)


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (("frog; bird", '"bird, crow"', "crow/rain", "frog & bird"), "4 of 4 labelled rows"),
        (("frog; bird", "a; b", '"bird, crow"'), "--label-separator ';', once all rows have"),
        (("a+b", "b+c", "a"), "--label-separator '+'"),
    ],
)
def test_labels_that_mostly_join_others_are_told(
    tmp_path: Path, labels: tuple[str, ...], says: str
) -> None:
    (note,) = survey(tmp_path, *labels).notes
    assert says in note


def test_numbers_join_nothing(tmp_path: Path) -> None:
    assert survey(tmp_path, '"6205,0"', "1E+05", '"7,5"').notes == ()


def test_numbers_as_labels_point_to_the_column_of_words(tmp_path: Path) -> None:
    head = "file,label,species"
    (note,) = survey(tmp_path, "1,frog", "2,bird", head=head).notes
    assert "2 rows are labelled with a number, from column label" in note
    assert note.endswith("--column labels=species")
    chosen = survey(tmp_path, "1,frog", "2,bird", head=head, columns={"labels": "label"})
    assert chosen.notes == ()
    assert survey(tmp_path, "a,frog", "2,bird", head=head).notes == ()
    assert survey(tmp_path, "1,3", "2,4", head=head).notes == ()


def test_missing_values_of_any_language_are_told_and_dropped(tmp_path: Path) -> None:
    words = ("#NV", "#WERT!", "#VALEUR!", "#DIV/0!", "#N/A", "#N/D", "n.a.", "k.A.", "leer", "--")
    found = survey(tmp_path, *words, "-", "frog")
    assert set(found.missing) == set(words)
    (note,) = [note for note in found.notes if "may mean nothing" in note]
    assert "('-' 1)" in note
    dropped = survey(tmp_path, *words, "-", "frog", drop_missing=True)
    assert dropped.labels == {"-": 1, "frog": 1}


def test_the_label_of_one_recording_is_no_cell_of_a_table(tmp_path: Path) -> None:
    survey(tmp_path, "x")
    corpus = single_recording(tmp_path / "0.wav", labels=("frog,bird",))
    (note,) = survey_corpus(corpus).notes
    assert "--label A --label B" in note
    assert "separator" not in note
    (note,) = survey_corpus(single_recording(tmp_path / "0.wav", labels=("NA",))).notes
    assert "--" not in note


def test_a_table_whose_labels_are_all_empty_names_another_column(tmp_path: Path) -> None:
    found = survey(tmp_path, ",wren", ",robin", head="file,MANUAL ID,TOP1MATCH")
    (note,) = found.notes
    assert note.startswith("2 rows have no label: ")
    assert note.endswith("--column labels=TOP1MATCH")
