"""Columns of times under many names and in many units."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from earful.errors import CorpusError
from earful.index.builder import build_index
from earful.index.corpus import Exemplar, Survey, open_corpus, survey_corpus

RATE = 8000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).normal(0, 0.1, 4 * RATE), RATE)
    return tmp_path


def read(folder: Path, text: str, **options: object) -> list[Exemplar]:
    (folder / "t.csv").write_text(text, encoding="utf-8")
    corpus = open_corpus(folder / "t.csv", **options)  # type: ignore[arg-type]
    return [row.exemplar for row in corpus]


def survey(folder: Path, text: str, **options: object) -> Survey:
    (folder / "t.csv").write_text(text, encoding="utf-8")
    return survey_corpus(open_corpus(folder / "t.csv", **options))  # type: ignore[arg-type]


def note(found: Survey, words: str) -> str:
    (one,) = [one for one in found.notes if words in one]
    return one


@pytest.mark.parametrize(
    ("names", "times"),
    [
        ("start_ms,end_ms", "500,1500"),
        ("start (ms),end (ms)", "500,1500"),
        ("Begin Time (ms),End Time (ms)", "500,1500"),
        ("startTimeMs,endTimeMs", "500,1500"),
        ("start_ms,duration_ms", "500,1000"),
        ("start (min),end (min)", "0.008333333333,0.025"),
        ("start_min,end_min", "0.008333333333,0.025"),
        ("onset,offset", "0.5,1.5"),
        ("onset_s,offset_s", "0.5,1.5"),
        ("event_onset,event_offset", "0.5,1.5"),
        ("onset,duration", "0.5,1"),
        ("OFFSET,DURATION", "0.5,1"),
        ("begin,end", "0.5,1.5"),
        ("start,stop", "0.5,1.5"),
        ("start_time,end_time", "0.5,1.5"),
        ("time_start,time_end", "0.5,1.5"),
        ("tmin,tmax", "0.5,1.5"),
        ("Start Time [s],End Time [s]", "0.5,1.5"),
        ("start_seconds,end_seconds", "0.5,1.5"),
        ("start,Duration (s)", "0.5,1.0"),
        ("start,dur", "0.5,1.0"),
        ("start,length_s", "0.5,1.0"),
        ("start,end,duration", "0.5,1.5,1.04"),
    ],
)
def test_well_known_names_of_times_are_read(folder: Path, names: str, times: str) -> None:
    (found,) = read(folder, f"filename,{names},species\na.wav,{times},frog\n")
    assert (found.start_s, found.end_s) == pytest.approx((0.5, 1.5), abs=1e-9)
    assert dict(found.meta) == {}


def test_a_unit_that_is_converted_is_told(folder: Path) -> None:
    found = survey(folder, "file,start_ms,end_ms,label\na.wav,500,1500,x\n")
    assert found.total_s == pytest.approx(1.0)
    assert note(found, "milliseconds") == "converted from milliseconds to seconds: start_ms, end_ms"
    report = build_index(folder / "t.csv", folder / "i", embedder="logmel")
    assert any("converted from milliseconds" in one for one in report.notes)
    # A column that was named is read in the unit of its name, too.
    (row,) = read(folder, "file,von_ms,label\na.wav,500,x\n", columns={"start_s": "von_ms"})
    assert row.start_s == 0.5


@pytest.mark.parametrize(
    ("names", "cells", "named"),
    [
        ("Beginn,Ende", "0.5,1.5", "--column start_s=Beginn --column end_s=Ende"),
        ("clip_begin,clip_finish_time", "0.5,1.5", "--column start_s=clip_begin"),
        ("start_sample,end_sample", "500,900", "--column start_s=start_sample"),
        # Halves of one time.
        ("start (min),start (sec)", "0,2", "--column 'start_s=start (min)'"),
        ("start_time,x", "00:01,1", "--column start_s=start_time"),
        ("duration,x", "4,1", "--column duration_s=duration"),
    ],
)
def test_columns_that_look_like_times_and_are_not_used_are_told(
    folder: Path, names: str, cells: str, named: str
) -> None:
    found = survey(folder, f"file,{names},label\na.wav,{cells},x\n")
    assert found.total_s == pytest.approx(4.0)
    assert named in note(found, "not used")
    (folder / "t.csv").write_text(f"file,{names},label\na.wav,{cells},x\n")
    assert any("not used" in one for one in build_index(folder / "t.csv", folder / "i").notes)


@pytest.mark.parametrize(
    ("names", "cells"),
    [
        ("start,end,peak_time", "0,1,0.5"),
        ("date,time", "2024-05-10,05:00:00"),
        ("endangered,comment", "yes,1"),
        ("sentiment,weekend", "0.4,1"),
    ],
)
def test_other_columns_are_no_times(folder: Path, names: str, cells: str) -> None:
    found = survey(folder, f"file,{names},label\na.wav,{cells},x\n")
    assert not any("not used" in one for one in found.notes)
    assert not survey(
        folder, "file,Beginn,label\na.wav,1,x\n", columns={"start_s": "", "end_s": ""}
    ).notes


def test_rows_that_clash_for_want_of_times_name_those(folder: Path) -> None:
    rows = "a.wav,0.5,1.5,x\na.wav,2,3,x\n"
    with pytest.raises(CorpusError) as caught:
        read(folder, f"file,Beginn,Ende,label\n{rows}")
    assert "t.csv:3: id 'a.wav' already occurs" in str(caught.value)
    assert "--column start_s=Beginn --column end_s=Ende" in str(caught.value)
    assert "remove" not in str(caught.value)
    assert "merge" not in str(caught.value)
    with pytest.raises(CorpusError) as caught:
        read(folder, f"file,Beginn,Ende,label\n{rows}", advise_options=False)
    assert "times in Beginn, Ende are not used" in str(caught.value)


def test_a_duration_gives_the_end(folder: Path) -> None:
    text = "file,start,Dauer,label\na.wav,0.5,1,x\na.wav,2,1.5,y\n"
    found = read(folder, text, columns={"duration_s": "Dauer"})
    assert [(row.start_s, row.end_s) for row in found] == [(0.5, 1.5), (2.0, 3.5)]
    with pytest.raises(CorpusError, match=r":2: end_s=3 contradicts duration_s=1, .* ends at 1\.5"):
        read(folder, "file,start,end,duration,label\na.wav,0.5,3,1,x\n")
    with pytest.raises(CorpusError, match=":2: duration_s=0: expected more than 0"):
        read(folder, "file,start,duration,label\na.wav,0.5,0,x\n")
    # Left out, or of a file without any start, it says nothing of an end.
    text = "file,start,end,duration,label\na.wav,0.5,3,1,x\n"
    (row,) = read(folder, text, columns={"duration_s": ""})
    assert row.end_s == 3.0
    (row,) = read(folder, "file,duration,label\na.wav,2,x\n")
    assert row.end_s is None


def test_an_export_comes_back_as_it_was(folder: Path) -> None:
    text = "audio,start_s,end_s,duration_s,content_sha256,labels\na.wav,1,,3,ab,x\n"
    (row,) = read(folder, text)
    assert (row.start_s, row.end_s) == (1.0, None)


def test_stretches_without_an_end_are_counted(folder: Path) -> None:
    found = survey(folder, "file,start,end,label\na.wav,2,,x\na.wav,0,1,y\n")
    assert note(found, "no end") == "1 row has no end and reaches to the end of its recording"
    found = survey(folder, "file,start,label\na.wav,2,x\na.wav,1,y\n")
    assert "2 rows begin after the start" in note(found, "no column gives an end or a duration")
    assert survey(folder, "file,start,end,label\na.wav,,,x\n").notes == ()


KALEIDOSCOPE = (
    "INDIR,FOLDER,IN FILE,CHANNEL,OFFSET,DURATION,Fmin,DATE,TIME,HOUR,TOP1MATCH,TOP1DIST{}\r\n"
    "D:\\rec,night\\1,a.wav,0,0.5,1.000,200,2024-05-10,05:00:00,05,wren,0.3{}\r\n"
    "D:\\rec,night\\1,a.wav,0,2,1.5,200,2024-05-10,05:00:00,05,robin,0.3{}\r\n"
)


def test_a_table_of_kaleidoscope_is_read_as_it_is(folder: Path) -> None:
    text = KALEIDOSCOPE.format(",MANUAL ID", ",wren", ",")
    for place in ("a.wav", "1/a.wav", "night/1/a.wav"):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / "a.wav").replace(folder / place)
        found = read(folder, text)
        assert [(str(e.audio), e.labels, e.start_s, e.end_s) for e in found] == [
            (place, ("wren",), 0.5, 1.5),
            (place, (), 2.0, 3.5),
        ]
        (folder / place).replace(folder / "a.wav")
    (row, _) = read(folder, text, columns={"labels": "TOP1MATCH"})
    assert row.labels == ("wren",)


def test_want_of_labels_is_told_before_rows_clash(folder: Path) -> None:
    text = KALEIDOSCOPE.format("", "", "").replace("2,1.5", "0.5,1.000")
    with pytest.raises(CorpusError, match=r"no column gives labels or answers.*=TOP1MATCH"):
        read(folder, text, columns={"audio": "IN FILE"})


def test_two_channels_of_one_stretch_are_named(folder: Path) -> None:
    text = "file,start,end,Channel,species\na.wav,0,1,1,rain\na.wav,0,1,2,frog\n"
    with pytest.raises(CorpusError, match="on channels 1 and 2, of which the average is heard"):
        read(folder, text)
    found = survey(folder, text, merge_rows=True)
    assert "rows name channels (1, 2)" not in "".join(found.notes)  # joined by the merge
    apart = survey(folder, text.replace("0,1,2", "1,2,2"))
    assert "average of a recording's channels" in note(apart, "rows name channels (1, 2)")
    assert (
        survey(folder, text.replace(",2,frog", ",1,frog").replace("0,1,1,f", "1,2,1,f")).notes == ()
    )
