"""The journal: lines on the disk, torn ones, damaged ones, and several writers."""

import json
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.errors import LabelError
from earful.index.labels import Label, LabelJournal, Undo, journal_path
from tests.support.facilities import needs


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


def label(item: str = "a", reviewer: str = "ana", **said: Any) -> Label:
    given: dict[str, Any] = {
        "recording": "night.wav",
        "recording_sha256": "ab" * 32,
        "start_s": 1.0,
        "end_s": 1.5,
        "label": "wren",
        "polarity": "positive",
    }
    return Label(item=item, reviewer=reviewer, **(given | said))


def test_a_line_is_a_label_and_an_undo_takes_it_back(tmp_path: Path) -> None:
    journal = LabelJournal(journal_path(tmp_path))
    assert journal.read() == ()
    assert not journal.state().items
    first = journal.append(label(comment="far \u00e9"))
    assert first.seq == 1
    assert first.at is not None
    second = journal.append(label(polarity="negative"))
    assert journal.state().items["a"].status == "negative"
    assert journal.undo(second.seq, "ana") == second
    assert journal.state().items["a"].label == first
    assert journal.undo(1, "ana") == first
    assert not journal.state().items
    lines = [json.loads(line) for line in journal.path.read_text("ascii").splitlines()]
    assert lines[0] == first.to_dict()
    assert [line["seq"] for line in lines] == [1, 2, 3, 4]
    assert set(lines[2]) == {"seq", "at", "reviewer", "undo"}
    again = LabelJournal(journal.path)
    assert again.read() == journal.read()
    assert [type(one) for one in again.read(after=2)] == [Undo, Undo]


def test_only_the_own_and_only_once_is_undone(tmp_path: Path) -> None:
    journal = LabelJournal(tmp_path / "labels.jsonl")
    journal.append(label())
    with pytest.raises(LabelError, match="of 'ana'"):
        journal.undo(1, "ben")
    with pytest.raises(LabelError, match="no label has the number 7"):
        journal.undo(7, "ana")
    journal.undo(1, "ana")
    with pytest.raises(LabelError, match="already"):
        journal.undo(1, "ana")
    with pytest.raises(LabelError, match="no label has the number 2"):
        journal.undo(2, "ana")
    assert len(journal.read()) == 2


