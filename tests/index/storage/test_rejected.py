"""The list of recordings that could not be embedded."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.errors import IndexFolderError
from earful.index.corpus import Rejection
from earful.index.storage.rejected import REJECTED_NAME, read_rejections, write_rejections

TEXT = st.text(st.characters(exclude_categories=())).map(str)


@given(texts=st.lists(st.tuples(TEXT, TEXT, TEXT), max_size=4))
def test_the_list_comes_back_whatever_files_are_called(
    texts: list[tuple[str, str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("index")
    assert read_rejections(folder) == ()
    wanted = tuple(Rejection(audio=a, where=w, error=e) for a, w, e in texts)
    write_rejections(folder, wanted)
    assert read_rejections(folder) == wanted


def test_a_list_that_cannot_be_written_leaves_the_one_there_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = (Rejection(audio="a.wav", where="a.wav", error="not audio"),)
    write_rejections(tmp_path, old)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(IndexFolderError, match=r"rejected.jsonl: cannot be written \(No space"):
            write_rejections(tmp_path, old * 2)
    assert read_rejections(tmp_path) == old
    assert os.listdir(tmp_path) == [REJECTED_NAME]


@pytest.mark.parametrize(
    "line", [b"{", b"[]", b"3", b'{"audio": "a"}', b"\xff\xfe", b"[" * 100_000, b"\0\0\0"]
)
def test_a_damaged_list_says_how_to_mend_it(tmp_path: Path, line: bytes) -> None:
    whole = json.dumps({"audio": "a", "row": "a", "error": "e"}).encode()
    (tmp_path / REJECTED_NAME).write_bytes(whole + b"\n" + line + b"\n")
    with pytest.raises(IndexFolderError, match=r"rejected.jsonl: is damaged .* the next build"):
        read_rejections(tmp_path)
