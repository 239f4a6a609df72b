import json
import unicodedata
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.errors import CorpusError
from earful.index.corpus import Corpus, Exemplar, open_corpus, single_recording

NAMES = st.text(
    alphabet=st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=8
).map(lambda text: unicodedata.normalize("NFC", text))


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


def exemplars(corpus: Corpus) -> list[Exemplar]:
    return [row.exemplar for row in corpus]


def test_a_folder_per_label_is_read_in_a_fixed_order(tmp_path: Path) -> None:
    for name in ("dog/2.wav", "dog/rex/1.wav", "cat/1.flac", "dog/notes.txt", "dog/.hidden.wav"):
        touch(tmp_path / name)
    corpus = open_corpus(tmp_path)
    assert corpus.kind == "folder"
    assert [(e.id, e.labels) for e in exemplars(corpus)] == [
        ("cat/1.flac", ("cat",)),
        ("dog/2.wav", ("dog",)),
        ("dog/rex/1.wav", ("dog",)),
    ]
    assert exemplars(corpus) == exemplars(corpus)
    assert corpus.path(exemplars(corpus)[0]) == tmp_path / "cat" / "1.flac"


def test_a_file_of_an_unknown_kind_is_kept_for_the_decoder_to_judge(tmp_path: Path) -> None:
    touch(tmp_path / "dog" / "1.xyz")
    assert [e.id for e in exemplars(open_corpus(tmp_path))] == ["dog/1.xyz"]


def test_an_audio_file_beside_the_label_folders_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path / "dog" / "1.wav")
    touch(tmp_path / "stray.wav")
    with pytest.raises(CorpusError, match=r"stray\.wav: lies beside the label folders"):
        exemplars(open_corpus(tmp_path))


def test_an_empty_folder_is_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="holds no audio files"):
        exemplars(open_corpus(tmp_path))


@pytest.mark.parametrize(("name", "kind"), [("index.json", "an index"), ("scan.json", "a scan")])
def test_an_index_or_a_scan_is_no_corpus(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / name).write_text("{}")
    with pytest.raises(CorpusError, match=f"is {kind}, expected a corpus"):
        exemplars(open_corpus(tmp_path))


def test_metadata_beside_the_files_wins_over_folder_names(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "1.wav")
    (tmp_path / "metadata.csv").write_text(
        "file_name,label,group,start_s,end_s,mood\na/1.wav,siren|street,rec1,0.5,2,calm\n"
    )
    (exemplar,) = exemplars(open_corpus(tmp_path))
    assert exemplar.labels == ("siren", "street")
    assert exemplar.answer == "siren, street"
    assert exemplar.id == "a/1.wav#0.5-2"
    assert (exemplar.start_s, exemplar.end_s, exemplar.group) == (0.5, 2.0, "rec1")
    assert dict(exemplar.meta) == {"mood": "calm"}


def test_split_folders_of_an_audiofolder_give_the_split(tmp_path: Path) -> None:
    for split in ("train", "test"):
        touch(tmp_path / split / "1.wav")
        (tmp_path / split / "metadata.jsonl").write_text('{"file_name": "1.wav", "label": "x"}\n')
    found = exemplars(open_corpus(tmp_path))
    assert [(str(e.audio), e.split) for e in found] == [
        ("train/1.wav", "train"),
        ("test/1.wav", "test"),
    ]


def test_two_metadata_files_are_one_too_many(tmp_path: Path) -> None:
    for name in ("metadata.csv", "metadata.jsonl"):
        (tmp_path / name).write_text("")
    with pytest.raises(CorpusError, match=r"metadata\.csv and metadata\.jsonl; expected one"):
        open_corpus(tmp_path)


