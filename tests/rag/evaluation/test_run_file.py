"""The file of a run: appended to, never written again, held by one process at a time."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.errors import EvaluationError
from earful.rag.evaluation.arms import Prediction
from earful.rag.evaluation.run_file import RunFile, read_run
from tests.support.facilities import needs

HEADER = {"task": "tones"}
DOCUMENT = {"task": "tones", "rows": []}


def rows(item: str) -> tuple[Prediction, ...]:
    return tuple(Prediction(item=item, arm=arm, seed=0, text="dög") for arm in ("vote@1", "probe"))


def written(path: Path, n: int) -> Path:
    """Leave a run after so many items, as a kill would."""
    with RunFile(path, HEADER) as file:
        for number in range(n):
            file.append(str(number), rows(str(number)))
    return path.with_name(f"{path.name}.partial")


def items_in(path: Path) -> list[str]:
    with RunFile(path, HEADER) as file:
        return sorted(file.done)


def test_answers_are_appended_and_earlier_lines_are_left_alone(tmp_path: Path) -> None:
    partial = written(tmp_path / "run.json", 3)
    before = partial.read_bytes()
    with RunFile(tmp_path / "run.json", HEADER) as file:
        assert file.done == {item: rows(item) for item in "012"}
        # Even entering a run must not touch what it holds.
        assert partial.read_bytes() == before
        file.append("3", rows("3"))
        assert partial.read_bytes().startswith(before)
        file.finish(DOCUMENT)
    assert not partial.exists()
    assert read_run(tmp_path / "run.json")["task"] == "tones"


@given(cut=st.integers(0, 10_000))
def test_wherever_a_kill_tears_the_file_whole_lines_are_kept(
    cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("run") / "run.json"
    partial = written(path, 3)
    content = partial.read_bytes()
    torn = content[: cut % (len(content) + 1)]
    partial.write_bytes(torn)
    n_whole = max(torn.count(b"\n") - 1, 0)
    assert items_in(path) == [str(number) for number in range(n_whole)]
    # And what is appended now stands on a line of its own.
    with RunFile(path, HEADER) as file:
        file.append("new", rows("new"))
    assert items_in(path) == [*map(str, range(n_whole)), "new"]


def test_what_a_power_cut_left_unreadable_is_asked_about_again(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    partial = written(path, 3)
    lines = partial.read_bytes().split(b"\n")
    lines[2] = b"\0" * len(lines[2])
    partial.write_bytes(b"\n".join(lines))
    assert items_in(path) == ["0", "2"]
    for damage in (b"[1]", b'{"item": 3}', b'{"item": "1", "rows": [{}]}', b"[" * 100_000):
        lines[2] = damage
        partial.write_bytes(b"\n".join(lines))
        assert items_in(path) == ["0", "2"]


def test_a_file_of_something_else_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    partial = tmp_path / "run.json.partial"
    for content in ("my notes\n", "my notes", '{"digest": "other"}\n{}\n', "[]\n"):
        partial.write_text(content)
        with pytest.raises(EvaluationError, match=r"partial is of another run"):
            RunFile(path, HEADER).__enter__()
        assert partial.read_text() == content


def test_a_second_process_at_a_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    with RunFile(path, HEADER) as file:
        file.append("0", rows("0"))
        with pytest.raises(EvaluationError, match=r"run.json: another process is at this run"):
            RunFile(path, HEADER).__enter__()
        file.append("1", rows("1"))
    assert items_in(path) == ["0", "1"]


def test_a_process_finds_the_run_that_another_has_just_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.json"
    take = RunFile._lock_partial

    def finished_meanwhile(late: RunFile) -> None:
        monkeypatch.setattr(RunFile, "_lock_partial", take)
        with RunFile(path, HEADER) as first:
            first.append("0", rows("0"))
            first.finish({"rows": [row.to_dict() for row in rows("0")]})
        take(late)

    monkeypatch.setattr(RunFile, "_lock_partial", finished_meanwhile)
    with RunFile(path, HEADER) as late:
        assert late.done == {"0": rows("0")}


@pytest.mark.parametrize("content", [{}, {"rows": 3}, {"rows": [{}]}, {"rows": ["x"]}])
def test_a_damaged_document_is_an_error(tmp_path: Path, content: dict[str, Any]) -> None:
    path = tmp_path / "run.json"
    with RunFile(path, HEADER) as file:
        file.finish(content)
    with pytest.raises(EvaluationError, match=r"run.json: is damaged \((Key|Type|Value)Error"):
        RunFile(path, HEADER).__enter__()


def test_a_kill_between_the_document_and_its_partial_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    partial = written(path, 1)
    content = partial.read_bytes()
    with RunFile(path, HEADER) as file:
        file.finish(DOCUMENT)
    partial.write_bytes(content)
    assert items_in(path) == []
    assert not partial.exists()
    partial.write_text("of another run\n")
    assert items_in(path) == []
    assert partial.exists()


FULL = """
import resource, sys
from pathlib import Path
from earful.errors import EvaluationError
from earful.rag.evaluation.arms import Prediction
from earful.rag.evaluation.run_file import RunFile

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
n = 0
try:
    with RunFile(Path(sys.argv[1]), {"task": "tones"}) as file:
        for number in range(40):
            found = Prediction(item=str(number), arm="probe", seed=0, text="dog")
            file.append(str(number), [found])
            n += 1
        file.finish({"rows": ["x" * 20_000]})
