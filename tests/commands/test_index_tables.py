"""``earful index`` on tables and labels that are not as they should be."""

import json
from collections.abc import Callable
from pathlib import Path

Run = Callable[..., tuple[int, str, str]]


def test_a_second_label_for_a_recording_is_told(run: Run, index: Path, corpus: Path) -> None:
    audio = corpus / "whistle" / "0.wav"
    add = ("index", "add", audio, "--index", index)
    code, out, _ = run(*add, "--label", "bird")
    assert code == 0
    assert "1 reused (equal audio)" in out
    assert "note: 1 recording stands in several rows whose labels differ" in out
    code, out, err = run(*add, "--label", "kettle")
    assert code == 0
    assert "0 embedded, 1 changed (vector kept), 0 unchanged" in out
    assert "equal audio" not in out
    assert "replaced 0.wav: was labelled 'bird' and is now 'kettle'" in out
    assert "to keep all: --label bird --label kettle" in err
    code, out, _ = run(*add, "--label", "bird", "--label", "kettle", "--json")
    report = json.loads(out)
    assert report["replaced"] == [
        {"id": "0.wav", "before": ["kettle"], "after": ["bird", "kettle"], "same_audio": True}
    ]
    assert report["contested"]["n"] == 1


def test_a_relabelled_table_is_no_equal_audio(run: Run, corpus: Path) -> None:
    table = corpus / "t.csv"
    build = ("index", "build", table, "--index", "s.index", "--embedder", "logmel")
    table.write_text("audio,label\nwhistle/0.wav,whistle\nlow hum/0.wav,hum\n")
    assert run(*build)[0] == 0
    table.write_text("audio,label\nwhistle/0.wav,bird\nlow hum/0.wav,hum\n")
    code, out, _ = run(*build)
    assert code == 0
    assert "0 embedded, 1 changed (vector kept), 1 unchanged, 0 rejected" in out
    assert "replaced whistle/0.wav: was labelled 'whistle' and is now 'bird'" in out


def test_a_dry_run_shows_the_columns_and_what_looks_odd(run: Run, corpus: Path) -> None:
    table = corpus / "t.csv"
    table.write_text("file;klass;start;x\nwhistle/0.wav;NA;0,1;7\nwhistle/1.wav;b;;7\n")
    dry = ("index", "build", table, "--index", "s.index", "--dry-run")
    code, _, err = run(*dry)
    assert code == 2
    assert "--column labels=klass" in err
    code, out, _ = run(*dry, "--column", "labels=klass", "--column", "start_s=")
    assert code == 0
    assert "columns: labels from klass, audio from file; kept as text: start, x" in out
    assert "note: labels that look like missing values" in out
    code, out, _ = run(*dry, "--column", "labels=klass", "--drop-missing", "--json")
    found = json.loads(out)
    assert (found["labels"], found["unlabelled"], found["missing"]) == ({"b": 1}, 1, {})


def test_options_about_tables_go_with_tables(run: Run, index: Path, corpus: Path) -> None:
    audio = corpus / "whistle" / "0.wav"
    code, _, err = run("index", "add", audio, "--index", index, "--label", "x", "--merge-rows")
    assert code == 2
    assert "--merge-rows" in err
    code, _, err = run("evaluate", "--index", index, "--drop-missing")
    assert code == 2
    assert "is about --data" in err
