"""Tables that name recordings by paths of another computer."""

from pathlib import Path

import pytest

from earful.errors import CorpusError
from earful.index.corpus import CorpusRow, open_corpus


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def rows(folder: Path, *named: str) -> list[CorpusRow]:
    lines = [f'"{name}",x\n' for name in named]
    (folder / "t.csv").write_text("file,label\n" + "".join(lines))
    return list(open_corpus(folder / "t.csv"))


@pytest.mark.parametrize(
    "named",
    [
        "/home/anna/bn/x.wav",
        "~/bn/x.wav",
        "D:\\Messungen\\x.wav",
        "d:/Messungen/x.wav",
        "\\\\server\\share\\x.wav",
        "//server/share/x.wav",
    ],
)
def test_a_recording_of_another_computer_is_found_beside_the_table(
    tmp_path: Path, named: str
) -> None:
    touch(tmp_path / "x.wav", tmp_path / "old/x.wav")
    (row,) = rows(tmp_path, named)
    assert (str(row.exemplar.audio), row.fault) == ("x.wav", "")


def test_the_longest_end_of_a_path_decides(tmp_path: Path) -> None:
    touch(tmp_path / "x.wav", tmp_path / "c/normal/x.wav", tmp_path / "c/worn/x.wav")
    (row,) = rows(tmp_path, "D:\\Messungen\\worn\\x.wav")
    assert str(row.exemplar.audio) == "c/worn/x.wav"
    touch(tmp_path / "d/worn/x.wav")
    (row,) = rows(tmp_path, "D:\\Messungen\\worn\\x.wav")
    assert "it may be c/worn/x.wav and d/worn/x.wav here" in row.fault
    touch(tmp_path / "worn/x.wav")  # as if the whole folder had been copied
    (row,) = rows(tmp_path, "D:\\Messungen\\worn\\x.wav")
    assert str(row.exemplar.audio) == "worn/x.wav"


def test_what_is_not_found_is_rejected_alone(tmp_path: Path) -> None:
    touch(tmp_path / "a.wav", tmp_path / "cat/y.wav")
    found = rows(tmp_path, "/far/a.wav", "/far/b.wav", "/far/dog/y.wav")
    assert [bool(row.fault) for row in found] == [False, True, True]
    assert "no file below" in found[1].fault
    # The name alone, in another folder, is no proof.
    assert "only cat/y.wav" in found[2].fault
    assert not any(str(row.exemplar.audio).startswith(("/", "..")) for row in found)


def test_two_recordings_of_another_computer_are_not_one_here(tmp_path: Path) -> None:
    touch(tmp_path / "1.wav")
    with pytest.raises(CorpusError, match=r"t\.csv:3: .*would both be '1\.wav' here"):
        rows(tmp_path, "D:\\dog\\1.wav", "D:\\cat\\1.wav")
    assert len(rows(tmp_path, "D:\\dog\\1.wav")) == 1


def test_a_recording_that_is_gone_from_here_is_not_looked_for(tmp_path: Path) -> None:
    touch(tmp_path / "b/x.wav")
    (row,) = rows(tmp_path, str(tmp_path / "a/b/x.wav"))
    assert str(row.exemplar.audio) == "a/b/x.wav"


def test_nothing_outside_is_reached(tmp_path: Path) -> None:
    root = tmp_path / "root"
    touch(root / "a.wav", tmp_path / "secret.wav")
    with pytest.raises(CorpusError, match="lies outside"):
        rows(root, str(tmp_path / "secret.wav"))
    (root / "x.wav").symlink_to(tmp_path / "secret.wav")
    with pytest.raises(CorpusError, match="lies outside"):
        rows(root, "/far/x.wav")
    with pytest.raises(CorpusError, match="lies outside"):
        rows(root, "/far/../../secret.wav")


def test_backslashes_of_a_relative_path_are_slashes(tmp_path: Path) -> None:
    touch(tmp_path / "sub/x.wav", tmp_path / "odd\\name.wav")
    found = rows(tmp_path, "sub\\x.wav", "odd\\name.wav")
    assert [str(row.exemplar.audio) for row in found] == ["sub/x.wav", "odd\\name.wav"]


def test_what_was_found_elsewhere_is_counted(tmp_path: Path) -> None:
    touch(tmp_path / "a.wav", tmp_path / "b.wav")
    (tmp_path / "t.csv").write_text("file,label\n/far/a.wav,x\n/far/b.wav,x\n")
    corpus = open_corpus(tmp_path / "t.csv")
    for _ in range(2):
        assert len(list(corpus)) == 2
        (note,) = corpus.reading_notes()
        assert "2 recordings are named by paths of another computer" in note


def test_merged_rows_keep_why_their_recording_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "file,label\nD:\\far\\x.wav,dog\nD:\\far\\x.wav,cat\nD:\\far\\y.wav,dog\n"
    )
    for row in open_corpus(tmp_path / "t.csv", merge_rows=True):
        assert "is a path of another computer" in row.fault
