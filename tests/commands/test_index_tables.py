"""``earful index`` on tables and labels that are not as they should be."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

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


def test_a_label_of_several_names_is_told_how_to_be_several(
    run: Run, index: Path, corpus: Path
) -> None:
    audio = corpus / "whistle" / "0.wav"
    code, out, _ = run("index", "add", audio, "--index", index, "--label", "frog,bird")
    assert code == 0
    assert "give each label an option of its own, --label A --label B" in out
    assert "--label-separator" not in out


def test_many_rows_rejected_for_one_reason_are_summarised(run: Run, corpus: Path) -> None:
    table = corpus / "t.csv"
    absent = "".join(f"no\\{n}.wav,x\n" for n in range(27))
    table.write_text(f"file,label\nwhistle/0.wav,whistle\n{absent}")
    build = ("index", "build", table, "--index", "s.index", "--embedder", "logmel")
    for command in ((*build, "--dry-run"), build, ("index", "info", "s.index")):
        _, out, _ = run(*command)
        assert "and 24 more for the same reason; --json lists all" in out
        assert out.count("no such file") == 3
    assert len(json.loads(run("index", "info", "s.index", "--json")[1])["rejected"]) == 27


@pytest.mark.slow
def test_an_index_without_rows_says_so(run: Run, corpus: Path) -> None:
    table = corpus / "t.csv"
    table.write_text("file,label\nno1.wav,x\nno2.wav,y\n")
    build = ("index", "build", table, "--index", "s.index", "--embedder", "earful-tiny")
    assert run(*build)[0] == 3
    query = corpus / "whistle" / "0.wav"
    why = "the index holds no rows; 2 were rejected, `earful index info "
    code, _, err = run("classify", query, "--index", "s.index")
    assert code == 2
    assert why in err
    assert why in "".join(run("search", query, "--index", "s.index")[1:])
    assert why in run("evaluate", "--index", "s.index", "--model", "none")[2]
    assert why in "".join(run("ask", query, "Is it near?", "--index", "s.index")[1:])
    assert why in "".join(run("caption", query, "--index", "s.index")[1:])
