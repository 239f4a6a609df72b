import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earful import cli
from earful.commands.index import index_app
from earful.commands.tasks import tasks_app

Run = Callable[..., tuple[int, str, str]]
RATE = 22050


def tone(path: Path, hz: float, seed: int, seconds: float = 0.6) -> Path:
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE)) / RATE
    samples = 0.3 * np.sin(2 * np.pi * hz * t) + 0.005 * rng.standard_normal(t.size)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE)
    return path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, earful_command: Run, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    return earful_command


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    for seed in range(4):
        tone(tmp_path / "corpus" / "low hum" / f"{seed}.wav", 120 + 5 * seed, seed)
        tone(tmp_path / "corpus" / "whistle" / f"{seed}.wav", 3000 + 50 * seed, seed + 10)
    return tmp_path / "corpus"


@pytest.fixture
def index(run: Run, corpus: Path) -> Path:
    code, _, err = run("index", "build", corpus, "--index", "s.index", "--embedder", "logmel")
    assert code == 0, err
    return Path("s.index")


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
    tone(corpus / "whistle" / "broken.wav", 3000, 99)
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


def test_classify_answers_with_evidence(run: Run, index: Path, tmp_path: Path) -> None:
    query = tone(tmp_path / "query.wav", 3100, 50)
    code, out, err = run("classify", query, "--index", index, "--json", "--model", "none")
    answer = json.loads(out)
    assert (code, err) == (0, "")
    assert answer["text"] == "whistle"
    assert answer["audio"] == str(query)
    assert answer["model"] == "neighbour-vote"
    assert {score["label"] for score in answer["scores"]} == {"low hum", "whistle"}
    assert sum(score["score"] for score in answer["scores"]) == pytest.approx(1.0, abs=1e-4)
    nearest = max(answer["evidence"], key=lambda hit: hit["similarity"])
    assert nearest["answer"] == "whistle"
    assert set(nearest) == {"id", "audio", "answer", "similarity"}
    assert answer["abstained"] is False
    assert 0.5 < answer["confidence"] <= 1.0
    code, out, _ = run("classify", query, "--index", index)
    assert out.startswith(f"{query}: whistle")
    assert "whistle/" in out


def test_the_shipped_model_answers_where_none_is_named(
    run: Run, index: Path, tmp_path: Path
) -> None:
    query = tone(tmp_path / "query.wav", 3100, 50)
    code, out, err = run("classify", query, query, "--index", index, "--json")
    assert code == 0
    # What it is, it says once.
    notes = [line for line in err.splitlines() if line.startswith("note: ")]
    assert len(notes) == 1
    assert "earful-tiny is a small model" in notes[0]
    for answer in map(json.loads, out.splitlines()):
        assert answer["model"] == "earful-tiny"
        assert answer["text"] == "whistle"
        assert answer["vote"][0]["label"] == "whistle"
        assert {score["label"] for score in answer["model_scores"]} == {"low hum", "whistle"}
        assert answer["blend"]["n_replayed"] == 8


def test_wrong_usage_is_told_without_a_note_on_the_model(
    run: Run, index: Path, tmp_path: Path
) -> None:
    query = tone(tmp_path / "query.wav", 3100, 50)
    for words, told in (
        (("classify", query, "--index", index, "--strategy", "nearst"), "unknown strategy"),
        (("evaluate", "--index", index, "--split", "x"), "no row has split 'x'"),
        (("evaluate", "--index", index, "--leaks", "x"), "want refuse, exclude, allow"),
    ):
        code, _, err = run(*words)
        assert code == 2
        assert told in err
        assert "note: " not in err


def test_classify_goes_on_after_a_bad_file(run: Run, index: Path, tmp_path: Path) -> None:
    query = tone(tmp_path / "query.wav", 3100, 50)
    code, out, err = run("classify", "missing.wav", query, "--index", index, "--json")
    first, second = map(json.loads, out.splitlines())
    assert code == 3
    assert first["audio"] == "missing.wav"
    assert "no such file" in first["error"]
    assert second["text"] == "whistle"
    assert "\nerror: missing.wav" in err
    assert run("classify", "missing.wav", "--index", index)[0] == 1


