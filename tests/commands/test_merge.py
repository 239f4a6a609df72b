"""``earful index build --shard`` and ``earful index merge`` as a user types them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]
BUILD = ("index", "build")


@pytest.fixture(autouse=True)
def decode_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARFUL_DECODE", "here")


def build(run: Run, corpus: Path, index: str, *words: str) -> tuple[int, str, str]:
    return run("index", "build", corpus, "--index", index, "--embedder", "logmel", *words)


def test_shards_are_built_and_merged(run: Run, corpus: Path) -> None:
    for i in (1, 2):
        code, out, _ = build(run, corpus, f"part-{i}.index", "--shard", f"{i}/2")
        assert code == 0
        assert "when all 2 shards are built: earful index merge" in out
    parts = ("part-1.index", "part-2.index")
    code, out, err = run("index", "merge", parts[0], "--index", "all.index")
    assert (code, out) == (1, "")
    assert "1 shard of 2 not given: 2" in err
    code, out, _ = run("index", "merge", *parts, "--index", "all.index", "--json")
    report = json.loads(out)
    assert code == 0
    assert (report["parts"], report["added"], report["n"], report["missing"]) == (2, 8, 8, [])
    code, out, _ = run("index", "merge", *parts, "--index", "all.index")
    assert (code, out.splitlines()[0]) == (
        0,
        "2 indexes merged: 0 rows added, 8 there already, 8 in the index, 0 rejected",
    )
    code, out, _ = run("index", "info", "part-1.index", "--json")
    assert json.loads(out)["shard"] == "1/2"
    code, out, _ = run("index", "info", "all.index", "--json")
    assert "shard" not in json.loads(out)


def test_a_dry_run_of_a_shard_decodes_its_rows(run: Run, corpus: Path) -> None:
    n = []
    for i in (1, 2):
        code, out, _ = build(run, corpus, "s.index", "--shard", f"{i}/2", "--dry-run", "--json")
        found = json.loads(out)
        assert (code, found["shard"]["i"], found["shard"]["n"]) == (0, i, 2)
        n.append(found["shard"]["rows"])
    assert sum(n) == 8
    assert not Path("s.index").exists()


def test_what_is_no_shard_is_a_usage_error(run: Run, corpus: Path) -> None:
    code, _, err = build(run, corpus, "s.index", "--shard", "3/2")
    assert code == 2
    assert "expected I/N with I from 1 to N" in " ".join(err.replace("│", " ").split())


def test_two_peoples_indexes_need_to_say_how(run: Run, corpus: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    corpus.rename(tmp_path / "here")
    (tmp_path / "here" / "whistle").rename(tmp_path / "moved")
    for name, folder in (("alice", other), ("bob", tmp_path / "here")):
        folder.mkdir(exist_ok=True)
        if name == "alice":
            (tmp_path / "moved").rename(other / "low hum")
        assert build(run, folder, f"{name}.index")[0] == 0
    given = ("alice.index", "bob.index", "--index", "both.index")
    code, _, err = run("index", "merge", *given)
    assert code == 1
    assert "stands for different rows" in err
    assert "--prefix" in err
    code, out, _ = run("index", "merge", *given, "--prefix")
    assert code == 0
    assert "8 rows added" in out
