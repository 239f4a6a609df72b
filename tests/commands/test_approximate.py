"""``earful index approximate`` in parts, as a user types it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.large_indexes import large_index

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.slow
def test_an_index_is_made_in_parts(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("lance")
    folder = large_index(tmp_path / "large.index").path
    words = ("index", "approximate", folder)
    code, _, err = run(*words, "--shard", "1/2")
    assert code == 1
    assert f"earful index approximate {folder} --train" in err
    code, out, _ = run(*words, "--train", "--partitions", "8")
    assert code == 0
    assert "8 partitions trained" in out
    assert json.loads(run(*words, "--shard", "2/2", "--json")[1])["rows"] == 600
    code, _, err = run(*words, "--commit")
    assert code == 1
    assert "part 1 of 2 was not built" in err
    assert "part 1 of 2: 600 rows" in run(*words, "--shard", "1/2")[1]
    code, out, _ = run(*words, "--commit", "--recall", "0.9", "--queries", "20")
    assert code == 0
    assert "tested with 20 rows" in out
    assert json.loads((folder / "approximate.json").read_text())["n_partitions"] == 8


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--train", "--commit"), "expected one of"),
        (("--shard", "3/2"), "expected I/N with I from 1 to N"),
        (("--shard", "half"), "expected I/N"),
        (("--commit", "--partitions", "9"), "is for --train"),
        (("--drop", "--recall", "0.5"), "measures the recall"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    run: Run, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    code, _, err = run("index", "approximate", tmp_path, *options)
    assert code == 2
    assert said in err


def test_a_cache_of_no_size_is_refused(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = large_index(tmp_path / "large.index", 60).path
    monkeypatch.setenv("EARFUL_INDEX_CACHE_MB", "much")
    code, _, err = run("index", "info", folder)
    assert code == 1
    assert "EARFUL_INDEX_CACHE_MB=much: expected a whole number" in err
    monkeypatch.setenv("EARFUL_INDEX_CACHE_MB", "16")
    assert run("index", "info", folder)[0] == 0
