"""Where examples come from, and which recordings they are about."""

from pathlib import Path
from typing import Any

import pytest

from earful.errors import CorpusError
from earful.rag.scan.examples import ExampleSources, RecordingNames, gather_examples
from earful.rag.scan.examples.sources import GatheredExamples
from tests.support.tone_recordings import record, write_table, write_track


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def gather(recordings: list[str], **given: Any) -> GatheredExamples:
    return gather_examples(ExampleSources(**given), recordings)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("night/a.wav", "night/a.wav"),
        ("a.wav", None),  # two of that name
        ("day/a.wav", "day/a.wav"),
        ("b.wav", "night/b.WAV"),
        ("B", "night/b.WAV"),
        ("b.flac", "night/b.WAV"),
        ("b.2", "day/b.2.flac"),
        ("night\\b.WAV", "night/b.WAV"),
        ("day_a", "day/a.wav"),  # as its export is called
        ("night_b.WAV", "night/b.WAV"),
        ("c", None),
    ],
)
def test_a_recording_is_found_by_its_name_only_if_that_is_unique(
    name: str, found: str | None
) -> None:
    names = RecordingNames(["night/a.wav", "day/a.wav", "night/b.WAV", "day/b.2.flac"])
    assert names.find(name, Path("elsewhere")) == found


def test_a_path_is_looked_for_beside_the_annotations() -> None:
    path = record(Path("tables/a.wav"), 0.1)
    names = RecordingNames(["night/a.wav", "night/b.wav"])
    assert names.find("b.wav", Path("tables")) == "night/b.wav"
    assert names.find(str(path.absolute()), Path()) == str(path.absolute())
    assert RecordingNames(["night/b.wav"]).find("a.wav", Path("tables")) == "tables/a.wav"
    assert RecordingNames([str(path.absolute())]).find("a", Path("tables")) == str(path.absolute())


def test_recordings_that_are_not_here_and_labels_spelt_in_two_ways_are_told() -> None:
    rows = [("a.wav", 1, 2, "wren"), ("x.wav", 1, 2, "wren"), ("y.wav", 1, 2, "wren")]
    write_table(Path("calls.csv"), [*rows, ("y.wav", 3, 4, "wren"), ("a.wav", 3, 4, "Wren ")])
    found = gather(["a.wav"], annotations=("calls.csv",))
    assert [note.partition(": ")[2] or note for note in found.notes] == [
        "x.wav: no such recording is here, nor 1 other that the examples name; 3 examples of them "
        "left out",
        "labels 'Wren' and 'wren' differ in case or blanks only, and are looked for apart; spell "
        "them alike if they are one",
    ]


def test_examples_of_one_recording_that_is_not_here_are_counted() -> None:
    write_table(Path("calls.csv"), [("a.wav", 1, 2, "wren"), *[("x.wav", 1, 2, "wren")] * 12])
    (note,) = gather(["a.wav"], annotations=("calls.csv",)).notes
    assert note.endswith("x.wav: no such recording is here; 12 examples of it left out")


def test_a_label_without_an_example_is_refused() -> None:
    write_table(Path("calls.csv"), [("a.wav", 1, 2, "wren")])
    for labels in (("owl",), ("wren", "owl")):
        with pytest.raises(CorpusError, match=r"label 'owl' has no example; give --examples"):
            gather(["a.wav"], annotations=("calls.csv",), labels=labels)
    Path("none.csv").write_text(
        "recording,start_s,end_s,label,polarity,origin\na.wav,1,2,wren,negative,\n"
    )
    with pytest.raises(CorpusError, match="no positive"):
        gather(["a.wav"], annotations=("none.csv",))


def test_examples_of_absent_recordings_are_refused_unless_others_are_left() -> None:
    write_table(Path("calls.csv"), [("a.wav", 1, 2, "wren"), ("gone.wav", 3, 4, "wren")])
    gathered = gather(["a.wav"], annotations=("calls.csv",))
    assert [one.path for one in gathered.marked] == ["a.wav"]
    assert any("gone.wav" in note and "calls.csv:3" in note for note in gathered.notes)
    write_table(Path("other.csv"), [("a.wav", 1, 2, "wren"), ("gone.wav", 3, 4, "owl")])
    with pytest.raises(CorpusError, match=r"other\.csv:3: names the recording 'gone\.wav'.*1 rec"):
        gather(["a.wav"], annotations=("other.csv",), labels=("owl",))
    write_table(Path("gone.csv"), [("gone.wav", 3, 4, "owl")])
    with pytest.raises(CorpusError, match=r"gone\.csv:2"):
        gather(["a.wav"], annotations=("gone.csv",))


