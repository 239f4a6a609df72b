import csv
import os
import resource
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from earful.errors import (
    CorpusError,
    IndexBusyError,
    IndexFolderError,
    IndexMismatchError,
)
from earful.index import Index, verify_index
from earful.index.builder import BuildOptions, BuildProgress, build, build_index
from earful.index.corpus import open_corpus, single_recording
from earful.index.storage import IndexFolder, Row
from earful.model import Embedder, Fingerprint
from earful.model.audio import AudioLimits, Clip, load_audio

RATE = 8000
Array = NDArray[np.float32]


class Levels:
    """An embedder one can compute by hand: mean absolute level m to (m, sqrt(1 - m^2), 0...)."""

    def __init__(self, dim: int = 2, *, fail_at: int = 0, failure: type[BaseException] = OSError):
        self.fingerprint = Fingerprint(
            name="levels",
            revision="",
            weights_sha256="",
            dim=dim,
            sample_rate=RATE,
            windowing="whole",
        )
        self.batches: list[list[float]] = []
        self._fail_at = fail_at
        self._failure = failure

    @property
    def n_clips(self) -> int:
        return sum(map(len, self.batches))

    def embed(self, clips: Sequence[Clip]) -> Array:
        self.batches.append([clip.duration_s for clip in clips])
        if len(self.batches) == self._fail_at:
            raise self._failure("stopped on purpose")
        vectors = np.zeros((len(clips), self.fingerprint.dim), dtype=np.float32)
        for row, clip in enumerate(clips):
            assert clip.sample_rate == RATE
            level = float(np.abs(clip.samples).mean())
            vectors[row, :2] = level, np.sqrt(1 - level**2)
        return vectors


def write_level(path: Path, level: float, *, seconds: float = 0.05) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.full(round(RATE * seconds), level, dtype=np.float32)
    soundfile.write(path, samples, RATE, subtype="FLOAT")


