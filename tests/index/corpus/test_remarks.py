"""What a dry run and a build tell of a corpus before anybody relies on it."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from earful.errors import CorpusError
from earful.index.builder import build_index
from earful.index.corpus import Survey, open_corpus, survey_corpus

RATE = 8000


def sound(path: Path, seconds: float = 1.0, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    soundfile.write(path, 0.1 * random.normal(size=round(seconds * RATE)), RATE)
    return path


def survey(table: Path, text: str, **options: object) -> Survey:
    table.write_text(text)
    return survey_corpus(open_corpus(table, **options))  # type: ignore[arg-type]


def about(found: Survey, words: str) -> str:
    (note,) = [note for note in found.notes if words in note]
    return note


def test_a_survey_says_which_column_became_which_field(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav", 3.0)
    found = survey(tmp_path / "t.csv", "file,fsID,start,end,class,classID\na.wav,7,0.5,1.5,dog,3\n")
    assert found.columns == {
        "audio": "file",
        "labels": "class",
        "start_s": "start",
        "end_s": "end",
    }
    assert found.other_columns == ("fsID", "classID")
    assert found.to_dict()["columns"]["start_s"] == "start"


def test_a_table_without_labels_names_the_column_to_take(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav")
    table = tmp_path / "t.csv"
    text = "path,klass\na.wav,dog\n"
    with pytest.raises(CorpusError, match=r"found path, klass, .*--column labels=klass"):
        survey(table, text)
    with pytest.raises(CorpusError, match="--column labels=klass"):
        build_index(table, tmp_path / "i", embedder="logmel")
    assert not (tmp_path / "i").exists()
    assert survey(table, text, columns={"labels": "klass"}).labels == {"dog": 1}
    # On purpose there may be none; and captions are answers.
    assert survey(table, text, columns={"labels": ""}).labels == {}
    assert survey(table, "path,caption\na.wav,a dog barks\n").n == 1


def test_rows_without_a_label_are_counted_and_named(tmp_path: Path) -> None:
    for name in "abc":
        sound(tmp_path / f"{name}.wav")
    table = tmp_path / "t.csv"
    found = survey(table, "file,label\na.wav,dog\nb.wav,\nc.wav,  \n")
    assert found.unlabelled == 2
    assert about(found, "no label") == f"2 rows have no label: {table}:3, {table}:4"
    report = build_index(table, tmp_path / "i", embedder="logmel")
    assert any("2 rows have no label" in note for note in report.notes)


def test_labels_that_look_missing_are_counted(tmp_path: Path) -> None:
    for name in "abcd":
        sound(tmp_path / f"{name}.wav")
    text = "file,label\na.wav,NA\nb.wav,NaN\nc.wav,None\nd.wav,NA\n"
    found = survey(tmp_path / "t.csv", text)
    assert found.missing == {"NA": 2, "NaN": 1, "None": 1}
    assert "('NA' 2, 'NaN' 1, 'None' 1); --drop-missing" in about(found, "missing values")
    assert survey(tmp_path / "t.csv", text, drop_missing=True).labels == {}


@pytest.mark.parametrize("separator", [",", ";", "/"])
def test_most_labels_with_one_separator_are_noted(tmp_path: Path, separator: str) -> None:
    for seed, name in enumerate("abc"):
        sound(tmp_path / f"{name}.wav", seed=seed)
    text = f'file,label\na.wav,"Bark{separator}Dog"\nb.wav,"Cat{separator}Purr"\nc.wav,Dog\n'
    found = survey(tmp_path / "t.csv", text)
    assert f"--label-separator '{separator}'" in about(found, "2 of 3 labelled rows")
    split = survey(tmp_path / "t.csv", text, label_separator=separator)
    assert split.labels == {"Dog": 2, "Bark": 1, "Cat": 1, "Purr": 1}
    assert split.notes == ()


@pytest.mark.parametrize(
    ("times", "says"),
    [
        (("500,1500", "100,900", "0.1,0.5"), "they fit as milliseconds"),
        (("800,8000", "4000,8000", "0.1,0.5"), "they fit as samples"),
        (("54,55", "60.5,61.5", "0.1,0.5"), "each is as long as its file"),
        (("54,58", "60,63", "0.1,0.5"), "positions in the recordings that the files were cut"),
    ],
)
def test_times_beyond_the_files_have_another_meaning(
    tmp_path: Path, times: tuple[str, ...], says: str
) -> None:
    rows = ""
    for number, pair in enumerate(times):
        sound(tmp_path / f"{number}.wav", seed=number, seconds=1.0 if "1500" not in pair else 2.0)
        rows += f"{number}.wav,dog,{pair}\n"
    table = tmp_path / "t.csv"
    found = survey(table, f"file,label,start,end\n{rows}")
    note = about(found, "2 of 3 stretches end after their files")
    assert says in note
    assert note.endswith("--column start_s= --column end_s=")
    report = build_index(table, tmp_path / "i", embedder="logmel")
    assert note in report.notes
    assert len(report.rejected) == 2


def test_side_files_are_counted_and_no_rejected_audio(tmp_path: Path) -> None:
    sound(tmp_path / "c/dog/a.wav")
    for name in ("a.eaf", "a.svl", "a.jams", "a.xml", "a.wav.reapeaks", "a.selections.txt"):
        (tmp_path / "c/dog" / name).write_text("<xml/>")
    (tmp_path / "c/dog/a.unheard-of").write_bytes(b"RPKN\0\1\2")
    (tmp_path / "c/dog/words.unknown").write_text("some words")
    # By content it is audio, whatever its name.
    sound(tmp_path / "b.wav", seed=1).rename(tmp_path / "c/dog/b.part1")
    found = survey_corpus(open_corpus(tmp_path / "c"))
    assert (found.n, found.rejected) == (2, ())
    assert sum(found.passed_over.values()) == 8
    assert "passed over, as no audio: 8 files (" in about(found, "passed over")
    report = build_index(tmp_path / "c", tmp_path / "i", embedder="logmel")
    assert (report.accepted, report.rejected) == (2, ())
    assert any("passed over" in note for note in report.notes)
    # A broken recording is one by its name.
    (tmp_path / "c/dog/cut.wav").write_text("nothing")
    assert len(survey_corpus(open_corpus(tmp_path / "c")).rejected) == 1


def test_numbered_parts_of_recordings_ask_for_a_group(tmp_path: Path) -> None:
    for number in range(1, 4):
        for name in ("dog/rec1", "dog/rec2", "cat/night-3", "cat/night-4"):
            sound(tmp_path / f"c/{name}_{number}.wav", 0.1, seed=number)
    found = survey_corpus(open_corpus(tmp_path / "c"))
    pattern = about(found, "share a stem").split("--group-pattern ")[1].strip("'")
    grouped = open_corpus(tmp_path / "c", group_pattern=pattern)
    assert {row.exemplar.group for row in grouped} == {"rec1", "rec2", "night-3", "night-4"}
    assert not any("stem" in note for note in survey_corpus(grouped).notes)
    # Numbers of a label's recordings are no parts.
    for number in range(1, 4):
        sound(tmp_path / f"d/dog/dog_{number}.wav", 0.1, seed=number)
        sound(tmp_path / f"d/cat/{number}.wav", 0.1, seed=number)
    assert not any("stem" in n for n in survey_corpus(open_corpus(tmp_path / "d")).notes)


def test_equal_files_under_two_labels_are_counted_before_a_build(tmp_path: Path) -> None:
    same = sound(tmp_path / "c/cat/same.wav")
    (tmp_path / "c/dog").mkdir()
    (tmp_path / "c/dog/same.wav").write_bytes(same.read_bytes())
    sound(tmp_path / "c/dog/other.wav", seed=2)
    found = survey_corpus(open_corpus(tmp_path / "c"))
    assert "1 recording stands in several rows whose labels differ" in about(found, "differ")


def test_a_backslash_in_a_path_is_read_as_a_slash_or_named(tmp_path: Path) -> None:
    sound(tmp_path / "sub/t.wav")
    found = survey(tmp_path / "t.csv", "file,label\nsub\\t.wav,dog\nsub\\u.wav,dog\n")
    assert "as sub/t.wav" in about(found, "1 recording is named by paths with backslashes")
    (rejected,) = found.rejected
    assert f"looked in {tmp_path}" in rejected.error
    assert "a backslash separates no folders here, write /" in rejected.error


@pytest.mark.parametrize(
    ("header", "row", "says"),
    [
        ("file,uploader,kind", "{n}.wav,user {n},{word}", "=kind"),
        ("file,fold,what", "{n}.wav,{fold},{word}", "labels=what"),
        ("file,target,esc10", "{n}.wav,{fold},{flag}", "labels=target"),
        ("file,what,told", "{n}.wav,{word},A {word} is heard in a room", "labels=what"),
        (
            "file,told",
            "{n}.wav,A {word} is heard in room {n}",
            "for sentences, --column answer=told",
        ),
        ("file,caption_1", "{n}.wav,a {word}", "--column answer=caption_1"),
        ("file,dog,cat", "{n}.wav,{flag},1", "dog, cat hold 0 and 1"),
        ("file,x", "{n}.wav,{n}", "labels=COLUMN"),
    ],
)
def test_the_column_that_looks_most_like_labels_is_proposed(
    tmp_path: Path, header: str, row: str, says: str
) -> None:
    rows = [row.format(n=n, fold=n % 3, word=("dog", "cat")[n % 2], flag=n % 2) for n in range(12)]
    for n in range(12):
        sound(tmp_path / f"{n}.wav", 0.1)
    with pytest.raises(CorpusError, match="no column gives labels") as caught:
        survey(tmp_path / "t.csv", "\n".join([header, *rows]))
    assert says in str(caught.value)
    # A column that holds two fields is named once.
    found = str(caught.value).split("found ")[1].split(", expected")[0].split(", ")
    assert len(found) == len(set(found))


@pytest.mark.parametrize(("n", "first"), [(3, ""), (30, "first ")])
def test_a_wrong_root_is_told_once_with_the_right_one(tmp_path: Path, n: int, first: str) -> None:
    table = tmp_path / "esc" / "meta" / "t.csv"
    table.parent.mkdir(parents=True)
    text = "file,label\n" + "".join(f"{i}.wav,dog\n" for i in range(n))
    with pytest.raises(CorpusError, match=f"none of its {first}{min(n, 20)} rec.*--root FOLDER"):
        survey(table, text)
    sound(tmp_path / "esc" / "audio" / "0.wav")
    with pytest.raises(CorpusError, match=r"'0.wav', '1.wav', '2.wav'\); .*--root .*esc/audio`$"):
        build_index(open_corpus(table), tmp_path / "index", embedder="logmel")
    assert not (tmp_path / "index").exists()
    assert len(survey(table, text, root=tmp_path / "esc" / "audio").rejected) == n - 1


def test_a_folder_of_one_label_points_to_the_table_beside_it(tmp_path: Path) -> None:
    for n in range(2):
        sound(tmp_path / "audio" / f"{n}.wav")
    assert not survey_corpus(open_corpus(tmp_path)).notes
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / "esc50.csv").write_text("filename,category\n0.wav,dog\n1.wav,cat\n")
    note = about(survey_corpus(open_corpus(tmp_path)), "all recordings are labelled 'audio'")
    command = note.rsplit("index build ", 1)[1].removesuffix("`")
    table, root = command.split(" --root ")
    assert survey_corpus(open_corpus(table, root=root)).labels == {"cat": 1, "dog": 1}
    with pytest.raises(
        CorpusError, match=r"no folder named by a label; .*esc50.csv --root .*audio"
    ):
        survey_corpus(open_corpus(tmp_path / "audio"))