def test_columns_and_root_can_be_named(tmp_path: Path) -> None:
    touch(tmp_path / "audio" / "x.wav")
    table = tmp_path / "tables" / "t.tsv"
    table.parent.mkdir()
    table.write_text("clip\tkind\nx.wav\tdog\n")
    corpus = open_corpus(
        table, columns={"audio": "clip", "labels": "kind"}, root=tmp_path / "audio"
    )
    (exemplar,) = exemplars(corpus)
    assert (exemplar.audio, exemplar.labels) == (PurePosixPath("x.wav"), ("dog",))
    assert corpus.path(exemplar) == (tmp_path / "audio" / "x.wav").resolve()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("file,label\n,x\n", "names no audio file"),
        ("file,label\nhttp://x/a.wav,x\n", "is a URL"),
        ("file,label\n../a.wav,x\n", "lies outside"),
        ("file,label\n/etc/passwd,x\n", "lies outside"),
        ("file,start_s\na.wav,soon\n", "start_s is 'soon'; expected seconds"),
        ("file,start_s,end_s\na.wav,2,1\n", "end_s=1.0 is not after start_s=2.0"),
        ("file,start_s\na.wav,-1\n", "start_s=-1.0"),
        ("file,start_s\na.wav,nan\n", "start_s is 'nan'; expected seconds"),
        ("file,label\na.wav,x|x\n", "name one label twice"),
        ("file,label\na.wav,x||y\n", "empty label"),
    ],
)
def test_a_bad_row_is_reported_with_its_line(tmp_path: Path, content: str, says: str) -> None:
    table = tmp_path / "root" / "t.csv"
    table.parent.mkdir()
    table.write_text(content)
    with pytest.raises(CorpusError) as caught:
        exemplars(open_corpus(table))
    assert str(caught.value).startswith(f"{table}:2:")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("content", "at", "says"),
    [
        ("sound,label\na.wav,x\n", ":1: ", "names the audio; found sound, label"),
        ("sep=;\n\nsound;label\na.wav;x\n", ":3: ", "names the audio; found sound, label"),
        ("Survey 2024,,\nfile,label,x\na.wav,x,\n", ":1: ", "'Survey 2024' is a title"),
        ("# by Anna\n# 2024\nfile,label\na.wav,x\n", ":1: ", "in line 3; delete lines 1 to 2"),
        ("\nDevice: X;;\n\nfile;label;y\na.wav;x;\n", ":2: ", "in line 4; delete lines 2 to 3"),
    ],
)
def test_a_fault_of_the_header_is_reported_at_its_line(
    tmp_path: Path, content: str, at: str, says: str
) -> None:
    table = tmp_path / "t.csv"
    table.write_text(content)
    with pytest.raises(CorpusError) as caught:
        exemplars(open_corpus(table))
    assert str(caught.value).startswith(f"{table}{at}")
    assert says in str(caught.value)


def test_a_folder_of_recordings_alone_names_what_labels_them(tmp_path: Path) -> None:
    for name in ("lone 1.wav", "lone 2.wav"):
        touch(tmp_path / name)
    with pytest.raises(CorpusError, match="holds 2 recordings and no folder named by a label; mov"):
        exemplars(open_corpus(tmp_path))
    (tmp_path / "all calls.txt").write_text("Begin File\tSpecies\nlone 1.wav\ttone\n")
    (tmp_path / "notes.txt").write_text("a sunny day\n")
    with pytest.raises(CorpusError) as caught:
        exemplars(open_corpus(tmp_path))
    assert "earful index build '" in str(caught.value)
    assert str(caught.value).endswith(f"{tmp_path / 'all calls.txt'}'`")


def test_a_link_to_nothing_is_a_missing_file_and_the_rest_is_read(tmp_path: Path) -> None:
    touch(tmp_path / "root/dog/a.wav")
    (tmp_path / "root/dog/b.wav").symlink_to(tmp_path / "nas/b.wav")
    rows = list(open_corpus(tmp_path / "root"))
    assert [(row.exemplar.id, bool(row.fault)) for row in rows] == [
        ("dog/a.wav", False),
        ("dog/b.wav", True),
    ]
    assert "leads by a link to" in rows[1].fault
    assert "which does not exist" in rows[1].fault
    (tmp_path / "root/t.csv").write_text("file,label\ndog/b.wav,dog\n")
    assert "does not exist" in next(iter(open_corpus(tmp_path / "root/t.csv"))).fault


def test_a_link_out_of_the_corpus_is_refused_unless_allowed(tmp_path: Path) -> None:
    outside = touch(tmp_path / "secret.wav")
    link = tmp_path / "root" / "dog" / "1.wav"
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    with pytest.raises(CorpusError, match=r"leads to '.*, which lies outside .*--allow-outside"):
        exemplars(open_corpus(tmp_path / "root"))
    assert len(exemplars(open_corpus(tmp_path / "root", allow_outside=True))) == 1


def test_a_table_may_point_outside_when_allowed(tmp_path: Path) -> None:
    outside = touch(tmp_path / "a.wav")
    table = tmp_path / "root" / "t.csv"
    table.parent.mkdir()
    table.write_text("file,label\n../a.wav,x\n")
    corpus = open_corpus(table, allow_outside=True)
    (exemplar,) = exemplars(corpus)
    assert corpus.path(exemplar).resolve() == outside


