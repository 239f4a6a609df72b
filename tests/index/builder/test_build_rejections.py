"""Builds of corpora with recordings that cannot be used."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earful.index import Index
from earful.index.builder import BuildOptions, build_index
from earful.index.corpus import open_corpus, single_recording
from earful.model.audio import AudioLimits, Clip
from tests.support.levels import RATE, Array, Levels, write_level, write_table

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


def test_rejections_of_an_earlier_table_go_when_their_stretch_is_indexed(tmp_path: Path) -> None:
    write_level(tmp_path / "a.wav", 0.5)
    index = tmp_path / "index"
    old, new = tmp_path / "old.csv", tmp_path / "new.csv"
    old.write_text("id,file,label\n1,a.wav,x\n2,b.wav,x\n3,c.wav,x\n")
    build_index(old, index, embedder=Levels())
    assert [one.audio for one in Index.open(index).rejections()] == ["b.wav", "c.wav"]
    write_level(tmp_path / "b.wav", 0.25)
    new.write_text("id,file,label\n8,b.wav,x\n9,d.wav,x\n")
    build_index(new, index, embedder=Levels())
    found = Index.open(index).rejections()
    assert [(one.audio, one.is_earlier) for one in found] == [("c.wav", True), ("d.wav", False)]
    # A recording added by itself, or another folder, tells nothing of the table.
    build_index(single_recording(tmp_path / "a.wav", labels=("x",)), index, embedder=Levels())
    assert Index.open(index).rejections() == found
    build_index(old, index, embedder=Levels())
    found = Index.open(index).rejections()
    assert [(one.audio, one.is_earlier) for one in found] == [("d.wav", True), ("c.wav", False)]


def test_a_list_of_an_older_version_is_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("file,label\nb.wav,x\n")
    build_index(tmp_path / "t.csv", tmp_path / "index", embedder=Levels())
    path = tmp_path / "index/rejected.jsonl"
    (line,) = path.read_text().splitlines()
    older = {key: json.loads(line)[key] for key in ("audio", "row", "error")}
    path.write_text(json.dumps(older) + "\n")
    (found,) = Index.open(tmp_path / "index").rejections()
    assert (found.audio, found.root, found.is_earlier) == ("b.wav", "", False)
    assert found.to_dict() == older


def test_a_link_to_nothing_outside_rejects_itself_alone(sounds: Path, tmp_path: Path) -> None:
    (sounds / "a/link.wav").symlink_to("/nowhere/x.wav")
    report = build_index(sounds, tmp_path / "index", embedder=Levels())
    (rejection,) = report.rejected
    assert (report.n, rejection.audio) == (12, "a/link.wav")
    assert "'/nowhere/x.wav', which does not exist" in rejection.error


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