def write_table(path: Path, rows: Sequence[dict[str, str]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """Twelve recordings in three label folders, each with its own level."""
    folder = tmp_path / "sounds"
    for number in range(12):
        write_level(folder / "abc"[number % 3] / f"{number:02}.wav", 0.05 + number / 20)
    return folder


def levels_of(index: Index) -> dict[str, float]:
    vectors = index.vectors()
    return {
        exemplar.id: round(float(vector[0]), 4)
        for exemplar, vector in zip(vectors.exemplars, vectors.vectors, strict=True)
    }


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


def test_another_stretch_of_the_same_file_is_embedded(tmp_path: Path) -> None:
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


# --- recordings that cannot be used --------------------------------------------------------


def test_a_bad_file_is_listed_retried_and_dropped_from_the_list_when_mended(
    sounds: Path, tmp_path: Path
) -> None:
    bad = sounds / "a/06.wav"
    bad.write_bytes(b"RIFF but nothing else")
    for _ in range(2):
        report = build_index(sounds, tmp_path / "index", embedder=Levels())
        assert report.n == 11
        (rejection,) = report.rejected
        assert rejection.audio == "a/06.wav"
        assert rejection.where == str(bad)
        assert "06.wav" in rejection.error
        assert Index.open(tmp_path / "index").rejections() == (rejection,)
    write_level(bad, 0.5)
    report = build_index(sounds, tmp_path / "index", embedder=Levels())
    assert (report.accepted, report.rejected, report.n) == (1, (), 12)
    assert Index.open(tmp_path / "index").rejections() == ()


def test_rejections_come_in_the_order_of_the_corpus_whenever_they_show(tmp_path: Path) -> None:
    sounds = tmp_path / "sounds/l"
    write_level(sounds / "1.wav", 0.5)
    (sounds / "2.wav").write_bytes(b"")
    write_level(sounds / "3.wav", 0.5, seconds=9.0)
    (sounds / "4.wav").mkdir()
    (sounds / "4.wav/inner.wav").write_bytes(b"junk")
    (sounds / "5.wav").symlink_to("nowhere.wav")
    options = BuildOptions(limits=AudioLimits(max_duration_s=5.0))
    report = build_index(
        tmp_path / "sounds", tmp_path / "index", embedder=Levels(), options=options
    )
    assert report.n == 1
    assert {rejection.audio for rejection in report.rejected} == {
        "l/2.wav",
        "l/3.wav",
        "l/4.wav/inner.wav",
        "l/5.wav",
    }
    order = [str(row.exemplar.audio) for row in open_corpus(tmp_path / "sounds")]
    found = [rejection.audio for rejection in report.rejected]
    assert found == sorted(found, key=order.index)


def test_every_row_of_a_bad_recording_is_rejected_with_its_own_place(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"no audio")
    write_table(
        tmp_path / "t.csv", [{"id": str(n), "audio": "a.wav", "labels": "l"} for n in range(3)]
    )
    report = build_index(tmp_path / "t.csv", tmp_path / "index", embedder=Levels())
    places = [rejection.where for rejection in report.rejected]
    assert places == [f"{tmp_path / 't.csv'}:{line}" for line in (2, 3, 4)]


def test_audio_that_only_fails_when_decoded_rejects_all_rows_that_wait_for_it(
    tmp_path: Path,
) -> None:
    samples = np.full(RATE, 0.5, np.float32)
    samples[-1] = np.nan
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    write_table(
        tmp_path / "t.csv", [{"id": str(n), "audio": "a.wav", "labels": "l"} for n in range(3)]
    )
    report = build_index(tmp_path / "t.csv", tmp_path / "index", embedder=Levels())
    assert (report.accepted, report.n, len(report.rejected)) == (0, 0, 3)
    assert all("nan" in rejection.error for rejection in report.rejected)


def test_one_corpus_leaves_the_rejections_of_another_in_the_list(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name / name).mkdir(parents=True)
        (tmp_path / name / name / "bad.wav").write_bytes(b"junk")
        build_index(tmp_path / name, tmp_path / "index", embedder=Levels())
    listed = [rejection.audio for rejection in Index.open(tmp_path / "index").rejections()]
    assert listed == ["first/bad.wav", "second/bad.wav"]
    (tmp_path / "first/first/bad.wav").unlink()
    write_level(tmp_path / "second/second/bad.wav", 0.5)
    build_index(tmp_path / "second", tmp_path / "index", embedder=Levels())
    assert Index.open(tmp_path / "index").rejections() == ()


def test_a_single_recording_drops_off_the_list_from_any_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.wav").write_bytes(b"junk")
    monkeypatch.chdir(tmp_path)
    build_index(single_recording("x.wav", labels=("l",)), "index", embedder=Levels())
    (rejection,) = Index.open("index").rejections()
    assert rejection.where == str(tmp_path / "x.wav")
    write_level(tmp_path / "x.wav", 0.5)
    monkeypatch.chdir("/")
    corpus = single_recording(tmp_path / "x.wav", labels=("l",))
    build_index(corpus, tmp_path / "index", embedder=Levels())
    assert Index.open(tmp_path / "index").rejections() == ()


def test_a_vector_that_is_no_direction_rejects_its_recording_only(
    sounds: Path, tmp_path: Path
) -> None:
    class Flawed(Levels):
        def embed(self, clips: Sequence[Clip]) -> Array:
            vectors = super().embed(clips)
            vectors[np.isclose(vectors[:, 0], 0.05)] = np.nan
            return vectors

    report = build_index(sounds, tmp_path / "index", embedder=Flawed())
    assert (report.accepted, report.n) == (11, 11)
    assert [rejection.audio for rejection in report.rejected] == ["a/00.wav"]
    assert "norm nan" in report.rejected[0].error


def test_a_file_name_that_is_not_unicode_is_rejected_and_the_rest_goes_on(
    sounds: Path, tmp_path: Path
) -> None:
    shutil.copy(os.fsencode(sounds / "a/00.wav"), os.fsencode(sounds / "a") + b"/caf\xe9.wav")
    report = build_index(sounds, tmp_path / "index", embedder=Levels())
    assert report.n == 12
    (rejection,) = report.rejected
    assert rejection.audio == "a/caf\\udce9.wav"
    assert "not Unicode" in rejection.error
    assert Index.open(tmp_path / "index").rejections() == (rejection,)


# --- refusals --------------------------------------------------------------------------------


def test_a_broken_row_at_the_end_of_a_table_stops_before_anything_is_written(
    tmp_path: Path,
) -> None:
    write_level(tmp_path / "a.wav", 0.5)
    rows = [{"id": str(n), "audio": "a.wav", "start_s": "0"} for n in range(50)]
    write_table(tmp_path / "t.csv", [*rows, {"id": "50", "audio": "a.wav", "start_s": "soon"}])
    embedder = Levels()
    with pytest.raises(CorpusError, match=r"t\.csv:52.*soon"):
        build_index(tmp_path / "t.csv", tmp_path / "index", embedder=embedder)
    assert not (tmp_path / "index").exists()
    assert embedder.batches == []


def test_another_embedder_is_refused_before_any_work(sounds: Path, tmp_path: Path) -> None:
    build_index(sounds, tmp_path / "index", embedder=Levels())
    write_level(sounds / "a/new.wav", 0.5)
    other = Levels()
    other.fingerprint = replace(other.fingerprint, windowing="first second")
    with pytest.raises(IndexMismatchError, match="first second"):
        build_index(sounds, tmp_path / "index", embedder=other)
    assert other.batches == []
    assert Index.open(tmp_path / "index").info.n == 12


def test_a_second_build_is_refused_while_the_first_writes(sounds: Path, tmp_path: Path) -> None:
    build_index(sounds, tmp_path / "index", embedder=Levels())
    embedder = Levels()
    with (
        IndexFolder.open(tmp_path / "index").writer(),
        pytest.raises(IndexBusyError, match="written by"),
    ):
        build_index(sounds, tmp_path / "index", embedder=embedder)
    assert embedder.batches == []


def test_the_lock_is_held_from_first_to_last_row(sounds: Path, tmp_path: Path) -> None:
    refused = 0

    def try_to_write(progress: BuildProgress) -> None:
        nonlocal refused
        with pytest.raises(IndexBusyError), IndexFolder.open(tmp_path / "index").writer():
            pass
        refused += 1

    options = BuildOptions(commit_rows=4)
    build_index(
        sounds, tmp_path / "index", embedder=Levels(), options=options, progress=try_to_write
    )
    assert refused >= 3


def test_an_id_of_another_corpus_is_refused_before_any_work(tmp_path: Path) -> None:
    for name in ("first", "second"):
        write_level(tmp_path / name / "l/same.wav", 0.5)
        write_level(tmp_path / name / f"l/{name}.wav", 0.6)
    build_index(tmp_path / "first", tmp_path / "index", embedder=Levels())
    embedder = Levels()
    with pytest.raises(IndexFolderError, match=r"same\.wav.*first.*second"):
        build_index(tmp_path / "second", tmp_path / "index", embedder=embedder)
    assert embedder.batches == []
    assert set(levels_of(Index.open(tmp_path / "index"))) == {"l/same.wav", "l/first.wav"}


def test_two_corpora_share_an_index(tmp_path: Path) -> None:
    for name, level in (("first", 0.5), ("second", 0.6)):
        write_level(tmp_path / name / f"l/{name}.wav", level)
        report = build_index(tmp_path / name, tmp_path / "index", embedder=Levels())
        assert (report.accepted, report.stale) == (1, ())
    index = Index.open(tmp_path / "index")
    assert levels_of(index) == {"l/first.wav": 0.5, "l/second.wav": 0.6}
    assert verify_index(index).problems == ()


@contextmanager
def largest_file(n_bytes: int) -> Iterator[None]:
    """Let the operating system refuse to grow any file beyond some size."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_write_that_the_disk_refuses_leaves_what_was_committed(
    sounds: Path, tmp_path: Path
) -> None:
    wide = Levels(dim=4096)
    options = BuildOptions(commit_rows=1)
    build_index(
        single_recording(sounds / "a/00.wav", labels=("l",), id="first"),
        tmp_path / "index",
        embedder=wide,
        options=options,
    )
    with largest_file(8192), pytest.raises(IndexFolderError, match="cannot be written"):
        build_index(sounds, tmp_path / "index", embedder=wide, options=options)
    assert set(levels_of(Index.open(tmp_path / "index"))) == {"first"}
    report = build_index(sounds, tmp_path / "index", embedder=wide, options=options)
    assert report.n == 13
    assert verify_index(Index.open(tmp_path / "index")).problems == ()


def test_too_little_space_is_told_before_any_work(
    sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder = Levels()
    usage = shutil.disk_usage(tmp_path)._replace(free=10_000)
    monkeypatch.setattr("earful.index.builder.build.shutil.disk_usage", lambda path: usage)
    with pytest.raises(IndexFolderError, match="12 new rows need about 12,384 bytes"):
        build_index(sounds, tmp_path / "index", embedder=embedder)
    assert embedder.batches == []


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="commit_rows=0"):
        BuildOptions(commit_rows=0)
    with pytest.raises(ValueError, match="n_decoders=-1"):
        BuildOptions(n_decoders=-1)


# --- telling -----------------------------------------------------------------------------------


def test_progress_only_counts_up_and_commits_are_a_prefix_of_the_corpus(
    sounds: Path, tmp_path: Path
) -> None:
    (sounds / "a/03.wav").write_bytes(b"junk")
    order = [row.exemplar.id for row in open_corpus(sounds)]
    seen: list[BuildProgress] = []

    def look(progress: BuildProgress) -> None:
        seen.append(progress)
        stored = set(Index.open(tmp_path / "index")._folder.indexed_rows())
        good = [id_ for id_ in order if id_ != "a/03.wav"]
        assert stored == set(good[: progress.committed])

    options = BuildOptions(commit_rows=3, batch_clips=2)
    build_index(sounds, tmp_path / "index", embedder=Levels(), options=options, progress=look)
    for before, after in pairwise(seen):
        for name in ("done", "accepted", "committed", "skipped", "rejected", "seconds"):
            assert getattr(after, name) >= getattr(before, name)
    last = seen[-1]
    assert (last.done, last.total, last.committed, last.rejected) == (12, 12, 11, 1)


def test_the_report_is_plain_json_values(sounds: Path, tmp_path: Path) -> None:
    (sounds / "a/03.wav").write_bytes(b"junk")
    report = build_index(sounds, tmp_path / "index", embedder=Levels()).to_dict()
    assert (report["accepted"], report["reused"], report["skipped"]) == (11, 0, 0)
    assert list(report["rejected"][0]) == ["audio", "row", "error"]


def test_an_index_goes_on_in_the_arithmetic_it_was_begun_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def load(name: str, *, revision: str, device: str, dtype: str) -> Embedder:
        asked.append((name, dtype))
        return Levels()

    monkeypatch.setattr(build, "load_embedder", load)
    begun, folder = tmp_path / "begun.index", tmp_path / "weights"
    for name in ("some/model", str(folder)):
        stored = replace(Levels().fingerprint, name=name, dtype="bfloat16")
        Index.open_or_create(begun / folder.name if name != "some/model" else begun, stored)
    monkeypatch.chdir(tmp_path)
    build.embedder_for(tmp_path / "new.index", "some/model")
    build.embedder_for(begun, "some/model")
    build.embedder_for(begun, "some/model", dtype="float32")  # which the index then refuses
    build.embedder_for(begun, "other/model")
    build.embedder_for(begun / "weights", "weights")
    assert asked == [
        ("some/model", "auto"),
        ("some/model", "bfloat16"),
        ("some/model", "float32"),
        ("other/model", "auto"),
        ("weights", "bfloat16"),
    ]


def test_a_large_index_answers_conditions_from_indices_of_its_columns(
    tmp_path: Path, sounds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = tmp_path / "small.index", tmp_path / "large.index"
    build_index(sounds, small, embedder=Levels())
    monkeypatch.setattr(build, "_ROWS_WORTH_AN_INDEX", 2)
    build_index(sounds, large, embedder=Levels())
    columns = [
        {
            column
            for made in Index.open(path)._folder.table._lance.list_indices()
            for column in made.columns
        }
        for path in (small, large)
    ]
    assert columns == [set(), {"labels", "split"}]
