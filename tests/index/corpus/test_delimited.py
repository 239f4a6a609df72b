"""Tables as spreadsheets, people and annotation programs write them."""

from pathlib import Path

import pytest

from earful.errors import CorpusError
from earful.index.corpus import Exemplar, open_corpus

RAVEN = (
    "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\t"
    "Begin Path\tBegin File\tFile Offset (s)\tSpecies\n"
)


def read(path: Path, text: str, **options: object) -> list[Exemplar]:
    path.write_text(text, encoding="utf-8")
    return [row.exemplar for row in open_corpus(path, **options)]  # type: ignore[arg-type]


def stretches(found: list[Exemplar]) -> list[tuple[str, tuple[str, ...], float, float | None]]:
    return [(str(e.audio), e.labels, e.start_s, e.end_s) for e in found]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", 'file_name, label, start, end\nt.wav, "tone", 0.5, 1.5\n'),
        ("t.csv", "file_name;label;start;end\nt.wav;tone;0,5;1,5\n"),
        ("t.csv", "file_name;label;start;end\nt.wav;tone;0,500;1,500\n"),
        ("t.csv", "sep=;\nfile_name;label;start;end\nt.wav;tone;0,5;1,5\n"),
        ("t.csv", '\ufeff"sep=;"\r\nfile_name;label;start;end\r\nt.wav;tone;0,5;1,5\r\n'),
        ("t.csv", "file_name;label;start;end;;\nt.wav;tone;0,5;1,5;;\n;;;;;\n"),
        ("t.csv", "file_name\tlabel\tstart\tend\nt.wav\ttone\t0,5\t1.5\n"),
        ("t.tsv", "file_name,label,start,end\nt.wav,tone,0.5,1.5\n"),
        ("t.tsv", "File_Name\tLabel\tStart\tEnd\nt.wav\ttone\t,5\t1,5\n"),
        ("t.txt", "file_name\tlabel\tstart\tend\nt.wav\ttone\t0.5\t1.5\n"),
        ("t.txt", "0.500000\t1.500000\ttone\n"),
        ("t.txt", "0,500000\t1,500000\ttone\n\\\t100.0\t2000.0\n"),
        ("t.txt", f"{RAVEN}1\tSpectrogram 1\t1\t9.5\t10.5\t0\tC:\\x\\t.wav\tt.wav\t0.5\ttone\n"),
        ("t.Table.1.selections.txt", "Begin Time (s)\tEnd Time (s)\tTags\n0.5\t1.5\ttone\n"),
    ],
)
def test_every_way_to_write_a_row_gives_the_same_stretch(
    tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / "t.wav").write_bytes(b"")
    assert stretches(read(tmp_path / name, text)) == [("t.wav", ("tone",), 0.5, 1.5)]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("t.tsv", "file\tlabel\tstart\nt.wav\tx\t1,500\n", "may be 1.500 or 1500"),
        ("t.csv", 'file,label,start\nt.wav,x,"0,5"\n', "expected seconds as a number"),
        (
            "t.csv",
            "file,label,start\nt.wav,x,10:5\n",
            "leave the column out with --column start_s=",
        ),
        ("t.csv", "file,label\nt.wav;x\n", "by semicolons it has 2 fields"),
        ("t.txt", "0.5\t0.5\ttone\n", "is a point at 0.5 s"),
        ("t.txt", "0.5\t1.5\ttone\nmore\n", "expected start, end and label"),
        ("u.txt", "0.5\t1.5\ttone\n", "expected one recording of the same name, such as u.wav"),
    ],
)
def test_what_cannot_be_read_as_meant_is_one_error(
    tmp_path: Path, name: str, text: str, says: str
) -> None:
    (tmp_path / "t.wav").write_bytes(b"")
    with pytest.raises(CorpusError) as caught:
        read(tmp_path / name, text)
    assert str(caught.value).startswith(f"{tmp_path / name}:")
    assert says in str(caught.value)


