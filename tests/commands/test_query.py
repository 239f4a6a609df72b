"""``earful search`` and ``classify`` as a user types them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.label_namers import NamedSamples, write_heard
from tests.support.tones import write_tone

Run = Callable[..., tuple[int, str, str]]


def test_classify_answers_with_evidence(run: Run, index: Path, tmp_path: Path) -> None:
    query = write_tone(tmp_path / "query.wav", 3100, 50)
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
    fields = ["id", "audio", "start_s", "end_s", "answer", "labels", "group", "rank", "similarity"]
    assert list(nearest) == fields
    assert (nearest["start_s"], nearest["end_s"], nearest["rank"]) == (0.0, None, 0)
    assert (nearest["labels"], nearest["group"]) == (["whistle"], "")
    assert answer["abstained"] is False
    assert 0.5 < answer["confidence"] <= 1.0
    code, out, _ = run("classify", query, "--index", index)
    assert out.startswith(f"{query}: whistle")
    assert "whistle/" in out


@pytest.mark.slow
def test_the_shipped_model_answers_where_none_is_named(
    run: Run, index: Path, tmp_path: Path
) -> None:
    query = write_tone(tmp_path / "query.wav", 3100, 50)
    code, out, err = run("classify", query, query, "--index", index, "--json")
    assert code == 0
    # What it is, it says once.
    notes = [line for line in err.splitlines() if line.startswith("note: ")]
    assert len(notes) == 1
    assert "earful-small is a small model" in notes[0]
    for answer in map(json.loads, out.splitlines()):
        assert answer["model"] == "earful-small"
        assert answer["text"] == "whistle"
        assert answer["vote"][0]["label"] == "whistle"
        assert {score["label"] for score in answer["model_scores"]} == {"low hum", "whistle"}
        assert answer["blend"]["n_replayed"] == 8


def test_wrong_usage_is_told_without_a_note_on_the_model(
    run: Run, index: Path, tmp_path: Path
) -> None:
    query = write_tone(tmp_path / "query.wav", 3100, 50)
    for words, told in (
        (("classify", query, "--index", index, "--strategy", "nearst"), "unknown strategy"),
        (("evaluate", "--index", index, "--split", "x"), "no row has split 'x'"),
        (("evaluate", "--index", index, "--leaks", "x"), "got 'x'"),
    ):
        code, _, err = run(*words)
        assert code == 2
        assert told in err
        assert "note: " not in err


@pytest.mark.slow
def test_classify_goes_on_after_a_bad_file(run: Run, index: Path, tmp_path: Path) -> None:
    query = write_tone(tmp_path / "query.wav", 3100, 50)
    code, out, err = run("classify", "missing.wav", query, "--index", index, "--json")
    first, second = map(json.loads, out.splitlines())
    assert code == 3
    assert first["audio"] == "missing.wav"
    assert "no such file" in first["error"]
    assert second["text"] == "whistle"
    # The note on the model comes with the first answer, not before an error.
    assert err.startswith("error: missing.wav")
    assert "\nnote: earful-small is a small model" in err
    assert run("classify", "missing.wav", "--index", index)[0] == 1


def test_labels_narrow_the_choice(run: Run, index: Path, tmp_path: Path) -> None:
    query = write_tone(tmp_path / "query.wav", 3100, 50)
    _, out, _ = run("classify", query, "--index", index, "--labels", "low hum", "--json")
    assert json.loads(out)["text"] == "low hum"
    code, _, err = run(
        "classify", query, "--index", index, "--labels", "low hum,gong", "--model", "none"
    )
    assert code == 2
    assert "no exemplar has the label 'gong'" in err


def test_an_abstention_says_why_unless_an_answer_is_wanted_always(
    run: Run, corpus: Path, tmp_path: Path
) -> None:
    # The same recording under both labels: there is no telling.
    for label in ("a", "b"):
        write_tone(tmp_path / "two" / label / "1.wav", 500, 7)
    assert run("index", "build", "two", "--index", "t.index", "--embedder", "logmel")[0] == 0
    query = write_tone(tmp_path / "query.wav", 510, 50)
    words = ("classify", query, "--index", "t.index", "--model", "none")
    code, out, _ = run(*words, "--json")
    answer = json.loads(out)
    assert (code, answer["abstained"]) == (0, True)
    assert answer["reason"] == "'a' and 'b' cannot be told apart"
    _, out, _ = run(*words)
    assert out.splitlines()[:2] == [
        f"{query}: not sure (best guess: a  50%)",
        "  because 'a' and 'b' cannot be told apart",
    ]
    _, out, _ = run(*words, "--json", "--always-answer")
    always = json.loads(out)
    assert (always["abstained"], always["reason"], always["text"]) == (False, "", "a")
    assert always["scores"] == answer["scores"]


@pytest.mark.slow
def test_names_alone_answer_where_the_default_embedder_knows_words(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = write_heard(tmp_path / "query.wav", [1], {"second": 1.0, "third": 3.0})
    words = ("classify", asked, "--labels", "first,third", "--json")
    # The embedder of today knows none: the language model is asked, as ever.
    code, out, err = run(*words)
    assert (code, json.loads(out)["model"]) == (0, "earful-small")
    assert "names of the labels" not in err
    assert run(*words, "--model", "none")[0] == 2
    monkeypatch.setattr("earful.model.load_embedder", lambda name, **options: NamedSamples())
    code, out, err = run(*words)
    answer = json.loads(out)
    assert (code, answer["text"], answer["model"]) == (0, "third", "label-names")
    assert answer["notes"] == ["no exemplar was used: the names of the labels alone speak for them"]
    assert err == (
        "note: there is no exemplar, so the names of the labels answer; --model asks a model\n"
    )
    code, out, err = run(*words, "--model", "none")
    assert (code, json.loads(out), err) == (0, answer, "")
    (tmp_path / "t.toml").write_text('labels = ["first", "third"]\n')
    code, out, _ = run("classify", asked, "--task", "t.toml", "--json", "--model", "none")
    assert (code, json.loads(out)["scores"]) == (0, answer["scores"])
    # Whoever wants the model, or says something of it, gets it.
    for option in (("--model", "earful-small"), ("--no-blend",), ("--length", "mean")):
        code, out, _ = run(*words, *option)
        assert (code, json.loads(out)["model"]) == (0, "earful-small"), option
    # What is about exemplars has no effect, and of a code nothing is known.
    code, _, err = run(*words, "--strategy", "diverse")
    assert code == 2
    assert "is about exemplars" in err
    code, out, _ = run("classify", asked, "--labels", "first,x17", "--json")
    assert (code, json.loads(out)["model"]) == (0, "earful-small")


@pytest.mark.slow
def test_show_prompt_prints_the_interleaved_prompt(run: Run, index: Path, tmp_path: Path) -> None:
    query = write_tone(tmp_path / "query.wav", 3100, 50)
    code, out, _ = run("classify", query, "--index", index, "--shots", "2", "--show-prompt")
    assert code == 0
    assert out.count("[audio") == 3
    assert str(query) in out


@pytest.mark.slow
def test_a_task_with_examples_needs_no_index(run: Run, corpus: Path, tmp_path: Path) -> None:
    Path("task.toml").write_text(
        'name = "mine"\nkind = "classify"\nquestion = "Which?"\nexamples = "corpus"\n'
    )
    assert run("tasks", "check", "task.toml")[0] == 0
    query = write_tone(tmp_path / "query.wav", 130, 51)
    code, out, err = run("classify", query, "--task", "task.toml", "--json")
    assert code == 0, err
    assert json.loads(out)["text"] == "low hum"


def test_search_finds_and_filters(run: Run, index: Path, tmp_path: Path) -> None:
    query = write_tone(tmp_path / "query.wav", 3100, 50)
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
    query = write_tone(tmp_path / "query.wav", 3100, 50)
    hum = ("--label", "low hum")
    for words, told in (
        (("--where", "split = 'train'"), "none of 8 rows passes --where \"split = 'train'\""),
        ((*hum, "--split", "train"), "none of 8 rows passes --split train; none is known"),
        (("--label", "gong"), "none of 8 rows passes --label gong; known: low hum, whistle"),
        (
            ("--label", "whistel", "--label", "gong"),
            "none of 8 rows passes --label gong --label whistel; did you mean 'whistle'? known: "
            "low hum, whistle",
        ),
        (
            (*hum, "--where", "audio LIKE 'whistle/%'"),
            "none of 8 rows passes --where \"audio LIKE 'whistle/%'\" and --label 'low hum'",
        ),
        ((*hum, "--min-similarity", "0.999"), "no row is as similar as --min-similarity 0.999"),
    ):
        code, out, _ = run("search", query, "--index", index, "--backend", backend, *words)
        assert (code, out) == (0, f"nothing found: {told}\n")


@pytest.mark.slow
def test_an_embedder_can_be_named_for_the_query(run: Run, index: Path, tmp_path: Path) -> None:
    query = write_tone(tmp_path / "query.wav", 3100, 50)
    words = ("classify", query, "--index", index, "--json", "--embedder")
    assert run(*words, "logmel")[0] == 0
    code, _, err = run(*words, "nonsense")
    assert code == 2
    assert "nonsense" in err
    assert "earful-small" in err


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
    assert run("search", write_tone(tmp_path / "query.wav", 3100, 50), "--index", index)[0] == 0
    assert started
