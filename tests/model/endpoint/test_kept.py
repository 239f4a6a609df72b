"""Replies on the disk: whole or not there, believed for so long, and never in the way."""

import logging
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.model.endpoint.kept import DAY_S, KeptFolder, digest_of

KEY = digest_of("a question")


def test_what_was_kept_is_there_again(tmp_path: Path) -> None:
    kept = KeptFolder(tmp_path / "new")
    assert kept.get(KEY) is None
    kept.put(KEY, {"text": "a dog", "n": [1, None]})
    assert KeptFolder(tmp_path / "new").get(KEY) == {"text": "a dog", "n": [1, None]}
    kept.put(KEY, "another")
    assert kept.get(KEY) == "another"
    assert [path.suffix for path in (tmp_path / "new").rglob("*") if path.is_file()] == [".json"]


@pytest.mark.parametrize("cut", [0, 1, 40, -1])
def test_a_torn_file_is_asked_for_again(tmp_path: Path, cut: int) -> None:
    kept = KeptFolder(tmp_path)
    kept.put(KEY, "a dog")
    (file,) = tmp_path.rglob("*.json")
    whole = file.read_text()
    file.write_text(whole[:cut])
    assert kept.get(KEY) is None
    file.write_text(whole.replace("a dog", "a cat"))
    assert kept.get(KEY) is None


def test_what_is_too_old_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = KeptFolder(tmp_path, believed_s=DAY_S)
    kept.put(KEY, 1)
    assert kept.get(KEY) == 1
    now = time.time()
    for later_s in (DAY_S, -2 * DAY_S):  # a clock that was set back says nothing, either
        monkeypatch.setattr("time.time", lambda later_s=later_s: now + later_s)
        assert kept.get(KEY) is None


def test_a_folder_that_cannot_be_written_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING):
        KeptFolder(tmp_path / "file").put(KEY, 1)
    assert "cannot be kept" in caplog.text


@given(st.dictionaries(st.text(), st.integers() | st.text(), max_size=4))
def test_a_digest_depends_on_what_is_held_and_not_on_its_order(values: dict[str, object]) -> None:
    backwards = dict(reversed(values.items()))
    assert digest_of(values) == digest_of(backwards)
    assert digest_of({**values, "more": 1}) != digest_of({**values, "more": 2})
