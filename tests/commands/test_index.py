"""``earful index`` as a user types it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.error_lines import without_help
from tests.support.snapshots import drop_snapshot
from tests.support.tones import write_tone

Run = Callable[..., tuple[int, str, str]]


def test_a_build_counts_and_a_second_one_skips_everything(run: Run, corpus: Path) -> None:
    words = ("index", "build", corpus, "--index", "s.index", "--embedder", "logmel", "--json")
    code, out, _ = run(*words)
    first = json.loads(out)
    assert (code, first["accepted"], first["skipped"], first["rejected"]) == (0, 8, 0, [])
    code, out, _ = run(*words)
    second = json.loads(out)
    assert (code, second["accepted"], second["skipped"]) == (0, 0, 8)


def test_a_bad_file_is_listed_and_the_exit_code_says_so(run: Run, corpus: Path) -> None:
    (corpus / "whistle" / "broken.wav").write_bytes(b"RIFF nothing useful")
    words = ("index", "build", corpus, "--index", "s.index", "--embedder", "logmel")
    code, out, _ = run(*words, "--json")
    report = json.loads(out)
    assert code == 3
    assert report["accepted"] == 8
    (rejected,) = report["rejected"]
    assert rejected["audio"] == "whistle/broken.wav"
    assert "broken.wav" in rejected["error"]
    code, out, _ = run("index", "info", "s.index", "--json")
    assert [item["audio"] for item in json.loads(out)["rejected"]] == ["whistle/broken.wav"]
    write_tone(corpus / "whistle" / "broken.wav", 3000, 99)
    code, out, _ = run(*words, "--json")
    assert code == 0
    assert json.loads(out)["accepted"] == 1


def test_a_dry_run_counts_and_writes_nothing(run: Run, corpus: Path) -> None:
    code, out, _ = run("index", "build", corpus, "--index", "s.index", "--dry-run", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["labels"] == {"low hum": 4, "whistle": 4}
    assert found["total_s"] == pytest.approx(8 * 0.6, abs=1e-3)
    assert not Path("s.index").exists()
    code, out, _ = run("index", "build", corpus, "--index", "s.index", "--dry-run")
    assert code == 0
    assert "8 rows, 8 files" in out


def test_a_new_index_by_what_ships_names_better_ears_once_where_they_can_be_had(
    run: Run, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(index: str, *words: str) -> list[str]:
        code, _, err = run("index", "build", corpus, "--index", index, *words)
        assert code == 0
        return [line for line in err.splitlines() if line.startswith("note: ")]

    # No test looks for anything on the hub: nothing can be had.
    assert build("offline.index") == []
    monkeypatch.delenv("HF_HUB_OFFLINE")
    (note,) = build("new.index")
    assert note.startswith("note: earful-small is small; --embedder laion/clap-htsat-unfused, ")
    assert note.endswith("(pip install 'earful[clap]'), and its weights are on the model hub")
    # Not again, to nobody who reads JSON, and about no embedder that was chosen otherwise.
    assert build("new.index") == []
    assert build("json.index", "--json") == []
    assert build("logmel.index", "--embedder", "logmel") == []


def test_another_embedder_is_refused(run: Run, index: Path, corpus: Path) -> None:
    code, _, err = run("index", "build", corpus, "--index", index)
    assert code == 1
    assert "logmel" in err
    assert "earful-small" in err
    assert len(without_help(err).strip().splitlines()) == 1


def test_an_unknown_embedder_is_one_line(run: Run, corpus: Path) -> None:
    code, out, err = run("index", "build", corpus, "--index", "x", "--embedder", "erful-tiny")
    assert (code, out) == (2, "")
    assert len(without_help(err).splitlines()) == 1
    assert "'earful-tiny'" in err


def test_a_broken_table_is_told_with_its_line_and_writes_nothing(run: Run, corpus: Path) -> None:
    (corpus / "metadata.csv").write_text("file_name,label\nlow hum/0.wav,a\nlow hum/1.wav\n")
    code, _, err = run("index", "build", corpus, "--index", "s.index", "--embedder", "logmel")
    assert code == 2
    assert "metadata.csv:3:" in err
    assert not Path("s.index").exists()


def test_an_arithmetic_that_is_not_offered_writes_nothing(
    run: Run, corpus: Path, tmp_path: Path
) -> None:
    new = tmp_path / "new.index"
    words = ("index", "build", corpus, "--index", new, "--dtype")
    for dtype, code, offered in (("int8", 2, "float32 or bfloat16"), ("bfloat16", 1, "float32")):
        found, _, err = run(*words, dtype)
        assert found == code
        assert dtype in err
        assert offered in err
    assert not new.exists()


def test_a_label_cannot_steer_the_terminal(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "evil").mkdir()
    for seed in range(2):
        write_tone(tmp_path / "evil" / f"{seed}.wav", 500, seed)
    rows = "".join(f'{{"file_name": "{n}.wav", "label": "a\\u001b[31mb"}}\n' for n in range(2))
    (tmp_path / "evil" / "metadata.jsonl").write_text(rows)
    code, out, err = run("index", "build", "evil", "--index", "e.index", "--embedder", "logmel")
    assert (code, out) == (2, "")
    assert "label 'a\\x1b[31mb' holds the character U+001B" in err
    assert not (tmp_path / "e.index").exists()
    # An index that an older version built may hold such a label all the same.
    monkeypatch.setattr("earful.index.corpus.corpus.exemplar_fault", lambda *_, **__: "")
    code, out, err = run("index", "build", "evil", "--index", "e.index", "--embedder", "logmel")
    assert code == 0, err
    query = write_tone(tmp_path / "query.wav", 510, 9)
    code, out, err = run("classify", query, "--index", "e.index")
    assert code == 0, err
    assert "a\\x1b[31mb" in out
    assert "\x1b" not in out + err


def test_adding_a_table_calls_no_other_row_stale(run: Run, index: Path, corpus: Path) -> None:
    write_tone(corpus / "whistle" / "late.wav", 3300, 80)
    (corpus / "more.csv").write_text("file_name,label\nwhistle/late.wav,whistle\n")
    code, out, _ = run("index", "add", corpus / "more.csv", "--index", index, "--json")
    report = json.loads(out)
    assert (code, report["accepted"], report["stale"], report["n"]) == (0, 1, [], 9)


def test_one_recording_can_be_added_and_removed(run: Run, index: Path, tmp_path: Path) -> None:
    extra = write_tone(tmp_path / "extra" / "beep.wav", 900, 60)
    code, _, err = run("index", "add", extra, "--label", "beep", "--index", index)
    assert code == 0, err
    _, out, _ = run("index", "info", index, "--json")
    info = json.loads(out)
    assert (info["n"], info["labels"]) == (9, 3)
    assert run("index", "remove", index, "nobody.wav")[0] == 1
    code, out, _ = run("index", "remove", index, "beep.wav", "--json")
    assert (code, json.loads(out)) == (0, {"removed": 1})


def test_adding_says_what_is_amiss_and_adds_nothing(run: Run, index: Path, corpus: Path) -> None:
    wav = corpus / "whistle" / "0.wav"
    for words, code, told in (
        ((corpus, "--group", "g7"), 2, "--group: it is about one recording; give its --label"),
        ((corpus, "--start-s", "0.1"), 2, "--start-s: it is about one recording"),
        ((corpus, "--end-s", "0.1"), 2, "--end-s: it is about one recording"),
        ((corpus, "--id", "zz"), 2, "--id: it is about one recording"),
        ((wav, "--label", "beep", "--root", corpus), 2, "--root: it is about a corpus"),
        ((wav, "--label", "beep", "--column", "audio=a"), 2, "--column: it is about a corpus"),
        ((wav, "--label", "beep", "--allow-outside"), 2, "--allow-outside: it is about a corpus"),
        ((corpus, "--label", "beep"), 2, "is a folder"),
        ((wav,), 2, "--label: one recording needs a label"),
        (("nope.wav", "--label", "beep"), 2, "nope.wav: no such file or folder"),
        (("nope.wav",), 2, "nope.wav: no such file or folder"),
    ):
        found, _, err = run("index", "add", *words, "--index", index)
        assert found == code
        assert told in " ".join(err.split()), (words, err)
    _, out, _ = run("index", "info", index, "--json")
    assert json.loads(out)["n"] == 8


def test_verify_finds_changed_audio(run: Run, index: Path, corpus: Path) -> None:
    code, out, _ = run("index", "verify", index, "--json")
    assert (code, json.loads(out)) == (0, {"checked": 8, "whole": 8, "unlisted": 0, "problems": []})
    write_tone(corpus / "whistle" / "0.wav", 500, 70)
    (corpus / "whistle" / "1.wav").unlink()
    code, out, _ = run("index", "verify", index, "--json")
    problems = json.loads(out)["problems"]
    assert code == 1
    assert [problem["id"] for problem in problems] == ["whistle/0.wav", "whistle/1.wav"]


@pytest.mark.slow
def test_verify_repairs_what_is_damaged(run: Run, index: Path, corpus: Path) -> None:
    next((index / "table/exemplars.lance/data").iterdir()).unlink()
    drop_snapshot(index)  # which would answer
    code, _, err = run("search", next(corpus.rglob("*.wav")), "--index", index)
    assert code == 1
    assert "`earful index verify " in err
    assert "--repair` keeps the undamaged rows" in err
    assert without_help(err).count("\n") == 1
    code, out, _ = run("index", "verify", index)
    assert code == 1
    assert "8 rows checked, 0 as written" in out
    # What is wrong with the index and not with a row begins with its file.
    assert not any(line.startswith(" ") for line in out.splitlines()), out
    code, out, _ = run("index", "verify", index, "--repair")
    assert code == 1
    assert "0 rows kept, 8 dropped, 0 embedded again, 8 still missing" in out
    code, out, _ = run("index", "verify", index, "--repair", "--corpus", corpus, "--json")
    found = json.loads(out)
    assert (code, found["checked"], found["problems"]) == (0, 8, [])
    assert (found["repair"]["embedded"], found["repair"]["missing"]) == (8, 0)
    assert run("index", "verify", index, "--corpus", corpus)[0] == 2


def test_export_writes_a_table(run: Run, index: Path) -> None:
    code, out, _ = run("index", "export", index, "rows.csv", "--json")
    assert code == 0
    assert json.loads(out)["written"] == 8
    assert len(Path("rows.csv").read_text().splitlines()) == 9
    assert run("index", "export", index, "rows.xls")[0] == 2


def test_approximate_search_is_made_measured_used_and_removed(
    run: Run, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = run("index", "approximate", index)
    assert code == 1
    assert "8 rows are too few" in err
    query = write_tone(tmp_path / "query.wav", 3100, 50)
    words = ("search", query, "--index", index, "--json", "--backend")
    code, _, err = run(*words, "approximate")
    assert code == 1
    assert "8 rows are too few" in err
    for module in ("approximate.partitioning", "disk_search"):
        monkeypatch.setattr(f"earful.index.search.{module}.LEAST_ROWS", 8)
    code, _, err = run(*words, "approximate")
    assert code == 1
    assert "earful index approximate" in err
    code, out, _ = run("index", "approximate", index, "--recall", "1", "--k", "3")
    assert code == 0
    assert "recall@3" in out
    assert "tested with 8 rows and their 3 nearest neighbours; recall" in out
    assert "100.0% asked for" in out
    told = json.loads(run("index", "approximate", index, "--json")[1])
    assert told["n_probes"] in {tried["n_probes"] for tried in told["tried"]}
    assert run(*words, "approximate")[1] == run(*words, "exact")[1] == run(*words, "half")[1]
    assert run("index", "approximate", index, "--drop")[0] == 0
    assert run(*words, "approximate")[0] == 1
