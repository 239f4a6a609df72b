import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earful.index import Index, verify_index
from earful.index.builder import BuildOptions, build_index
from earful.index.corpus import single_recording
from earful.index.storage import IndexFolder, Row
from earful.model.audio import load_audio
from tests.support.levels import RATE, Levels, levels_of, write_level, write_table


def test_a_recording_becomes_the_row_one_computes_by_hand(tmp_path: Path) -> None:
    write_level(tmp_path / "sounds/bell/one.wav", 0.6, seconds=0.5)
    report = build_index(tmp_path / "sounds", tmp_path / "index", embedder=Levels())
    assert (report.accepted, report.skipped, report.rejected, report.n) == (1, 0, (), 1)
    assert report.audio_s == pytest.approx(0.5)
    index = Index.open(tmp_path / "index")
    vectors = index.vectors()
    assert vectors.exemplars[0].id == "bell/one.wav"
    assert vectors.exemplars[0].labels == ("bell",)
    assert vectors.paths[0] == tmp_path / "sounds/bell/one.wav"
    np.testing.assert_allclose(vectors.vectors, [[0.6, 0.8]], rtol=1e-6)
    assert verify_index(index).problems == ()


def test_every_vector_is_what_the_embedder_gives_for_the_file_alone(
    sounds: Path, tmp_path: Path
) -> None:
    build_index(sounds, tmp_path / "index", embedder=Levels())
    vectors = Index.open(tmp_path / "index").vectors()
    alone = [Levels().embed([load_audio(path, sample_rate=RATE)])[0] for path in vectors.paths]
    assert len(alone) == 12
    np.testing.assert_array_equal(vectors.vectors, np.stack(alone))


@pytest.mark.slow
@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    batch_clips=st.integers(1, 13),
    batch_s=st.floats(0.01, 1.0),
    ahead_bytes=st.integers(1, 10_000),
    commit_rows=st.integers(1, 13),
    n_decoders=st.integers(0, 5),
)
def test_the_rows_do_not_depend_on_the_options(
    sounds: Path,
    tmp_path: Path,
    batch_clips: int,
    batch_s: float,
    ahead_bytes: int,
    commit_rows: int,
    n_decoders: int,
) -> None:
    options = BuildOptions(
        batch_clips=batch_clips,
        batch_s=batch_s,
        ahead_bytes=ahead_bytes,
        commit_rows=commit_rows,
        n_decoders=n_decoders,
    )
    path = tmp_path / "any"
    shutil.rmtree(path, ignore_errors=True)
    embedder = Levels()
    report = build_index(sounds, path, embedder=embedder, options=options)
    assert report.accepted == embedder.n_clips == 12
    assert list(levels_of(Index.open(path)).values()) == [
        round(0.05 + number / 20, 4)
        for number in sorted(range(12), key=lambda number: (number % 3, number))
    ]
    for batch in embedder.batches:
        assert len(batch) <= batch_clips
        assert len(batch) == 1 or sum(batch) <= batch_s


# --- running again ---------------------------------------------------------------------------


def test_a_second_run_embeds_nothing(sounds: Path, tmp_path: Path) -> None:
    build_index(sounds, tmp_path / "index", embedder=Levels())
    embedder = Levels()
    report = build_index(sounds, tmp_path / "index", embedder=embedder)
    assert (report.accepted, report.skipped, report.n) == (0, 12, 12)
    assert embedder.batches == []


@pytest.mark.parametrize(
    ("failure", "n_kept"),
    [(RuntimeError, 4), (KeyboardInterrupt, 6)],  # an interruption keeps what has its vector
)
def test_what_was_kept_before_a_failure_is_not_embedded_again(
    sounds: Path, tmp_path: Path, failure: type[BaseException], n_kept: int
) -> None:
    options = BuildOptions(batch_clips=2, commit_rows=4)
    with pytest.raises(failure):
        build_index(
            sounds,
            tmp_path / "index",
            embedder=Levels(fail_at=4, failure=failure),
            options=options,
        )
    assert len(Index.open(tmp_path / "index").vectors().exemplars) == n_kept
    embedder = Levels()
    report = build_index(sounds, tmp_path / "index", embedder=embedder, options=options)
    assert (report.accepted, report.skipped, report.n) == (12 - n_kept, n_kept, 12)
    assert embedder.n_clips == 12 - n_kept
    assert verify_index(Index.open(tmp_path / "index")).problems == ()


