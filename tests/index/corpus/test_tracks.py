"""Annotations beside recordings as corpora, as programs write them."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from earful.errors import CorpusError
from earful.index.builder import build_index
from earful.index.corpus import Corpus, open_corpus, survey_corpus

RAVEN = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tSpecies\n"
LONG_TEXTGRID = '''File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 2
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "species"
        xmin = 0
        xmax = 2
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 0.5
            text = ""
        intervals [2]:
            xmin = 0.5
            xmax = 1.5
            text = "wren ""loud"""
        intervals [3]:
            xmin = 1.5
            xmax = 2
            text = " "
    item [2]:
        class = "TextTier"
        name = "clicks"
        xmin = 0
        xmax = 2
        points: size = 1
        points [1]:
            number = 1.25
            mark = "click"
'''
SHORT_TEXTGRID = (
    '"ooTextFile"\n"TextGrid"\n0\n2\n<exists>\n2\n"IntervalTier"\n"species"\n0\n2\n3\n'
    '0\n0.5\n""\n0.5\n1.5\n"wren ""loud"""\n1.5\n2\n" "\n"TextTier"\n"clicks"\n0\n2\n1\n1.25\n'
    '"click"\n'
)
BIRDNET = "Start (s),End (s),Scientific name,Common name,Confidence\n"
SED = "filename\tonset\toffset\tevent_label\n"


def sound(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(seed).normal(0, 0.1, 2 * 16_000)
    soundfile.write(path, samples, 16_000)


def stretches(corpus: Corpus) -> list[tuple[str, tuple[str, ...], float, float | None]]:
    found = [row.exemplar for row in corpus]
    return [(str(e.audio), e.labels, e.start_s, e.end_s) for e in found]


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("night.txt", "0.5\t1.5\twren\n"),
        ("night.audacity.txt", "0.5\t1.5\twren\n\\\t100\t2000\n"),
        ("night.Table.1.selections.txt", f"{RAVEN}1\tSpectrogram 1\t1\t0.5\t1.5\t0\twren\n"),
        ("night.selections", f"{RAVEN}1\tSpectrogram 1\t1\t0.5\t1.5\t0\twren\n"),
        ("night.wav.txt", "0.5\t1.5\twren\n"),
        ("night.BirdNET.results.csv", f"{BIRDNET}0.5,1.5,Troglodytes,wren,0.9\n"),
        ("night.csv", "Audiofilename,Starttime,Endtime,wren,owl\nnight.wav,0.5,1.5,POS,NEG\n"),
        ("night.tsv", f"{SED}night.wav\t0.5\t1.5\twren\n"),
        ("night.csv", "onset,offset,label\n0.5,1.5,wren\n"),
        ("night.TextGrid", SHORT_TEXTGRID.replace('wren ""loud""', "wren")),
    ],
)
@pytest.mark.parametrize("opens_folder", [True, False])
def test_annotations_beside_a_recording_are_its_stretches(
    tmp_path: Path, name: str, text: str, opens_folder: bool
) -> None:
    touch(tmp_path, "night.wav", "day.wav")
    (tmp_path / name).write_text(text)
    (tmp_path / "README.txt").write_text("Recorded in a wood.\n")
    corpus = open_corpus(tmp_path if opens_folder else tmp_path / name)
    assert stretches(corpus) == [("night.wav", ("wren",), 0.5, 1.5)]
    if opens_folder:
        notes = "\n".join(corpus.reading_notes())
        assert "1 recording with " in notes
        assert ": 1 stretch" in notes
        assert "1 recording without annotations beside it is left out, such as day" in notes


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("text", [LONG_TEXTGRID, SHORT_TEXTGRID])
def test_both_forms_of_textgrids_are_one(tmp_path: Path, text: str, encoding: str) -> None:
    touch(tmp_path, "a.wav")
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    (tmp_path / "a.TextGrid").write_bytes((mark + text).encode(encoding))
    corpus = open_corpus(tmp_path / "a.TextGrid")
    (row,) = corpus
    assert row.exemplar.labels == ('wren "loud"',)
    assert (row.exemplar.start_s, row.exemplar.end_s) == (0.5, 1.5)
    assert row.exemplar.meta["tier"] == "species"
    assert any("tier 'clicks' holds 1 point" in note for note in corpus.reading_notes())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (LONG_TEXTGRID[:200], ": ends here; expected "),
        (LONG_TEXTGRID.replace('"TextGrid"', '"Sound 2"'), "is Praat's Sound; expected a TextGrid"),
        (
            SHORT_TEXTGRID.replace("0.5\n1.5\n", "soon\n1.5\n"),
            ':17: is \'"wren ""loud"""\'; expected its end as a',
        ),
        (SHORT_TEXTGRID.replace("<exists>\n2\n", "<exists>\n99999999\n"), "expected a number up"),
        ("ooBinaryFile\x08TextGrid\0\0", "Save as text file"),
    ],
)
def test_a_textgrid_that_cannot_be_read_is_one_error(tmp_path: Path, text: str, says: str) -> None:
    touch(tmp_path, "a.wav")
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(CorpusError) as caught:
        stretches(open_corpus(tmp_path / "a.txt"))
    assert str(caught.value).startswith(str(tmp_path / "a.txt"))
    assert says in str(caught.value)


def test_what_is_not_there_is_kept_as_such_and_told(tmp_path: Path) -> None:
    touch(tmp_path, "night.wav", "b.wav")
    rows = "night.wav,1,2,NEG,UNK\nnight.wav,3,4,POS,POS\nnight.wav,5,6,unk,POS\n"
    (tmp_path / "night.csv").write_text(f"Audiofilename,Starttime,Endtime,wren,owl\n{rows}")
    (tmp_path / "b.BirdNET.selection.table.txt").write_text(
        "Selection\tBegin Time (s)\tEnd Time (s)\tCommon Name\tSpecies Code\tConfidence\n"
        "1\t0\t3\tnocall\tnocall\t1.0\n"
    )
    corpus = open_corpus(tmp_path)
    assert stretches(corpus) == [
        ("night.wav", (), 1, 2),
        ("night.wav", ("wren", "owl"), 3, 4),
        ("night.wav", ("owl",), 5, 6),
    ]
    assert [row.exemplar.not_labels for row in corpus] == [("wren",), (), ()]
    notes = "\n".join(corpus.reading_notes())
    assert "1 row says that a sound is not there; kept as not_labels, which answer nothing" in notes
    assert "2 rows say that nobody is sure; they make no exemplar" in notes
    assert "1 row says nocall" in notes


def test_tiers_and_tables_label_the_same_stretch_together(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav")
    text = SHORT_TEXTGRID.replace('"TextTier"\n"clicks"\n0\n2\n1\n1.25\n"click"', "")
    tier = '"IntervalTier"\n"kind"\n0\n2\n1\n0.5\n1.5\n"song"\n'
    (tmp_path / "a.TextGrid").write_text(text.strip() + "\n" + tier)
    (tmp_path / "a.Table.1.selections.txt").write_text(
        f"{RAVEN}1\tWaveform 1\t1\t0.5\t1.5\t0\tbird\n1\tSpectrogram 1\t1\t0.5\t1.5\t0\tbird\n"
    )
    (tmp_path / "a.BirdNET.results.csv").write_text(f"{BIRDNET}0,3,Strix,owl,0.2\n")
    corpus = open_corpus(tmp_path)
    assert stretches(corpus) == [("a.wav", ("bird", 'wren "loud"', "song"), 0.5, 1.5)]
    assert corpus.n_views == 1
    assert any("what a detector found is not used" in note for note in corpus.reading_notes())


def test_a_folder_per_label_stays_one_where_few_have_annotations(tmp_path: Path) -> None:
    touch(tmp_path, "dog/1.wav", "dog/2.wav", "cat/1.wav")
    (tmp_path / "dog/1.txt").write_text("0.5\t1.5\tbark\n")
    (tmp_path / "cat/1.txt").write_text("A cat, recorded at home.\n")
    corpus = open_corpus(tmp_path)
    assert corpus.kind == "folder"
    assert [labels for _, labels, *_ in stretches(corpus)] == [("cat",), ("dog",), ("dog",)]
    assert any(
        "1 recording has annotations beside it, which are not used" in x
        for x in corpus.reading_notes()
    )
    (tmp_path / "dog/2.txt").write_text("0.5\t1.5\tgrowl\n")
    corpus = open_corpus(tmp_path)
    assert stretches(corpus) == [
        ("dog/1.wav", ("bark",), 0.5, 1.5),
        ("dog/2.wav", ("growl",), 0.5, 1.5),
    ]


def test_a_folder_of_annotated_recordings_becomes_an_index(tmp_path: Path) -> None:
    for number, name in enumerate(("site1/a", "site1/b", "site2/c")):
        sound(tmp_path / f"c/{name}.wav", seed=number)
    (tmp_path / "c/site1/a.txt").write_text("0.5\t1.5\twren\n")
    (tmp_path / "c/site1/b.TextGrid").write_text(LONG_TEXTGRID)
    survey = survey_corpus(open_corpus(tmp_path / "c"))
    assert survey.labels == {"wren": 1, 'wren "loud"': 1}
    report = build_index(tmp_path / "c", tmp_path / "i", embedder="logmel")
    assert (report.accepted, report.rejected) == (2, ())
    notes = "\n".join(report.notes)
    assert "1 recording with Audacity label tracks: 1 stretch" in notes
    assert "1 recording with Praat TextGrids: 1 stretch" in notes
    assert "such as c.wav" in notes


def test_rows_are_counted_once_where_sites_become_groups(tmp_path: Path) -> None:
    for number, name in enumerate(("A_20260503_0430", "A_20260503_0530", "B_20260503_0430")):
        for second in ("00", "20"):
            sound(tmp_path / f"{name}{second}.wav", seed=number)
            (tmp_path / f"{name}{second}.txt").write_text("0.5\t1.5\twren\n0.6\t1.6\towl\n")
    corpus = open_corpus(tmp_path)
    assert {row.exemplar.group for row in corpus} == {"A", "B"}
    notes = "\n".join(corpus.reading_notes())
    assert "6 recordings with Audacity label tracks: 12 stretches" in notes


def test_a_table_that_says_what_is_absent_makes_a_row_that_denies_it(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text("audio,label,presence\na.wav,wren,yes\nb.wav,wren,NO\nc.wav,owl,unk\n")
    corpus = open_corpus(table)
    there, absent = (row.exemplar for row in corpus)
    assert (there.labels, there.not_labels, there.id) == (("wren",), (), "a.wav")
    assert (absent.labels, absent.not_labels, absent.id) == ((), ("wren",), "b.wav")
    assert absent.is_negative
    assert [note.split(";")[0] for note in corpus.reading_notes()] == [
        "1 row says that nobody is sure",
        "1 row says that a sound is not there",
    ]
    table.write_text("audio,label,presence\na.wav,wren,3\n")
    with pytest.raises(CorpusError, match=r"a\.csv:2: presence is '3'; expected positive"):
        list(open_corpus(table))
    # Of answers it may say anything.
    table.write_text("audio,question,answer,presence\na.wav,a wren?,no,3\n")
    assert [row.exemplar.answer for row in open_corpus(table)] == ["no"]