def test_labels_narrow_the_choice(run: Run, index: Path, tmp_path: Path) -> None:
    query = tone(tmp_path / "query.wav", 3100, 50)
    _, out, _ = run("classify", query, "--index", index, "--labels", "low hum", "--json")
    assert json.loads(out)["text"] == "low hum"
    code, _, err = run(
        "classify", query, "--index", index, "--labels", "low hum,gong", "--model", "none"
    )
    assert code == 2
    assert "no exemplar has the label 'gong'" in err


def test_show_prompt_prints_the_interleaved_prompt(run: Run, index: Path, tmp_path: Path) -> None:
    query = tone(tmp_path / "query.wav", 3100, 50)
    code, out, _ = run("classify", query, "--index", index, "--shots", "2", "--show-prompt")
    assert code == 0
    assert out.count("[audio") == 3
    assert str(query) in out


def test_a_task_with_examples_needs_no_index(run: Run, corpus: Path, tmp_path: Path) -> None:
    Path("task.toml").write_text(
        'name = "mine"\nkind = "classify"\nquestion = "Which?"\nexamples = "corpus"\n'
    )
    assert run("tasks", "check", "task.toml")[0] == 0
    query = tone(tmp_path / "query.wav", 130, 51)
    code, out, err = run("classify", query, "--task", "task.toml", "--json")
    assert code == 0, err
    assert json.loads(out)["text"] == "low hum"


def test_search_finds_and_filters(run: Run, index: Path, tmp_path: Path) -> None:
    query = tone(tmp_path / "query.wav", 3100, 50)
    code, out, _ = run("search", query, "--index", index, "-k", "3", "--json")
    hits = json.loads(out)["evidence"]
    assert code == 0
    assert [hit["answer"] for hit in hits] == ["whistle"] * 3
    similarities = [hit["similarity"] for hit in hits]
    assert similarities == sorted(similarities, reverse=True)
    _, out, _ = run("search", query, "--index", index, "--label", "low hum", "--json")
    assert {hit["answer"] for hit in json.loads(out)["evidence"]} == {"low hum"}
    _, out, _ = run("search", query, "--index", index, "--where", "audio LIKE '%/1.wav'", "--json")
    assert {hit["id"] for hit in json.loads(out)["evidence"]} == {"low hum/1.wav", "whistle/1.wav"}
    code, _, err = run("search", query, "--index", index, "--where", "nonsense = 1")
    assert code == 2
    assert "nonsense" in err


@pytest.mark.parametrize("backend", ["exact", "half"])
def test_a_search_without_hits_says_which_condition_is_to_blame(
    run: Run, index: Path, tmp_path: Path, backend: str
) -> None:
    query = tone(tmp_path / "query.wav", 3100, 50)
    hum = ("--label", "low hum")
    for words, told in (
        (("--where", "split = 'train'"), "none of 8 rows passes --where \"split = 'train'\""),
        ((*hum, "--split", "train"), "none of 8 rows passes --split"),
        (("--label", "gong"), "none of 8 rows passes --label"),
        (
            (*hum, "--where", "audio LIKE 'whistle/%'"),
            "none of 8 rows passes --where \"audio LIKE 'whistle/%'\" and --label",
        ),
        ((*hum, "--min-similarity", "0.999"), "no row is as similar as --min-similarity 0.999"),
    ):
        code, out, _ = run("search", query, "--index", index, "--backend", backend, *words)
        assert (code, out) == (0, f"nothing found: {told}\n")


def test_adding_a_table_calls_no_other_row_stale(run: Run, index: Path, corpus: Path) -> None:
    tone(corpus / "whistle" / "late.wav", 3300, 80)
    (corpus / "more.csv").write_text("file_name,label\nwhistle/late.wav,whistle\n")
    code, out, _ = run("index", "add", corpus / "more.csv", "--index", index, "--json")
    report = json.loads(out)
    assert (code, report["accepted"], report["stale"], report["n"]) == (0, 1, [], 9)


def test_an_arithmetic_that_is_not_offered_writes_nothing(
    run: Run, corpus: Path, tmp_path: Path
) -> None:
    new = tmp_path / "new.index"
    words = ("index", "build", corpus, "--index", new, "--dtype")
    for dtype, code, wanted in (("int8", 2, "auto, float32, bfloat16"), ("bfloat16", 1, "float32")):
        found, _, err = run(*words, dtype)
        assert found == code
        assert dtype in err
        assert wanted in err
    assert not new.exists()