def test_a_file_without_a_name_is_about_the_only_recording() -> None:
    write_track(Path("calls.txt"), [(1, 2, "wren")])
    gathered = gather(["night.wav"], annotations=("calls.txt",))
    assert [one.path for one in gathered.marked] == ["night.wav"]
    assert gathered.notes == ("calls.txt names no recording; taken for night.wav, the only one",)
    first = gather(["night.wav"], first=1, reference=("calls.txt",))
    assert [one.path for one in first.marked] == ["night.wav"]
    # A name that fits is no guess, and a name that is wrong stays so.
    write_track(Path("night.calls.txt"), [(3, 4, "owl")])
    assert not gather(["night.wav"], annotations=("night.calls.txt",)).notes
    write_table(Path("other.csv"), [("other.wav", 1, 2, "wren")])
    with pytest.raises(CorpusError, match=r"the recording 'other\.wav', which is not here"):
        gather(["night.wav"], annotations=("other.csv",))


@pytest.mark.parametrize(
    ("recordings", "files"),
    [(["b.wav", "a.wav"], ("calls.txt",)), (["a.wav"], ("calls.txt", "more.txt"))],
)
def test_a_file_without_a_name_is_refused_where_it_may_be_about_several(
    recordings: list[str], files: tuple[str, ...]
) -> None:
    for name in files:
        write_track(Path(name), [(1, 2, "wren")])
    with pytest.raises(CorpusError, match=r"calls\.txt:1: names no recording.* a\.calls\.txt"):
        gather(recordings, annotations=files)
    Path("calls.txt").rename("a.calls.txt")  # as it says
    assert gather(recordings, annotations=("a.calls.txt",)).marked[0].path == "a.wav"


def test_clips_that_a_table_calls_absent_are_told() -> None:
    record(Path("1.wav"), 0.5)
    Path("clips.csv").write_text("audio,label,polarity\n1.wav,wren,pos\n1.wav,owl,neg\n")
    gathered = gather(["night.wav"], annotations=("clips.csv",))
    assert gathered.labels == ("wren",)
    assert "1 row says that a sound is not there" in gathered.notes[0]


def test_wrong_times_name_their_row() -> None:
    write_table(Path("calls.csv"), [("a.wav", 1, 2, "wren"), ("a.wav", 5, 4, "wren")])
    with pytest.raises(CorpusError, match=r"calls\.csv:3"):
        gather(["a.wav"], annotations=("calls.csv",))
    write_table(Path("clips.csv"), [("a.wav", 9, 10, "wren")])
    (marked,) = gather(["a.wav"], annotations=("clips.csv",)).marked
    assert [one.start_s for one in marked.marks(5.0)] == [9.0]  # refused by who knows the length


@pytest.mark.parametrize(("end", "is_told"), [("finish", False), ("until when", True)])
def test_examples_without_an_end_are_told(end: str, is_told: bool) -> None:
    record(Path("night.wav"), 5)
    Path("calls.csv").write_text(f"file_name,begin,{end},species\nnight.wav,1,1.5,wren\n")
    gathered = gather(["night.wav"], annotations=("calls.csv",))
    assert any("--column end_s=COLUMN" in note for note in gathered.notes) is is_told
    ((mark,),) = [one.marks(5.0) for one in gathered.marked]
    assert (mark.start_s, mark.end_s) == (1.0, 5.0 if is_told else 1.5)


def test_a_corpus_of_clips_gives_examples() -> None:
    record(Path("sounds/wren/1.wav"), 0.5)
    record(Path("sounds/owl/2.wav"), 0.5)
    gathered = gather(["night.wav"], annotations=("sounds",))
    assert gathered.labels == ("owl", "wren")
    assert all(one.is_clip for one in gathered.marked)
    (mark,) = gathered.marked[0].marks(0.5)
    assert (mark.label, mark.start_s, mark.end_s) == ("owl", 0.0, 0.5)


def test_first_events_of_each_recording_and_what_is_known_between_them() -> None:
    text = "recording,start_s,end_s,label,polarity,origin\n"
    for start_s, polarity in ((1, "positive"), (3, "unknown"), (5, "positive"), (9, "positive")):
        text += f"a.wav,{start_s},{start_s + 1},Q,{polarity},\n"
    text += "b.wav,2,3,Q,positive,\nb.wav,4,5,Q,negative,\n"
    Path("all.csv").write_text(text)
    gathered = gather(["a.wav", "b.wav"], first=2, reference=("all.csv",))
    assert gathered.each_by_itself
    assert [[one.start_s for one in marked.annotations] for marked in gathered.marked] == [
        [1, 5, 3],
        [2],
    ]
    assert [marked.complete_until_s for marked in gathered.marked] == [6.0, 3.0]
    assert any("fewer than 2" in note for note in gathered.notes)
    given = gather(["a.wav"], first=2, reference=("all.csv",), complete_until_s=4.0)
    assert given.marked[0].complete_until_s == 4.0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "no examples are given"),
        ({"first": 5}, "--reference"),
        ({"reference": ("a.csv",)}, "--first"),
        ({"first": 0, "reference": ("a.csv",)}, "first=0"),
        ({"first": 5, "reference": ("a.csv",), "annotations": ("b.csv",)}, "leave out"),
        ({"annotations": ("b.csv",), "where": "x > 1"}, "--where"),
        ({"annotations": ("b.csv",), "complete_until_s": -1.0}, "complete_until_s"),
    ],
)
def test_sources_that_exclude_each_other_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(CorpusError, match=said):
        ExampleSources(**given)
