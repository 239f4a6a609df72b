"""Builds: what is refused before any work, locks, full disks, progress and options."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from earful.errors import (
    CorpusError,
    IndexBusyError,
    IndexFolderError,
    IndexMismatchError,
)
from earful.index import Index, verify_index
from earful.index.builder import BuildOptions, BuildProgress, build, build_index
from earful.index.corpus import open_corpus, single_recording
from earful.index.storage import IndexFolder
from earful.model import Embedder
from tests.support.levels import Levels, levels_of, write_level, write_table

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
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.slow
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