def test_rows_of_several_views_are_one_selection(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("t.wav", "sub/u.wav"):
        (tmp_path / name).write_bytes(b"")
    rows = (
        "1\tWaveform 1\t1\t3.5\t4.25\t0\tC:\\rec\\t.wav\tt.wav\t0.5\twren\n"
        "1\tSpectrogram 1\t1\t3.5\t4.25\t200\tC:\\rec\\t.wav\tt.wav\t0.5\twren\n"
        '2\tSpectrogram 1\t1\t63.1\t64.2\t0\tD:\\x\\sub\\u.wav\tu.wav\t1.1\t"chip" call\n'
    )
    table = tmp_path / "all.txt"
    table.write_text(RAVEN + rows)
    corpus = open_corpus(table)
    found = [row.exemplar for row in corpus]
    assert stretches(found) == [
        ("t.wav", ("wren",), 0.5, 1.25),
        ("sub/u.wav", ('"chip" call',), 1.1, 2.2),
    ]
    assert corpus.n_views == 1
    # Two rows of one view are two rows, and of one stretch.
    table.write_text(RAVEN + rows.replace("Waveform 1", "Spectrogram 1"))
    with pytest.raises(CorpusError, match="the same stretch with the same labels"):
        list(open_corpus(table))


def test_a_field_can_be_left_out(tmp_path: Path) -> None:
    text = "slice_file_name,start,end,class\nt.wav,54.0,56.5,dog\n"
    columns = {"audio": "slice_file_name", "start_s": "", "end_s": ""}
    (found,) = read(tmp_path / "t.csv", text, columns=columns)
    assert (found.start_s, found.end_s, found.labels) == (0.0, None, ("dog",))
    assert dict(found.meta) == {"start": "54.0", "end": "56.5"}


def test_labels_may_have_another_separator(tmp_path: Path) -> None:
    (found,) = read(tmp_path / "t.csv", 'file,label\nt.wav,"Bark, Dog"\n', label_separator=",")
    assert found.labels == ("Bark", "Dog")
    with pytest.raises(CorpusError, match="expected at least one character"):
        open_corpus(tmp_path / "t.csv", label_separator="")


def test_missing_values_are_labels_unless_they_are_dropped(tmp_path: Path) -> None:
    text = "file,label,group\na.wav,NA,NA\nb.wav,dog|nan,g\nc.wav,None,\n"
    kept = read(tmp_path / "t.csv", text)
    assert [e.labels for e in kept] == [("NA",), ("dog", "nan"), ("None",)]
    dropped = read(tmp_path / "t.csv", text, drop_missing=True)
    assert [(e.labels, e.group) for e in dropped] == [((), ""), (("dog",), "g"), ((), "")]


def test_rows_of_one_stretch_are_refused_or_merged(tmp_path: Path) -> None:
    text = "file,label,rater\na.wav,tone,x\nb.wav,noise,x\na.wav,high,y\na.wav,tone,z\n"
    with pytest.raises(CorpusError) as caught:
        read(tmp_path / "t.csv", text)
    assert "t.csv:4: id 'a.wav' already occurs at " in str(caught.value)
    assert "one row with the labels 'tone|high', or pass --merge-rows" in str(caught.value)
    corpus = open_corpus(tmp_path / "t.csv", merge_rows=True)
    found = [row.exemplar for row in corpus]
    assert [(e.id, e.labels, e.answer) for e in found] == [
        ("a.wav", ("tone", "high"), "tone, high"),
        ("b.wav", ("noise",), "noise"),
    ]
    assert dict(found[0].meta) == {"rater": "x|y|z"}
    assert corpus.n_merged == 2
    split = "file,label,split\na.wav,x,train\na.wav,y,test\n"
    with pytest.raises(CorpusError, match="its split is 'test' instead of 'train'"):
        read(tmp_path / "s.csv", split, merge_rows=True)
    # What is asked or answered of one stretch stays apart.
    asked = "file,question,answer,id\na.wav,one?,yes,1\na.wav,two?,no,2\n"
    assert len(read(tmp_path / "q.csv", asked, merge_rows=True)) == 2


def test_groups_can_be_found_in_names(tmp_path: Path) -> None:
    text = "file,label,group\nx/r1_01.wav,a,\nx/r1_02.wav,a,own\nx/other.wav,b,\n"
    (tmp_path / "t.csv").write_text(text)
    corpus = open_corpus(tmp_path / "t.csv", group_pattern=r"([^/]+)_\d+\.wav$")
    assert [row.exemplar.group for row in corpus] == ["r1", "own", ""]
    assert corpus.n_without_group == 1
    with pytest.raises(CorpusError, match="expected a regular expression"):
        open_corpus(tmp_path / "t.csv", group_pattern="(")


def test_a_message_names_no_option_where_there_are_none(tmp_path: Path) -> None:
    for text in (
        "sound,label\na.wav,x\n",
        "file,label\na.wav,x\na.wav,y\n",
        "file,start\na,soon\n",
    ):
        (tmp_path / "t.csv").write_text(text)
        with pytest.raises(CorpusError, match="--"):
            list(open_corpus(tmp_path / "t.csv"))
        with pytest.raises(CorpusError) as caught:
            list(open_corpus(tmp_path / "t.csv", advise_options=False))
        assert "--" not in str(caught.value)
