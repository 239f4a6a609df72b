import hashlib
import os
import threading
from pathlib import Path

import pytest

from earful.errors import ModelError
from earful.model.runtime import find_changed_files, read_json, sha256_of, write_json


def test_changed_files_are_found(tmp_path: Path) -> None:
    names = ("changed", "missing", "whole", "folder", "pipe")
    for name in names:
        (tmp_path / name).write_text(name)
    digests = {name: sha256_of(tmp_path / name) for name in names}
    assert digests["whole"] == hashlib.sha256(b"whole").hexdigest()
    (tmp_path / "changed").write_text("other")
    for name in ("missing", "folder", "pipe"):
        (tmp_path / name).unlink()
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    told: list[str] = []
    assert find_changed_files(tmp_path, digests, progress=told.append) == {
        "changed": f"has changed: sha256 {hashlib.sha256(b'other').hexdigest()[:12]}…, "
        f"expected {digests['changed'][:12]}…",
        "folder": "cannot be read: Is a directory",
        "missing": "is missing",
        "pipe": "cannot be read: Not a regular file",
    }
    assert told == sorted(names)


def test_files_are_read_at_the_same_time_and_named_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = threading.Barrier(2, timeout=30)
    monkeypatch.setattr("earful.model.runtime.digests.os.sched_getaffinity", lambda _: {0, 1})

    def together(path: Path) -> str:
        both.wait()
        return path.name

    monkeypatch.setattr("earful.model.runtime.digests.sha256_of", together)
    told: list[str] = []
    digests = {"b": "b", "a": "other", "d": "d", "c": "c"}
    assert list(find_changed_files(tmp_path, digests, progress=told.append)) == ["a"]
    assert told == ["a", "b", "c", "d"]


def test_a_digests_name_leads_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "model").mkdir()
    digests = {"../secret": sha256_of(tmp_path / "secret")}
    assert find_changed_files(tmp_path / "model", digests) == {"../secret": "is missing"}


def test_a_table_comes_back_and_nothing_else_does(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    write_json(path, {"b": "é", "a": [1]})
    assert read_json(path) == {"b": "é", "a": [1]}
    assert path.read_text(encoding="utf-8") == '{\n "b": "é",\n "a": [\n  1\n ]\n}\n'
    write_json(path, {"b": 1, "a": 2}, sort_keys=True)
    assert list(read_json(path)) == ["a", "b"]
    for content, why in (("[]", "expected a table, got list"), ("{", "cannot be read")):
        path.write_text(content)
        with pytest.raises(ModelError, match=rf"config\.json: {why}"):
            read_json(path)
    path.write_text("[" * 100_000)
    with pytest.raises(ModelError, match="cannot be read"):
        read_json(path)
