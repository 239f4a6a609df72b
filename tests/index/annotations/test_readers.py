"""Annotations as programs write them: what each row is about, and what is passed over."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earful.errors import CorpusError
from earful.index.annotations import Annotations, read_annotations

RAVEN = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)"
TEXTGRID = (
    '"ooTextFile"\n"TextGrid"\n0\n2\n<exists>\n2\n"IntervalTier"\n"species"\n0\n2\n2\n0\n0.5\n""\n'
    '0.5\n1.5\n"wren"\n"IntervalTier"\n"kind"\n0\n2\n1\n0.5\n1.5\n"song"\n'
)
ONE_TIER = TEXTGRID[: TEXTGRID.index('"IntervalTier"\n"kind"')].replace('\n2\n"I', '\n1\n"I')


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def rows(source: Path, **options: object) -> list[tuple[str, float, float, str]]:
    found = read_annotations(source, **options)  # type: ignore[arg-type]
    return [(a.recording, a.start_s, a.end_s, a.label) for a in found]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f"{RAVEN}\tSpecies\n1\tSpectrogram 1\t2\t0.5\t1.5\t100.5\t2000\twren\n", "raven"),
        (f"Tags\t{RAVEN}\tLabel\nx\t1\tWaveform 1\t2\t0.5\t1.5\t\t\twren\n", "raven"),
        ("0.5\t1.5\twren\n", "audacity"),
        ("0,500000\t1,500000\twren\n\\\t100,5\t-1,0\n", "audacity"),
        ("Start (s),End (s),Scientific name,Common name,Confidence\n0.5,1.5,T,wren,1\n", "birdnet"),
        (
            "filepath,start,end,scientific_name,common_name,confidence\n,0.5,1.5,T,wren,1\n",
            "birdnet",
        ),
        ("INDIR,FOLDER,IN FILE,OFFSET,DURATION,TOP1MATCH\n,,night.wav,.5,1,wren\n", "kaleidoscope"),
        ("Audiofilename,Starttime,Endtime,wren\nnight.wav,0.5,1.5,POS\n", "dcase"),
        ("filename\tonset\toffset\tevent_label\nnight.wav\t0.5\t1.5\twren\n", "dcase"),
        (
            TEXTGRID[: TEXTGRID.index('"IntervalTier"\n"kind"')].replace('\n2\n"I', '\n1\n"I'),
            "praat",
        ),
        ("label;start;stop\nwren;0,5;1,5\n", "table"),
        ('{"start_ms": 500, "end_ms": 1500, "label": "wren"}\n', "table"),
    ],
)
@pytest.mark.parametrize("name", ["night.txt", "night.Table.1.selections.txt", "night.x"])
def test_a_format_is_told_by_what_it_holds(tmp_path: Path, text: str, kind: str, name: str) -> None:
    found = read_annotations(write(tmp_path / name, text))
    (row,) = found
    assert dict(found.formats) == {kind: 1}
    assert (Path(row.recording).stem, row.start_s, row.end_s, row.label) == (
        "night",
        0.5,
        1.5,
        "wren",
    )
    assert row.where.startswith(str(tmp_path / name))
    assert row.polarity == "positive"


def test_a_band_and_a_channel_are_kept(tmp_path: Path) -> None:
    text = f"{RAVEN}\tLabel\n1\tSpectrogram 1\t2\t0.5\t1.5\t100.5\t2000\twren\n"
    (row,) = read_annotations(write(tmp_path / "a.txt", text))
    assert (row.channel, row.low_hz, row.high_hz) == (2, 100.5, 2000)
    (row,) = read_annotations(write(tmp_path / "b.txt", "0.5\t1.5\twren\n\\\t100,5\t-1,0\n"))
    assert (row.low_hz, row.high_hz) == (100.5, None)


def test_a_combined_table_of_ravens_has_times_in_each_file(tmp_path: Path) -> None:
    header = f"{RAVEN}\tBegin Path\tFile Offset (s)\tAnnotation\n"
    views = (
        "1\tWaveform 1\t1\t100.5\t101.5\t0\t1\tC:\\rec\\a.wav\t0.5\twren\n"
        "1\tSpectrogram 1\t1\t100.5\t101.5\t9\t10\tC:\\rec\\a.wav\t0.5\twren\n"
        "2\tSpectrogram 1\t1\t190\t191\t9\t10\tC:\\rec\\b.wav\t30\t\n"
    )
    found = read_annotations(write(tmp_path / "all.txt", header + views))
    assert [(a.recording, a.start_s, a.end_s) for a in found] == [("C:/rec/a.wav", 0.5, 1.5)]
    assert found.notes == (f"{tmp_path / 'all.txt'}: 1 row without a label is passed over",)


def test_negatives_and_doubts_are_kept_as_such(tmp_path: Path) -> None:
    text = "Audiofilename,Starttime,Endtime,Q\na.wav,1,2,POS\na.wav,3,4,NEG\na.wav,5,6,UNK\n"
    found = read_annotations(write(tmp_path / "a.csv", text))
    assert [(a.label, a.polarity) for a in found] == [
        ("Q", "positive"),
        ("Q", "negative"),
        ("Q", "unknown"),
    ]
    with pytest.raises(CorpusError, match=r"a.csv:3: Q is 'maybe'; expected POS, NEG or UNK"):
        read_annotations(write(tmp_path / "a.csv", text.replace("NEG", "maybe")))


POLARITY_WORDS = {
    "positive": ("positive", "POS", "Yes", "present", "TRUE", "1"),
    "negative": ("negative", "NEG", "no", "Absent", "false", "0"),
    "unknown": ("unknown", "UNK", "?"),
}


@pytest.mark.parametrize("column", ["polarity", "presence", "Polarity"])
def test_any_table_may_say_whether_its_sounds_are_there(tmp_path: Path, column: str) -> None:
    words = [(word, meant) for meant, own in POLARITY_WORDS.items() for word in own]
    text = f"recording,start_s,end_s,label,{column}\n"
    text += "".join(f"a.wav,{at},{at + 1},wren,{word}\n" for at, (word, _) in enumerate(words))
    found = read_annotations(write(tmp_path / "a.csv", text))
    assert [a.polarity for a in found] == [meant for _, meant in words]
    assert (dict(found.formats), found.notes) == ({"table": 1}, ())
    found = read_annotations(write(tmp_path / "a.csv", f"{text}a.wav,90,91,wren,\n"))
    assert found[-1].polarity == "unknown"
    assert f"1 row says nothing in {column}" in found.notes[0]
    with pytest.raises(CorpusError, match=rf"a.csv:2: {column} is 'Maybe'; expected positive, neg"):
        read_annotations(write(tmp_path / "a.csv", text.replace("positive", "Maybe")))


def test_a_truth_value_says_whether_a_sound_is_there(tmp_path: Path) -> None:
    row = '{"recording": "a.wav", "start_s": 1, "end_s": 2, "label": "wren", "presence": %s}\n'
    text = "".join(row % value for value in ("true", "false", "0", "null"))
    found = read_annotations(write(tmp_path / "a.jsonl", text))
    assert [a.polarity for a in found] == ["positive", "negative", "negative", "unknown"]


def test_a_column_of_labels_may_have_the_name_of_another(tmp_path: Path) -> None:
    text = "recording,start_s,end_s,presence\na.wav,1,2,wren\n"
    (row,) = read_annotations(write(tmp_path / "a.csv", text), label_column="presence")
    assert (row.label, row.polarity) == ("wren", "positive")


def test_events_that_were_reviewed_in_part_are_unknown_elsewhere(tmp_path: Path) -> None:
    header = "event_id,recording,recording_sha256,start_s,end_s,label,score,review\n"
    text = "1,a.wav,x,1,2,wren,0.9,{}\n2,a.wav,x,3,4,wren,0.8,\n"
    found = read_annotations(write(tmp_path / "e.csv", header + text.format("")))
    assert [a.polarity for a in found] == ["positive", "positive"]
    found = read_annotations(write(tmp_path / "e.csv", header + text.format("negative")))
    assert [a.polarity for a in found] == ["negative", "unknown"]
    assert "1 event was not reviewed" in found.notes[0]


def test_a_file_without_a_name_is_about_the_recording_beside_it(tmp_path: Path) -> None:
    for name in ("a.b.wav", "sub/c.WAV", "two.wav", "two.flac"):
        write(tmp_path / name, "")
    text = "0.5\t1.5\twren\n"
    for name in ("a.b.Table.2.selections.txt", "sub/c.txt", "sub/d.audacity.txt", "two.wav.txt"):
        write(tmp_path / name, text)
    write(tmp_path / "README.md", "Recorded in a wood.\n")
    found = read_annotations(tmp_path)
    assert [a.recording for a in found] == [
        str(tmp_path / "a.b.wav"),
        str(tmp_path / "two.wav"),
        str(tmp_path / "sub/c.WAV"),
        "d",
    ]
    assert dict(found.formats) == {"audacity": 4}
    assert "without annotations passed over" in found.notes[0]
    assert len(read_annotations([tmp_path / "two.wav.txt", tmp_path / "sub"])) == 3
    with pytest.raises(CorpusError, match=r"may be about two.flac or two.wav; name it after one"):
        read_annotations(write(tmp_path / "two.txt", text))


def test_a_column_or_a_tier_can_be_chosen(tmp_path: Path) -> None:
    path = write(tmp_path / "a.TextGrid", TEXTGRID)
    assert [row[3] for row in rows(path)] == ["wren", "song"]
    assert [row[3] for row in rows(path, label_column="kind")] == ["song"]
    with pytest.raises(CorpusError, match="no tier 'x' with labels; found species, kind"):
        read_annotations(path, label_column="x")
    text = f"{RAVEN}\tLabel\tKind\n1\tSpectrogram 1\t1\t0.5\t1.5\t1\t2\twren\tsong\n"
    path = write(tmp_path / "a.txt", text)
    assert [row[3] for row in rows(path, label_column="Kind")] == ["song"]
    path = write(tmp_path / "a.csv", "rec,von,bis,was,wie\na.wav,1,2,wren,0.5\n")
    columns = {"audio": "rec", "start_s": "von", "end_s": "bis", "labels": "was", "score": "wie"}
    assert rows(path, columns=columns) == [("a.wav", 1, 2, "wren")]
    assert read_annotations(path, columns=columns)[0].score == 0.5


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("recording,start_s,end_s,label\na,2,1,x\n", ":2: end_s=1.0 is not after start_s=2.0"),
        ("recording,start_s,end_s,label\na,-2,1,x\n", ":2: start_s=-2.0: expected 0 or more"),
        ("recording,start_s,label\na,2,x\n", ":2: has no end; expected a column such as end_s"),
        ("recording,start_s,end_s\na,1,2\n", ":2: has no column that names the sound; found rec"),
        ("start_s,end_s,label,score\n1,2,x,high\n", ":2: score is 'high'; expected a number"),
        ("0.5\t0.5\ttone\n", ":1: the label 'tone' is a point at 0.5 s"),
        ("\0\0", ": is no text and no Parquet file; expected tables of Raven"),
    ],
)
def test_what_cannot_be_read_is_one_error(tmp_path: Path, text: str, says: str) -> None:
    path = write(tmp_path / "t.x", text)
    with pytest.raises(CorpusError) as caught:
        read_annotations(path)
    assert str(caught.value).startswith(f"{path}{says}")


def test_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="there is no such file or folder"):
        read_annotations(tmp_path / "none")
    with pytest.raises(CorpusError, match="holds no annotations; expected tables of Raven"):
        read_annotations(tmp_path)
    found = read_annotations(write(tmp_path / "empty.txt", ""))
    assert (len(found), found.notes) == (
        0,
        (f"{tmp_path / 'empty.txt'}: is empty, so it holds no annotations",),
    )


@pytest.mark.slow
@given(
    st.integers(0, len(TEXTGRID)),
    st.integers(0, 30),
    st.text(st.sampled_from('"<>0!\n\t x\u2028[]:\0'), max_size=12)
    | st.sampled_from(["1e999", "nan", "-1", "9" * 5000, "<absent>", '""""']),
    st.sampled_from(["utf-8", "utf-16", "latin-1"]),
)
@settings(max_examples=150, deadline=None)
def test_a_mutated_textgrid_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, at: int, n: int, text: str, encoding: str
) -> None:
    path = tmp_path_factory.mktemp("t") / "a.TextGrid"
    mutated = TEXTGRID[:at] + text + TEXTGRID[at + n :]
    path.write_bytes(mutated.encode(encoding, "replace"))
    told, found = "", Annotations()
    try:
        found = read_annotations(path)
    except CorpusError as error:
        told = str(error)
    assert told.startswith(str(path)) or all(a.end_s > a.start_s >= 0 for a in found)