except EvaluationError as error:
    print(n, error)
"""


@needs("resource")
@pytest.mark.parametrize(
    ("n_bytes", "named"), [(0, "partial"), (1000, "partial"), (12_000, "run.json:")]
)
def test_a_full_disk_is_an_error_and_the_answers_are_kept(
    tmp_path: Path, n_bytes: int, named: str
) -> None:
    path = tmp_path / "run.json"
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path), str(n_bytes)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    n, _, message = done.stdout.partition(" ")
    assert named in message
    assert "cannot be written (File too large)" in message
    assert "run the same command again" in message
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run.json.partial"]
    assert items_in(path) == sorted(str(number) for number in range(int(n)))


def test_every_second_of_answers_reaches_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 100.0
    synced: list[float] = []
    monkeypatch.setattr("earful.rag.evaluation.run_file.time.monotonic", lambda: now_s)
    monkeypatch.setattr("earful.rag.evaluation.run_file.os.fsync", lambda _: synced.append(now_s))
    with RunFile(tmp_path / "run.json", HEADER) as file:
        synced.clear()
        for _ in range(8):
            now_s += 0.3
            file.append("x", rows("x"))
        assert synced == pytest.approx([101.2, 102.4])
    assert len(synced) == 3


def test_numbers_of_resumed_answers_are_those_that_were_written(tmp_path: Path) -> None:
    row = Prediction(item="a", arm="vote@1", seed=0, text="x", similarities=(1 / 3,), spent_s=1 / 7)
    with RunFile(tmp_path / "run.json", HEADER) as file:
        file.append("a", [row])
    with RunFile(tmp_path / "run.json", HEADER) as file:
        (again,) = file.done["a"]
    assert json.dumps(again.to_dict()) == json.dumps(row.to_dict())


@pytest.mark.parametrize(
    ("number", "n_kept", "message"),
    [
        (errno.EACCES, 0, r"partial: .* \(Permission denied\); make it writable .* another --out$"),
        (errno.ENOSPC, 0, r"\(No space left on device\); make room and .*, or give another --out$"),
        (errno.EACCES, 1, r"; the answers until here are kept: make it writable and run .* again$"),
        (errno.ENOSPC, 1, r"; the answers until here are kept: make room and run the .* again$"),
    ],
)
def test_an_error_of_writing_says_what_was_kept(
    number: int, n_kept: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    path = tmp_path / "run.json"
    if n_kept:
        written(path, n_kept)
    monkeypatch.setattr("earful.rag.evaluation.run_file.os.open", refused)
    with pytest.raises(EvaluationError, match=message), RunFile(path, HEADER):
        pass