def test_an_id_twice_names_both_rows(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("file,label,id\na.wav,x,one\nb.wav,y,two\nc.wav,z,one\n")
    with pytest.raises(CorpusError) as caught:
        exemplars(open_corpus(table))
    assert str(caught.value).startswith(f"{table}:4: id 'one' already occurs at {table}:2")


def test_decomposed_and_composed_labels_are_one_label(tmp_path: Path) -> None:
    table = tmp_path / "t.jsonl"
    names = ["Türe", unicodedata.normalize("NFD", "Türe")]
    lines = [json.dumps({"file": f"{n}.wav", "label": name}) for n, name in enumerate(names)]
    table.write_text("\n".join(lines), encoding="utf-8")
    assert {e.labels for e in exemplars(open_corpus(table))} == {("Türe",)}


def test_labels_stay_text(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("file,label\na.wav,no\nb.wav,1\nc.wav,null\n")
    assert [e.labels for e in exemplars(open_corpus(table))] == [("no",), ("1",), ("null",)]


def test_a_column_that_is_not_there_lists_those_that_are(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("file,label\na.wav,x\n")
    with pytest.raises(CorpusError, match="no column 'clip' for audio; found file, label"):
        exemplars(open_corpus(table, columns={"audio": "clip"}))
    with pytest.raises(CorpusError, match="no field 'sound' to map"):
        exemplars(open_corpus(table, columns={"sound": "file"}))


@pytest.mark.parametrize("name", ["nowhere", "notes.txt"])
def test_what_is_no_corpus_is_reported(tmp_path: Path, name: str) -> None:
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(CorpusError, match=name):
        open_corpus(tmp_path / name)


def test_a_single_recording_is_a_corpus(tmp_path: Path) -> None:
    corpus = single_recording(tmp_path / "a.wav", labels=("x",), start_s=1, end_s=2.5, group="g")
    (exemplar,) = exemplars(corpus)
    assert exemplar.id == "a.wav#1-2.5"
    assert corpus.path(exemplar) == tmp_path.resolve() / "a.wav"
    with pytest.raises(CorpusError, match="empty label"):
        single_recording(tmp_path / "a.wav", labels=("",))


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "label": st.lists(NAMES, min_size=1, max_size=3, unique=True),
                "group": NAMES,
                "start_s": st.floats(0, 100).map(lambda x: round(x, 3)),
                "licence": NAMES,
            }
        ),
        min_size=1,
        max_size=5,
    )
)
def test_every_kind_of_table_gives_the_same_exemplars(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, Any]]
) -> None:
    folder = tmp_path_factory.mktemp("tables")
    records = [{"file_name": f"{n}.wav", "id": str(n), **r} for n, r in enumerate(records)]
    pq.write_table(pa.Table.from_pylist(records), folder / "t.parquet")
    (folder / "t.jsonl").write_text(
        "".join(json.dumps(record) + "\n" for record in records), encoding="utf-8"
    )
    lines = ["file_name\tid\tlabel\tgroup\tstart_s\tlicence"]
    for r in records:
        cells = (r["file_name"], r["id"], "|".join(r["label"]), r["group"], r["start_s"])
        lines.append("\t".join([*map(str, cells), r["licence"]]))
    (folder / "t.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    read = [exemplars(open_corpus(folder / f"t.{kind}")) for kind in ("parquet", "jsonl", "tsv")]
    assert read[0] == read[1] == read[2]
    assert [e.labels for e in read[0]] == [tuple(r["label"]) for r in records]
    assert [e.start_s for e in read[0]] == [r["start_s"] for r in records]


def test_blanks_at_a_name_s_ends_count_where_a_file_has_them(tmp_path: Path) -> None:
    """Three names of Clotho's begin with a blank; in other tables blanks are a slip."""
    for name in (" a.wav", "b.wav", "c.wav "):
        touch(tmp_path / name)
    rows = [" a.wav", " b.wav ", "c.wav ", " gone.wav"]
    (tmp_path / "t.csv").write_text("file,label\n" + "".join(f'"{row}",x\n' for row in rows))
    (tmp_path / "t.jsonl").write_text("".join(f'{{"file": "{row}"}}\n' for row in rows))
    for table in ("t.csv", "t.jsonl"):
        found = [str(one.audio) for one in exemplars(open_corpus(tmp_path / table))]
        assert found == [" a.wav", "b.wav", "c.wav ", "gone.wav"]
