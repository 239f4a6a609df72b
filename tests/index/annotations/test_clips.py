"""Clips of events: their samples, names and choice, and the index that is built of them."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from earful.errors import CorpusError
from earful.index.annotations import (
    ClipOptions,
    Event,
    event_id,
    write_clips,
)
from earful.index.annotations.writers.clip_choice import choose_events
from earful.index.annotations.writers.clip_files import label_folders
from earful.index.corpus import open_corpus

RATE = 8_000
DECODE_HERE = pytest.mark.usefixtures("decode_here")


@pytest.fixture
def decode_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARFUL_DECODE", "here")


def event(
    start_s: float, score: float, *, label: str = "wren", recording: str = "n.wav", review: str = ""
) -> Event:
    return Event(
        event_id=event_id(recording, label, start_s, start_s + 0.5),
        recording=recording,
        recording_sha256="ab" * 32,
        start_s=start_s,
        end_s=start_s + 0.5,
        label=label,
        score=score,
        review=review,
    )


def record(path: Path, seconds: float = 10.0, rate: int = RATE, subtype: str = "PCM_16") -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, round(seconds * rate))
    whole = np.round(samples * (2**31 - 1)).astype(np.int32)
    soundfile.write(path, whole, rate, subtype=subtype)


@DECODE_HERE
def test_a_clip_is_named_by_its_score_and_holds_the_recordings_samples(tmp_path: Path) -> None:
    record(tmp_path / "n.wav")
    found = [event(2.0, 0.9), event(0.25, 1.25), event(9.75, 0.8, label="a/b")]
    report = write_clips(found, tmp_path / "clips", root=tmp_path)
    assert [str(path.relative_to(tmp_path / "clips")) for path in report.paths] == [
        "a%2Fb/0.800_n_0009.750s_0010.250s.flac",
        "wren/0.900_n_0002.000s_0002.500s.flac",
        "wren/1.250_n_0000.250s_0000.750s.flac",
    ]
    whole, _ = soundfile.read(tmp_path / "n.wav", dtype="int16")
    clip, rate = soundfile.read(report.paths[1], dtype="int16")
    assert rate == RATE
    np.testing.assert_array_equal(clip, whole[RATE : round(3.5 * RATE)])
    for source in (report.table, tmp_path / "clips"):
        rows = [row.exemplar for row in open_corpus(source)]
        assert [(e.labels, e.start_s, e.end_s, e.group) for e in rows] == [
            (("a/b",), 1.0, 1.25, "n.wav"),
            (("wren",), 1.0, 1.5, "n.wav"),
            (("wren",), 0.25, 0.75, "n.wav"),
        ]


@DECODE_HERE
@pytest.mark.parametrize(
    ("rate", "subtype", "ending", "kept"),
    [
        (8_000, "PCM_U8", ".flac", "PCM_S8"),
        (96_000, "PCM_24", ".flac", "PCM_24"),
        (384_000, "PCM_16", ".flac", "PCM_16"),
        (8_000, "PCM_32", ".wav", "PCM_32"),
        (8_000, "FLOAT", ".wav", "FLOAT"),
        (8_000, "ULAW", ".flac", "PCM_16"),
        (66_001, "PCM_16", ".wav", "PCM_16"),
    ],
)
def test_rate_and_bit_depth_are_the_recordings(
    tmp_path: Path, rate: int, subtype: str, ending: str, kept: str
) -> None:
    record(tmp_path / "n.wav", 1.0, rate, subtype)
    options = ClipOptions(pad_s=0)
    (path,) = write_clips([event(0.25, 0.9)], tmp_path / "c", root=tmp_path, options=options).paths
    info = soundfile.info(path)
    assert (path.suffix, info.samplerate, info.subtype) == (ending, rate, kept)
    start, stop = round(0.25 * rate), round(0.75 * rate)
    whole, _ = soundfile.read(tmp_path / "n.wav", dtype="float64", start=start, stop=stop)
    clip, _ = soundfile.read(path, dtype="float64")
    np.testing.assert_allclose(clip, whole, rtol=0, atol=2.0**-24 if subtype == "PCM_32" else 0)


@DECODE_HERE
def test_what_cannot_be_cut_is_told_and_the_rest_is_there(tmp_path: Path) -> None:
    record(tmp_path / "n.wav")
    (tmp_path / "b.wav").write_bytes(b"RIFFnothing")
    found = [event(1, 0.9), event(1, 0.8, recording="b.wav"), event(11, 0.7)]
    report = write_clips(found, tmp_path / "c", root=tmp_path)
    assert len(report.paths) == 1
    assert [name for name, _ in report.failed] == ["b.wav", "n.wav"]
    # A further call adds to the table, and drops what is gone.
    options = ClipOptions(name="birdnet", pad_s=0.5)
    found = [event(2, 1.5, label="owl"), event(3, 0.5, label="owl", review="negative")]
    more = write_clips(found, tmp_path / "c", root=tmp_path, options=options)
    assert [path.name for path in more.paths] == [
        "0.500_2_n_3.0s_3.5s.wav",
        "1.000_1_n_2.0s_2.5s.wav",
    ]
    corpus = open_corpus(tmp_path / "c")
    said = [(row.exemplar.labels, row.exemplar.not_labels) for row in corpus]
    assert said == [((), ("owl",)), (("owl",), ()), (("wren",), ())]
    assert corpus.reading_notes() == [
        "1 row says that a sound is not there; kept as not_labels, which answer nothing"
    ]
    report.paths[0].unlink()
    write_clips([], tmp_path / "c", root=tmp_path)
    assert [row.exemplar.labels for row in open_corpus(tmp_path / "c")] == [(), ("owl",)]


@pytest.mark.slow
def test_clips_are_cut_in_a_process_of_its_own(tmp_path: Path) -> None:
    record(tmp_path / "n.wav")
    assert len(write_clips([event(1, 0.9)], tmp_path / "c", root=tmp_path).paths) == 1


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=300))
def test_any_label_is_a_folder(label: str) -> None:
    (name,) = label_folders([label]).values()
    assert 0 < len(name.encode()) <= 255
    assert not set(name) & set('/\\:*?"<>|\0\n\r\t.')
    assert name == name.strip()


def test_labels_that_would_share_a_folder_are_an_error() -> None:
    for one, two in (("Wren", "wren"), ("wr\u00e9n", "wre\u0301n")):
        with pytest.raises(CorpusError, match="would share a folder of clips"):
            label_folders([one, two])
    assert len(set(label_folders(["a/b", "a%2Fb", "CON", "con.", " a", "a"]).values())) == 6


@given(
    st.lists(st.integers(0, 30).map(lambda n: n / 20), max_size=40),
    st.sampled_from(["top", "random", "balanced", "uncertain"]),
    st.none() | st.integers(1, 20),
)
def test_a_choice_is_a_part_of_the_events_whatever_their_order(
    scores: list[float], choose: str, most: int | None
) -> None:
    found = [event(float(at), score) for at, score in enumerate(scores)]
    options = {"threshold": 0.7, "seed": 3}
    chosen = choose_events(found, choose, most, **options)  # type: ignore[arg-type]
    assert len(chosen) == min(len(found), len(found) if most is None else most)
    assert len({each.event_id for each in chosen}) == len(chosen)
    again = choose_events(found[::-1], choose, most, **options)  # type: ignore[arg-type]
    assert again == chosen


def test_each_choice_takes_what_it_says() -> None:
    found = [event(float(at), at / 10) for at in range(21)]

    def scores(choose: str, most: int) -> list[float]:
        chosen = choose_events(found, choose, most, threshold=0.72)  # type: ignore[arg-type]
        return [each.score for each in chosen]

    assert scores("top", 2) == [2.0, 1.9]
    assert scores("uncertain", 3) == [0.7, 0.8, 0.6]
    assert sorted(int(score / 0.2) for score in scores("balanced", 10))[:9] == list(range(9))
    with pytest.raises(CorpusError, match="expected a threshold"):
        choose_events(found, "uncertain", 2)
    with pytest.raises(CorpusError, match="unknown choice 'best'"):
        choose_events(found, "best", 2)  # type: ignore[arg-type]
    with pytest.raises(CorpusError, match="pad_s=-1"):
        ClipOptions(pad_s=-1)