def test_every_cut_of_the_last_line_is_left_out_with_a_note(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    whole = LabelJournal(path)
    whole.append(label("a"))
    n_first = path.stat().st_size
    whole.append(label("b", comment="a } in it"))
    content = path.read_bytes()
    for size in [*range(n_first + 1, len(content), 11), len(content) - 2, len(content) - 1]:
        path.write_bytes(content[:size])
        journal = LabelJournal(path)
        assert list(journal.state().items) == ["a"]
        (note,) = journal.state().notes
        assert "line 2 was never finished" in note
        assert journal.append(label("c")).seq == 2
        for reader in (journal, LabelJournal(path)):
            assert list(reader.state().items) == ["a", "c"]
            assert reader.state().last_seq == 2
            assert "line 2 was never finished" in reader.state().notes[0]
        assert path.read_bytes()[:size] == content[:size]


def test_what_ends_a_torn_line_may_be_torn_too(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    LabelJournal(path).append(label("a"))
    path.write_bytes(path.read_bytes() + b'{"seq": 2, "at')
    before = path.read_bytes()
    LabelJournal(path).append(label("b"))
    content = path.read_bytes()
    for size in [
        *range(len(before) + 1, len(before) + 16),
        *range(len(before) + 16, len(content), 23),
    ]:
        path.write_bytes(content[:size])
        assert list(LabelJournal(path).state().items) == ["a"]
        assert LabelJournal(path).append(label("c")).seq == 2
        assert list(LabelJournal(path).state().items) == ["a", "c"]


@pytest.mark.parametrize(
    "change",
    [
        lambda line: b"nonsense",
        lambda line: line[:20],
        lambda line: b"",
        lambda line: line.replace(b'"seq": 2', b'"seq": 1'),
        lambda line: line.replace(b"positive", b"positivr"),
        lambda line: line.replace(b'"wren"', b'"wren", "more": 1'),
        lambda line: b'{"torn": 5}',
        lambda line: b'{"seq": 2, "at": "2026-05-04T09:12:03Z", "reviewer": "ben", "undo": 1}',
        lambda line: line.replace(b'"2', b'"x2', 1),
    ],
)
def test_a_damaged_line_in_the_middle_is_named(
    tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "labels.jsonl"
    journal = LabelJournal(path)
    for item in "abc":
        journal.append(label(item))
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([lines[0], change(lines[1]), lines[2], b""]))
    other = LabelJournal(path)
    with pytest.raises(LabelError, match="line 2"):
        other.state()
    with pytest.raises(LabelError, match="line 2"):
        other.append(label("d"))
    path.write_bytes(b"\n".join([*lines, b""]))
    assert list(other.state().items) == ["a", "b", "c"]


def test_writers_in_threads_share_no_number(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    shared = LabelJournal(path)

    def work(mine: LabelJournal, name: str) -> None:
        for n in range(15):
            mine.append(label(f"{name}{n}", name))

    threads = [
        threading.Thread(target=work, args=(mine, name))
        for mine, name in ((shared, "a"), (shared, "b"), (LabelJournal(path), "c"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = LabelJournal(path).read()
    assert [one.seq for one in found] == list(range(1, 46))
    assert len(shared.state().items) == 45


def test_a_moment_of_ones_own_is_kept(tmp_path: Path) -> None:
    at = datetime(2026, 5, 4, 9, 12, 3, 120_456, tzinfo=UTC)
    written = LabelJournal(tmp_path / "x.jsonl").append(label(at=at))
    assert written.at == at - timedelta(microseconds=456)


@needs("O_DIRECTORY")
def test_a_label_is_flushed_before_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, done = LabelJournal(tmp_path / "labels.jsonl"), list[bytes]()
    monkeypatch.setattr(os, "fsync", lambda _: done.append(journal.path.read_bytes()))
    journal.append(label())
    assert done[-1] == journal.path.read_bytes() != b""
    assert len(done) == 2  # the folder, too, as the file is new


def test_a_full_disk_promises_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal, write = LabelJournal(tmp_path / "labels.jsonl"), os.write
    journal.append(label("a"))

    def fill(descriptor: int, content: Any) -> int:
        if len(content) < 40:
            raise OSError(28, "No space left on device")
        return write(descriptor, bytes(content)[:30])

    monkeypatch.setattr(os, "write", fill)
    with pytest.raises(LabelError, match="make room, and say it again"):
        journal.append(label("b"))
    monkeypatch.setattr(os, "write", write)
    assert journal.append(label("c")).seq == 2
    assert list(LabelJournal(journal.path).state().items) == ["a", "c"]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="cannot be written"):
        LabelJournal(tmp_path / "no" / "labels.jsonl").append(label())


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("label", "x" * 201, "201 characters"),
        ("label", " ", "blank"),
        ("label", "a\x1b[31m", "U\\+001B"),
        ("label", 3, "expected text"),
        ("reviewer", "", "blank"),
        ("reviewer", "r" * 201, "201"),
        ("start_s", float("nan"), "finite"),
        ("start_s", -1.0, "0 or more"),
        ("end_s", 1.0, "not after"),
        ("score", float("inf"), "finite"),
        ("polarity", "maybe", "expected one of positive, negative"),
        ("source", "dream", "expected one of review"),
        ("comment", "c" * 2001, "at most 2000"),
        ("comment", "\x00", "U\\+0000"),
        ("recording_sha256", "xyz", "64 hex"),
        ("item", "", "0 characters"),
        ("seen_ms", -1, "0 or more"),
        ("flagged", 1, "true or false"),
        ("at", datetime(2026, 5, 4), "zone"),
    ],
)
def test_what_cannot_be_kept_is_refused(field: str, value: object, said: str) -> None:
    with pytest.raises(LabelError, match=said) as caught:
        label(**{field: value})  # type: ignore[arg-type]
    assert caught.value.field == field


def test_a_dispute_is_not_settled_by_a_skip() -> None:
    with pytest.raises(LabelError, match="settled"):
        label(source="resolve", polarity="skip")


@given(
    name=st.text(min_size=1, max_size=30),
    comment=st.text(max_size=40),
    recording=st.text(max_size=30) | st.just("odd\udcff\n.wav"),
    score=st.none() | st.floats(allow_nan=False, allow_infinity=False),
)
def test_a_label_read_again_is_the_label(
    name: str, comment: str, recording: str, score: float | None
) -> None:
    try:
        one = label(label=name, comment=comment, recording=recording, score=score)
    except LabelError:
        return
    assert Label.from_dict(json.loads(json.dumps(one.to_dict()))) == one