@pytest.mark.slow
@pytest.mark.parametrize("before", [True, False])
def test_rows_whose_commit_is_interrupted_are_not_written_twice(
    sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    def add(self: IndexFolder, rows: Sequence[Row]) -> None:
        if not before:
            really_add(self, rows)
        raise KeyboardInterrupt

    really_add = IndexFolder.add
    monkeypatch.setattr(IndexFolder, "add", add)
    with pytest.raises(KeyboardInterrupt):
        build_index(sounds, tmp_path / "index", embedder=Levels())
    monkeypatch.undo()
    assert Index.open(tmp_path / "index").info.n == (0 if before else 12)
    assert build_index(sounds, tmp_path / "index", embedder=Levels()).n == 12
    assert verify_index(Index.open(tmp_path / "index")).problems == ()


def test_new_labels_keep_the_old_vector(tmp_path: Path) -> None:
    write_level(tmp_path / "a.wav", 0.3)
    write_level(tmp_path / "b.wav", 0.6)
    write_table(tmp_path / "t.csv", [{"audio": f"{x}.wav", "labels": "old"} for x in "ab"])
    build_index(tmp_path / "t.csv", tmp_path / "index", embedder=Levels())
    write_table(
        tmp_path / "t.csv",
        [{"audio": "a.wav", "labels": "new"}, {"audio": "b.wav", "labels": "old"}],
    )
    embedder = Levels()
    report = build_index(tmp_path / "t.csv", tmp_path / "index", embedder=embedder)
    assert (report.accepted, report.reused, report.skipped, report.n) == (1, 1, 1, 2)
    assert embedder.batches == []
    index = Index.open(tmp_path / "index")
    assert [exemplar.labels for exemplar in index.vectors().exemplars] == [("new",), ("old",)]
    assert levels_of(index) == {"a.wav": 0.3, "b.wav": 0.6}
    assert verify_index(index).problems == ()


def test_changed_audio_is_embedded_again(sounds: Path, tmp_path: Path) -> None:
    build_index(sounds, tmp_path / "index", embedder=Levels())
    write_level(sounds / "a/00.wav", 0.99)
    embedder = Levels()
    report = build_index(sounds, tmp_path / "index", embedder=embedder)
    assert (report.accepted, report.reused, report.skipped) == (1, 0, 11)
    assert levels_of(Index.open(tmp_path / "index"))["a/00.wav"] == 0.99


def test_another_segment_of_the_same_file_is_embedded(tmp_path: Path) -> None:
    quiet, loud = np.full(RATE, 0.1, np.float32), np.full(RATE, 0.9, np.float32)
    soundfile.write(tmp_path / "x.wav", np.concatenate([quiet, loud]), RATE, subtype="FLOAT")
    for start, end, level in (("0", "1", 0.1), ("1", "2", 0.9)):
        write_table(
            tmp_path / "t.csv",
            [{"id": "x", "audio": "x.wav", "labels": "l", "start_s": start, "end_s": end}],
        )
        report = build_index(tmp_path / "t.csv", tmp_path / "index", embedder=Levels())
        assert (report.accepted, report.n) == (1, 1)
        assert levels_of(Index.open(tmp_path / "index")) == {"x": level}


def test_a_renamed_file_keeps_its_vector_and_the_old_row_stays(
    sounds: Path, tmp_path: Path
) -> None:
    build_index(sounds, tmp_path / "index", embedder=Levels())
    (sounds / "a/00.wav").rename(sounds / "b/moved.wav")
    embedder = Levels()
    report = build_index(sounds, tmp_path / "index", embedder=embedder)
    assert (report.accepted, report.reused, report.stale, report.n) == (1, 1, ("a/00.wav",), 13)
    assert embedder.batches == []
    levels = levels_of(Index.open(tmp_path / "index"))
    assert levels["b/moved.wav"] == levels["a/00.wav"] == 0.05


def test_several_questions_about_one_recording_embed_it_once(tmp_path: Path) -> None:
    write_level(tmp_path / "a.wav", 0.3)
    write_level(tmp_path / "b.wav", 0.6)
    rows = [
        {"id": f"{audio}{n}", "audio": f"{audio}.wav", "question": f"{n}?", "answer": "yes"}
        for n in range(5)
        for audio in "ab"
    ]
    write_table(tmp_path / "t.csv", rows)
    embedder = Levels()
    options = BuildOptions(commit_rows=3, batch_clips=2)
    report = build_index(tmp_path / "t.csv", tmp_path / "index", embedder=embedder, options=options)
    assert (report.accepted, report.reused, embedder.n_clips) == (10, 8, 2)
    expected = {row["id"]: 0.3 if row["id"].startswith("a") else 0.6 for row in rows}
    assert levels_of(Index.open(tmp_path / "index")) == expected


@pytest.mark.parametrize("commit_rows", [1, 100])
def test_vectors_follow_the_audio_when_two_files_are_swapped(
    tmp_path: Path, commit_rows: int
) -> None:
    write_level(tmp_path / "a.wav", 0.3)
    write_level(tmp_path / "b.wav", 0.6)
    write_table(tmp_path / "t.csv", [{"id": x, "audio": f"{x}.wav", "labels": "l"} for x in "ab"])
    build_index(tmp_path / "t.csv", tmp_path / "index", embedder=Levels())
    write_level(tmp_path / "a.wav", 0.6)
    write_level(tmp_path / "b.wav", 0.3)
    options = BuildOptions(commit_rows=commit_rows)
    report = build_index(tmp_path / "t.csv", tmp_path / "index", embedder=Levels(), options=options)
    assert report.accepted == 2
    index = Index.open(tmp_path / "index")
    assert levels_of(index) == {"a": 0.6, "b": 0.3}
    assert verify_index(index).problems == ()


def test_rows_that_left_the_corpus_stay_and_are_counted(sounds: Path, tmp_path: Path) -> None:
    build_index(sounds, tmp_path / "index", embedder=Levels())
    shutil.rmtree(sounds / "c")
    report = build_index(sounds, tmp_path / "index", embedder=Levels())
    assert (report.stale, report.skipped, report.n) == (
        ("c/02.wav", "c/05.wav", "c/08.wav", "c/11.wav"),
        8,
        12,
    )


def test_adding_one_recording_says_nothing_of_its_neighbours(sounds: Path, tmp_path: Path) -> None:
    write_level(tmp_path / "x.wav", 0.5)
    write_level(tmp_path / "y.wav", 0.7)
    for name in ("x.wav", "y.wav"):
        corpus = single_recording(tmp_path / name, labels=("l",))
        report = build_index(corpus, tmp_path / "index", embedder=Levels())
        assert (report.accepted, report.stale) == (1, ())
    assert levels_of(Index.open(tmp_path / "index")) == {"x.wav": 0.5, "y.wav": 0.7}