def test_approximate_search_is_made_measured_used_and_removed(
    run: Run, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = run("index", "approximate", index)
    assert code == 1
    assert "8 rows are too few" in err
    query = tone(tmp_path / "query.wav", 3100, 50)
    words = ("search", query, "--index", index, "--json", "--backend")
    code, _, err = run(*words, "approximate")
    assert code == 1
    assert "earful index approximate" in err
    monkeypatch.setattr("earful.index.search.approximate.LEAST_ROWS", 8)
    code, out, _ = run("index", "approximate", index, "--recall", "1", "--k", "3")
    assert code == 0
    assert "recall@3" in out
    assert "8 rows looked for their 3 nearest others; wanted 100.0%" in out
    told = json.loads(run("index", "approximate", index, "--json")[1])
    assert told["n_probes"] in {tried["n_probes"] for tried in told["tried"]}
    assert run(*words, "approximate")[1] == run(*words, "exact")[1] == run(*words, "half")[1]
    assert run("index", "approximate", index, "--drop")[0] == 0
    assert run(*words, "approximate")[0] == 1


def test_an_embedder_can_be_named_for_the_query(run: Run, index: Path, tmp_path: Path) -> None:
    query = tone(tmp_path / "query.wav", 3100, 50)
    words = ("classify", query, "--index", index, "--json", "--embedder")
    assert run(*words, "logmel")[0] == 0
    code, _, err = run(*words, "nonsense")
    assert code == 1
    assert "nonsense" in err
    assert "earful-tiny" in err


def test_text_search_names_the_embedders_that_can(run: Run, index: Path) -> None:
    code, _, err = run("search", "--text", "a whistle", "--index", index)
    assert code == 1
    assert "laion/" in err


def test_what_decodes_is_started_only_for_who_hears(
    run: Run, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[None] = []
    monkeypatch.setattr("earful.model.audio.warm_up", lambda: started.append(None))
    run("search", "--text", "a whistle", "--index", index)
    assert not started
    assert run("search", tone(tmp_path / "query.wav", 3100, 50), "--index", index)[0] == 0
    assert started


def test_one_recording_can_be_added_and_removed(run: Run, index: Path, tmp_path: Path) -> None:
    extra = tone(tmp_path / "extra" / "beep.wav", 900, 60)
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
    tone(corpus / "whistle" / "0.wav", 500, 70)
    (corpus / "whistle" / "1.wav").unlink()
    code, out, _ = run("index", "verify", index, "--json")
    problems = json.loads(out)["problems"]
    assert code == 1
    assert [problem["id"] for problem in problems] == ["whistle/0.wav", "whistle/1.wav"]


def test_verify_repairs_what_is_damaged(run: Run, index: Path, corpus: Path) -> None:
    next((index / "table/exemplars.lance/data").iterdir()).unlink()
    code, _, err = run("search", next(corpus.rglob("*.wav")), "--index", index)
    assert code == 1
    assert "`earful index verify " in err
    assert "--repair` keeps the undamaged rows" in err
    assert err.count("\n") == 1
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
    assert run("index", "export", index, "rows.xls")[0] == 1


def test_another_embedder_is_refused(run: Run, index: Path, corpus: Path) -> None:
    code, _, err = run("index", "build", corpus, "--index", index)
    assert code == 1
    assert "logmel" in err
    assert "earful-tiny" in err
    assert len(err.strip().splitlines()) == 1


def test_a_new_task_file_passes_its_own_check(run: Run) -> None:
    assert run("tasks", "new", "machines.toml", "--labels", "normal,faulty")[0] == 0
    assert list(tomllib.loads(Path("machines.toml").read_text())["labels"]) == ["normal", "faulty"]
    assert run("tasks", "check", "machines.toml")[0] == 0
    assert run("tasks", "new", "machines.toml")[0] == 2
    with Path("machines.toml").open("a") as file:
        file.write("\n[shot]\nk = 3\n")
    code, _, err = run("tasks", "check", "machines.toml")
    assert code == 2
    assert "machines.toml:" in err


def test_built_in_tasks_are_listed_and_shown(run: Run) -> None:
    _, out, _ = run("tasks", "list", "--json")
    names = [json.loads(line)["name"] for line in out.splitlines()]
    assert "urban-sounds" in names
    for name in names:
        code, out, _ = run("tasks", "show", name, "--json")
        assert code == 0
        assert json.loads(out)["name"] == name


def test_an_unknown_embedder_is_one_line(run: Run, corpus: Path) -> None:
    code, out, err = run("index", "build", corpus, "--index", "x", "--embedder", "erful-tiny")
    assert (code, out) == (1, "")
    assert len(err.splitlines()) == 1
    assert "'earful-tiny'" in err


def test_wrong_usage_is_exit_code_two(run: Run, index: Path) -> None:
    assert run("classify", "a.wav")[0] == 2
    assert run("search", "--index", index)[0] == 2
    assert run("nonsense")[0] == 2
    for words, told in (
        (("classify", "a.wav", "--shots", "-1"), "'--shots': '-1'; input should be greater than"),
        (("index", "approximate", index, "--recall", "much"), "'--recall': 'much'; input should"),
    ):
        code, _, err = run(*words)
        assert code == 2
        assert told in " ".join(err.split())
    assert run("classify", "a.wav", "--index", index, "--task", "t", "--labels", "a")[0] == 2


def test_a_broken_table_is_told_with_its_line_and_writes_nothing(run: Run, corpus: Path) -> None:
    (corpus / "metadata.csv").write_text("file_name,label\nlow hum/0.wav,a\nlow hum/1.wav\n")
    code, _, err = run("index", "build", corpus, "--index", "s.index", "--embedder", "logmel")
    assert code == 2
    assert "metadata.csv:3:" in err
    assert not Path("s.index").exists()


def test_a_label_cannot_steer_the_terminal(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "evil").mkdir()
    for seed in range(2):
        tone(tmp_path / "evil" / f"{seed}.wav", 500, seed)
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
    query = tone(tmp_path / "query.wav", 510, 9)
    code, out, err = run("classify", query, "--index", "e.index")
    assert code == 0, err
    assert "a\\x1b[31mb" in out
    assert "\x1b" not in out + err


def test_every_help_page_has_an_example(run: Run) -> None:
    for app, prefix in ((cli.app, ()), (index_app, ("index",)), (tasks_app, ("tasks",))):
        for command in app.registered_commands:
            assert command.callback is not None
            name = command.name or command.callback.__name__
            code, out, _ = run(*prefix, name, "--help")
            assert code == 0
            assert f"earful {' '.join((*prefix, name))}" in out.split("Example:")[1]


def test_the_page_of_commands_has_every_command() -> None:
    page = (Path(__file__).parent.parent / "docs" / "cli.md").read_text()
    n_commands = len(cli.app.registered_commands)
    for group in cli.app.registered_groups:
        assert group.typer_instance is not None
        for command in group.typer_instance.registered_commands:
            assert f"\n## earful {group.name} {command.name}\n" in page
            n_commands += 1
    assert page.count("\n## earful ") == n_commands


def test_the_installed_command_runs_from_anywhere(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "earful", "--version"]
    out = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert out.stdout.startswith("earful ")


def test_ctrl_c_is_exit_code_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "app", interrupted)
    code, _, err = run("doctor")
    assert code == 130
    assert "committed is kept" in err


@pytest.mark.slow
def test_the_demo_classifies_labels_its_index_never_had(run: Run) -> None:
    code, out, err = run("demo", "--index", "demo.index", "--json")
    assert code == 0, err
    answers = [json.loads(line) for line in out.splitlines()]
    right = sum(answer["truth"] == answer["text"] for answer in answers)
    labels = {answer["truth"] for answer in answers}
    indexed = run("index", "export", "demo.index", "rows.csv")
    assert indexed[0] == 0
    assert not labels & {
        line.split(",")[5] for line in Path("rows.csv").read_text().splitlines()[1:]
    }
    # Six labels: guessing stays below a half of the clips with a probability of 0.9999.
    assert right / len(answers) > 0.5
    assert os.path.isdir("demo.index")
