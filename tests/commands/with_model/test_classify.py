"""``earful classify`` with a language model, beside the neighbour vote."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

Run = Callable[..., tuple[int, str, str]]
M = ("--model", "flamingo")
I = ("--index", "s.index")  # noqa: E741 - beside M


def test_names_that_no_sound_is_known_of_are_told(run: Run) -> None:
    code, out, err = run("classify", "q.wav", "--labels", "dog,frobnitz", "--model", "none")
    assert code == 0, err
    assert "note: no word of 'frobnitz' is known, or says anything of a sound" in out
    # One that is a word, and no sound of AudioSet, leaves no choice by names.
    code, _, err = run("classify", "q.wav", "--labels", "dog,wren", "--model", "none")
    assert code != 0
    assert "note: the names alone cannot answer: AudioSet has no class like 'wren'" in err
    code, out, err = run("classify", "q.wav", "--labels", "dog,rain", "--model", "none")
    assert code == 0, err
    assert "cannot answer" not in err
    assert "arbitrary" not in out


def test_a_model_that_weighs_exemplars_is_not_sure_without_any(run: Run) -> None:
    """Names that nothing is known of, and the shipped model: a firm answer would be a guess."""
    words = ("classify", "q.wav", "--labels", "wren,frobnitz", "--json")
    code, out, _ = run(*words)
    assert code == 0
    answer = json.loads(out)
    assert answer["abstained"]
    assert answer["reason"] == (
        "no exemplar was used, and earful-small only weighs those that it is shown"
    )
    code, out, _ = run(*words, "--always-answer")
    assert code == 0
    assert not json.loads(out)["abstained"]


def test_labels_are_scored_and_the_vote_stands_beside_them(run: Run) -> None:
    code, out, err = run("classify", "q.wav", *I, *M, "--shots", 3, "--json")
    assert code == 0, err
    answer = json.loads(out)
    assert {score["label"] for score in answer["scores"]} == {"hum", "fan"}
    assert answer["vote"][0]["label"] == "hum"
    assert (answer["slots"], len(answer["evidence"]), answer["model"]) == (4, 3, "flamingo")
    assert answer["decoding"] == "full"
    assert answer["notes"] == []
    code, out, _ = run("classify", "q.wav", *I, *M, "--shots", 3)
    assert code == 0
    assert "neighbour vote: hum" in out


@pytest.mark.slow
def test_every_number_of_shots_up_to_seven_is_shown(run: Run) -> None:
    for shots, shown in ((0, 0), (1, 1), (7, 7), (8, 7)):
        code, out, err = run("classify", "q.wav", *I, *M, "--shots", shots, "--json")
        assert code == 0, err
        answer = json.loads(out)
        assert len(answer["evidence"]) == shown
        assert answer["slots"] == shown + 1
        told = [n for n in answer["notes"] if "7 of 8 shots are shown" in n]
        assert bool(told) == (shots == 8)


@pytest.mark.slow
def test_a_number_of_shots_that_nobody_asked_for_takes_no_note(run: Run) -> None:
    code, out, err = run("classify", "q.wav", *I, *M, "--json")
    assert code == 0, err
    answer = json.loads(out)
    assert (len(answer["evidence"]), answer["slots"], answer["notes"]) == (7, 8, [])
    _, out, _ = run("classify", "q.wav", *I, *M, "--slots", 3, "--json")
    answer = json.loads(out)
    assert (len(answer["evidence"]), answer["slots"], answer["notes"]) == (2, 3, [])
    _, out, _ = run("classify", "q.wav", *I, *M, "--shot-mode", "text", "--json")
    answer = json.loads(out)
    assert (len(answer["evidence"]), answer["slots"], answer["notes"]) == (8, 1, [])


@pytest.mark.slow
def test_a_person_sees_what_answered_and_all_it_was_shown(run: Run) -> None:
    code, out, err = run("classify", "q.wav", *I, *M, "--shots", 7, "--decoding", "compat")
    assert (code, err) == (0, "")
    _, then, vote, alone, blend, by, *shown = out.splitlines()
    assert then.startswith("  then: ")
    assert vote.startswith("  neighbour vote: hum ")
    assert alone.startswith("  language model: ")
    # Weights that have learned nothing tell a hum from a fan by chance.
    assert blend.startswith(
        "  the answer is the vote's. Tested on 8 exemplars: the vote is right on 100%, the model "
    )
    assert by.startswith("  prompt of flamingo: ")
    assert by.endswith(" text tokens, 8 sounds, compat decoding")
    assert len(shown) == 7
    _, out, _ = run("classify", "q.wav", *I, *M, "--shots", 8, "--shot-mode", "text")
    assert out.count(".wav") == 9


@pytest.mark.slow
def test_all_labels_of_a_multilabel_task_are_judged_by_the_same_shots(run: Run, home: Path) -> None:
    (home / "tags.toml").write_text(
        'name = "tags"\nkind = "multilabel"\nquestion = "What?"\n'
        f'[labels]\nhum = {{}}\nfan = {{wording = "{" ".join(["long"] * 6)}"}}\n'
    )
    words = ("classify", "q.wav", *I, *M, "--task", "tags.toml", "--shots", 7, "--json")
    code, out, err = run(*words, "--show-prompt")
    assert code == 0, err
    answer = json.loads(out)
    assert 0 < len(answer["evidence"]) < 7
    assert "long long" in answer["prompt"]
    (note,) = answer["notes"]
    assert (
        note == f"{len(answer['evidence'])} of 7 shots are shown, the nearest; flamingo takes"
        " 512 tokens"
    )


@pytest.mark.slow
def test_the_choices_reach_the_model(run: Run) -> None:
    asked = ("classify", "q.wav", *I, *M, "--shots", 2, "--json")
    alone = ("--no-blend",)
    base = json.loads(run(*asked, *alone)[1])
    for words, differs in (
        (("--slots", 8, *alone), True),
        (("--shot-mode", "text", *alone), True),
        (("--prior", *alone), True),
        (("--length", "mean", *alone), True),
        (("--vote-weight", 0.5), True),
        (("--vote-weight", 0), False),
        (("--blend",), True),
        ((), True),
        (("--dtype", "float32", *alone), False),
        (("--device", "cpu", *alone), False),
    ):
        code, out, err = run(*asked, *words)
        assert code == 0, err
        assert (json.loads(out)["scores"] != base["scores"]) == differs, words
    compat = json.loads(run(*asked, *alone, "--decoding", "compat")[1])
    assert compat["decoding"] == "compat"


@pytest.mark.slow
def test_a_blend_is_fitted_once_and_kept_with_the_index(run: Run, home: Path) -> None:
    shutil.rmtree(home / "s.index" / "replays", ignore_errors=True)
    words = ("classify", "q.wav", *I, *M, "--shots", 3, "--json")
    code, out, err = run(*words)
    assert (code, err) == (0, "")
    answer = json.loads(out)
    blend = answer["blend"]
    assert blend["n_replayed"] == 8
    assert set(blend["accuracy"]) == {"vote", "model", "blend"}
    assert blend["accuracy"]["blend"] >= blend["accuracy"]["vote"]
    if blend["weight"] == 0:
        assert answer["scores"] == answer["vote"]
    assert answer["model_scores"] == json.loads(run(*words, "--no-blend")[1])["scores"]
    (kept,) = (home / "s.index" / "replays").iterdir()
    before = kept.stat().st_mtime_ns
    again = json.loads(run(*words)[1])
    assert again["blend"] == blend
    assert kept.stat().st_mtime_ns == before
    assert run("index", "verify", "s.index")[0] == 0
    # Other shots are another question.
    assert run("classify", "q.wav", *I, *M, "--shots", 2)[0] == 0
    assert len(list(kept.parent.iterdir())) == 2


def test_no_model_is_a_choice_of_its_own(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("classify", "q.wav", *I, "--json")
    monkeypatch.setenv("EARFUL_MODEL", "flamingo")
    with_model = json.loads(run(*words)[1])
    voted = json.loads(run(*words, "--model", "none")[1])
    assert with_model["model"] == "flamingo"
    assert voted["model"] == "neighbour-vote"
    assert {"blend", "model_scores"}.isdisjoint(voted)


@pytest.mark.slow
def test_a_model_that_is_typed_goes_before_the_task_that_leaves_it_out(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "votes.toml").write_text('labels = ["hum", "fan"]\n\n[answer]\narm = "vote"\n')
    words = ("classify", "q.wav", "--task", "votes.toml", *I, "--json")
    code, out, err = run(*words)
    assert (code, json.loads(out)["model"]) == (0, "neighbour-vote")
    assert "the task leaves the answer to the vote" in err
    code, out, err = run(*words, *M)
    answer = json.loads(out)
    assert (code, answer["model"]) == (0, "flamingo")
    # On a slow machine the weighing tells how far it is.
    assert all(line.startswith("weighing the model") for line in err.splitlines())
    assert answer["blend"]["n_replayed"] == 8
    code, _, err = run(*words, "--model", "flamigno")
    assert code == 2
    assert "flamigno" in err
    # What stands in the environment for all commands is no word against this task.
    monkeypatch.setenv("EARFUL_MODEL", "flamingo")
    assert json.loads(run(*words)[1])["model"] == "neighbour-vote"
    code, _, err = run(*words, "--prior")
    assert code == 2
    assert "none is asked; give a --model" in " ".join(err.split())


def test_no_index_is_needed_without_shots(run: Run) -> None:
    code, out, err = run("classify", "q.wav", *M, "--labels", "hum,fan,bark", "--json")
    assert code == 0, err
    assert len(json.loads(out)["scores"]) == 3
    code, out, err = run("classify", "q.wav", *M, "--task", "machine-state", "--json")
    assert code == 0, err
    code, _, err = run("classify", "q.wav", *M)
    assert code == 2
    assert "no labels to choose from" in err
    code, _, err = run("classify", "q.wav", *M, "--labels", "a,b", "--shots", 2)
    assert code == 2
    assert "no index to find them in" in err


def test_a_weight_for_a_vote_that_there_is_not_is_noted(run: Run) -> None:
    words = ("classify", "q.wav", *M, "--labels", "hum,fan", "--vote-weight", 0.5, "--json")
    code, out, err = run(*words)
    assert code == 0, err
    assert json.loads(out)["notes"] == [
        "no exemplar was used: the language model alone answers",
        "there are no exemplars to vote, so vote_weight has no effect",
    ]


def test_silence_is_an_input_like_any_other(run: Run, home: Path) -> None:
    soundfile.write(home / "silence.wav", np.zeros(16_000), 16_000)
    code, out, err = run("classify", "silence.wav", *M, "--labels", "hum,fan", "--json")
    assert code == 0, err
    assert all(np.isfinite(score["score"]) for score in json.loads(out)["scores"])
