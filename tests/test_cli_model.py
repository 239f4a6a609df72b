"""The commands with a language model: small, of random weights, from a folder."""

import io
import json
import shutil
import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from earful.index.builder import build_index
from earful.rag import Answer, FewShot
from earful.rag.generation import Chat
from earful.testing import write_flamingo, write_hub_checkpoint

Run = Callable[..., tuple[int, str, str]]
RATE = 16_000


def tone(path: Path, hz: float, seed: int, seconds: float = 0.3) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    t = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(seed).normal(size=t.size) * 0.01
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * hz * t) + noise, RATE)
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an index, a Flamingo, and a recording to ask about."""
    home = tmp_path_factory.mktemp("home")
    for seed in range(4):
        tone(home / "corpus" / "hum" / f"{seed}.wav", 120 + 5 * seed, seed)
        tone(home / "corpus" / "fan" / f"{seed}.wav", 3000 + 50 * seed, seed + 10)
    tone(home / "q.wav", 130, 99)
    write_flamingo(home / "flamingo")
    write_flamingo(home / "chatty", variant="chat")
    build_index(home / "corpus", home / "s.index", embedder="logmel")
    return home


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch, earful_command: Run) -> Run:
    monkeypatch.chdir(home)
    monkeypatch.delenv("EARFUL_MODEL", raising=False)
    monkeypatch.setenv("EARFUL_HOME", str(home / "earful-home"))

    def call(*words: object, stdin: str | io.StringIO = "") -> tuple[int, str, str]:
        typed = io.StringIO(stdin) if isinstance(stdin, str) else stdin
        monkeypatch.setattr(sys, "stdin", typed)
        code, out, err = earful_command(*words)
        assert "Traceback" not in err
        return code, out, err

    return call


M = ("--model", "flamingo")
N = ("--model", "none")
I = ("--index", "s.index")  # noqa: E741 - beside M


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
    assert (code, answer["model"], err) == (0, "flamingo", "")
    assert answer["blend"]["n_replayed"] == 8
    code, _, err = run(*words, "--model", "flamigno")
    assert code == 1
    assert "flamigno" in err
    # What stands in the environment for all commands is no word against this task.
    monkeypatch.setenv("EARFUL_MODEL", "flamingo")
    assert json.loads(run(*words)[1])["model"] == "neighbour-vote"
    code, _, err = run(*words, "--prior")
    assert code == 2
    assert "none is asked; give a --model" in " ".join(err.split())


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


def test_every_number_of_shots_up_to_seven_is_shown(run: Run) -> None:
    for shots, shown in ((0, 0), (1, 1), (7, 7), (8, 7)):
        code, out, err = run("classify", "q.wav", *I, *M, "--shots", shots, "--json")
        assert code == 0, err
        answer = json.loads(out)
        assert len(answer["evidence"]) == shown
        assert answer["slots"] == shown + 1
        told = [n for n in answer["notes"] if "7 of 8 shots are shown" in n]
        assert bool(told) == (shots == 8)


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


def test_a_person_sees_what_answered_and_all_it_was_shown(run: Run) -> None:
    code, out, err = run("classify", "q.wav", *I, *M, "--shots", 7, "--decoding", "compat")
    assert (code, err) == (0, "")
    _, then, vote, alone, blend, by, *shown = out.splitlines()
    assert then.startswith("  then: ")
    assert vote.startswith("  neighbour vote: hum ")
    assert alone.startswith("  the model alone: ")
    # Weights that have learned nothing tell a hum from a fan by chance.
    assert blend.startswith("  blend: the vote alone; of 8 exemplars right: vote 100%, model ")
    assert by.startswith("  by flamingo: ")
    assert by.endswith(" prompt tokens, 8 audio slots, compat decoding")
    assert len(shown) == 7
    _, out, _ = run("classify", "q.wav", *I, *M, "--shots", 8, "--shot-mode", "text")
    assert out.count(".wav") == 9


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


def test_a_question_is_answered_in_words(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARFUL_MODEL", "flamingo")
    words = ("ask", "q.wav", "Is it <audio> near?", *I, "--shots", 2, "--max-tokens", 6)
    code, out, err = run(*words, "--json", "--show-prompt")
    assert code == 0, err
    answer = json.loads(out)
    assert answer["notes"] == ["the answer was cut off after 6 tokens"]
    assert answer["scores"] == []
    assert "[user] Please answer this question: Is it <audio> near?" in answer["prompt"]
    assert answer["slots"] == 3
    code, out, err = run(*words, "--show-prompt")
    assert code == 0, err
    assert out.startswith("[system] Here are similar examples.")
    drawn = [
        json.loads(run(*words, "--temperature", 2.0, "--seed", seed, "--json")[1])["text"]
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]


def test_captions_of_several_recordings_and_one_that_is_missing(run: Run) -> None:
    code, out, err = run("caption", "q.wav", "none.wav", *M, "--max-tokens", 3, "--json")
    assert code == 3
    first, second = map(json.loads, out.splitlines())
    assert first["audio"] == "q.wav"
    assert "none.wav" in second["error"]
    assert "error: none.wav" in err
    code, _, _ = run("caption", "none.wav", *M)
    assert code == 1


def test_a_conversation_is_piped(run: Run, home: Path) -> None:
    typed = (
        "What is it?\n\n/again\n/evidence\n/wrong\n/save\n/save talk.json\n/save talk.json\n"
        "/help\nIs it near?\n/quit now\nnever asked\n"
    )
    words = ("chat", "q.wav", "--model", "chatty", "--max-tokens", 4)
    code, out, err = run(*words, stdin=typed)
    assert code == 3
    assert out.startswith("> What is it?\n")
    assert out.count("  note: the answer was cut off after 4 tokens\n") == 4
    assert "no exemplars" in out
    assert "never asked" not in out
    told = err.splitlines()
    assert [line for line in told if line.startswith("error: ")] == [
        "error: /wrong is no command; /help lists them",
        "error: /save takes a file, such as /save talk.json",
        "error: talk.json exists and is not overwritten; choose another",
    ]
    assert "saved to talk.json" in told
    assert any(line.startswith("  /again") for line in told)
    saved = json.loads((home / "talk.json").read_text())
    assert [turn["user"] for turn in saved["turns"]] == ["What is it?"]
    assert saved["turns"][0]["answer"]["slots"] == 4
    code, out, err = run(*words, stdin="/again\n/evidence\n")
    assert (code, err.count("error: nothing has been asked yet; ask a question first")) == (1, 2)
    assert run(*words, stdin="") == (0, "", "")


def test_everything_a_conversation_prints_as_json_is_json(run: Run) -> None:
    words = ("chat", "q.wav", "--model", "chatty", "--max-tokens", 4, "--json")
    typed = f"What is it?\n/again\n{'w' * 3000}\n/evidence\n/help\n/wrong\nIs it near?\n"
    code, out, err = run(*words, *I, "--shots", 2, stdin=typed)
    assert code == 3
    first, again, refused, evidence, last = map(json.loads, out.splitlines())
    assert [first["question"], last["question"]] == ["What is it?", "Is it near?"]
    assert first["question"] == again["question"]
    assert first["prompt_digest"] == again["prompt_digest"]
    assert "takes 512: shorten it" in refused["error"]
    assert evidence["evidence"] == again["evidence"]
    assert len(evidence["evidence"]) == 2
    assert err.count("error: ") == 2


class Terminal(io.StringIO):
    """Somebody's input, line by line; an exception in it is raised where it is read."""

    def __init__(self, *lines: str | type[BaseException]) -> None:
        super().__init__()
        self.lines = [*lines, ""]

    def isatty(self) -> bool:
        return True

    def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override]
        line = self.lines.pop(0)
        if isinstance(line, str):
            return line
        raise line


def test_ctrl_c_ends_a_line_or_an_answer_and_not_the_conversation(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, n_asked = Chat.ask, 0

    def interrupted(talk: Chat, question: str, **options: Any) -> Answer:
        nonlocal n_asked
        n_asked += 1
        if n_asked == 2:
            raise KeyboardInterrupt
        return ask(talk, question, **options)

    monkeypatch.setattr(Chat, "ask", interrupted)
    words = ("chat", "q.wav", "--model", "chatty", "--max-tokens", 4)
    terminal = Terminal("one\n", KeyboardInterrupt, "\n", "two\n", "three\n", "/nope\n")
    code, out, err = run(*words, "--show-prompt", stdin=terminal)
    assert code == 0
    assert "/quit leaves" in err
    assert "stopped; this answer is not part of the conversation" in err
    assert "/nope is no command" in err
    assert out.endswith("[user] three\n")
    assert "[user] two" not in out
    assert out.count("[user] one") == 2
    assert "> " not in out


def test_a_command_that_is_interrupted_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> Answer:
        raise KeyboardInterrupt

    monkeypatch.setattr(FewShot, "caption", interrupted)
    assert run("caption", "q.wav", *M) == (130, "", "interrupted; what was committed is kept\n")


def test_a_conversation_is_read_from_a_file(run: Run, home: Path) -> None:
    (home / "turns.txt").write_text("What is it?\nIs it near?\n")
    words = ("chat", "q.wav", "--turns", "turns.txt", "--model", "chatty", "--max-tokens", 4)
    code, out, err = run(*words, "--json", "--show-prompt")
    assert code == 0, err
    _, second = map(json.loads, out.splitlines())
    assert second["prompt"].count("[user]") == 2
    assert "[assistant]" in second["prompt"]
    code, out, err = run(*words, *I, "--shots", 2)
    assert code == 0, err
    assert out.count("> ") == 2
    code, _, err = run("chat", "q.wav", "--turns", "none.txt", "--model", "chatty")
    assert code == 1
    assert "none.txt: no such file" in err
    (home / "empty.txt").write_text("# nothing\n\n")
    code, _, err = run("chat", "q.wav", "--turns", "empty.txt", "--model", "chatty")
    assert (code, err) == (1, "error: empty.txt: holds no question, want one a line\n")


def test_a_question_that_fails_does_not_end_a_file_of_questions(run: Run, home: Path) -> None:
    (home / "long.txt").write_text(f"\ufeff{'w' * 3000}\nWhat is it?\n")
    words = ("chat", "q.wav", "--turns", "long.txt", "--model", "chatty", "--max-tokens", 4)
    code, out, err = run(*words, "--json")
    assert code == 3
    refused, answered = map(json.loads, out.splitlines())
    assert "takes 512: shorten it" in refused["error"]
    assert refused["question"] == "w" * 3000
    assert answered["question"] == "What is it?"
    assert err == f"error: {refused['error']}\n"
    (home / "long.txt").write_text("w" * 3000)
    assert run(*words)[0] == 1


def test_what_is_not_heard_is_noted(run: Run, home: Path) -> None:
    with wave.open(str(home / "long.wav"), "wb") as file:
        file.setparams((2, 2, 8000, 0, "NONE", ""))
        file.writeframes(b"\0\0\0\1" * (40 * 8000))
    code, out, err = run("caption", "long.wav", *M, "--max-tokens", 2)
    assert code == 0, err
    assert "note: long.wav: only the first 33.25 s of 40.00 s are heard" in out


def test_a_stretch_of_a_recording_can_be_asked_about(run: Run, home: Path) -> None:
    soundfile.write(home / "minute.wav", np.zeros(60 * 8000), 8000)
    code, out, err = run("caption", "minute.wav", *M, "--max-tokens", 2, "--start-s", 30)
    assert code == 0, err
    assert "note: the answer was cut" in out
    assert "heard" not in out
    words = ("classify", "minute.wav", *M, "--labels", "hum,fan", "--start-s", 5, "--json")
    _, out, _ = run(*words)
    (note,) = json.loads(out)["notes"]
    assert note == "minute.wav [5-end s]: only the first 33.25 s of 55.00 s are heard"
    assert json.loads(run(*words, "--end-s", 30)[1])["notes"] == []
    chatty = ("--model", "chatty", "--start-s", 5, "--max-tokens", 2)
    _, out, _ = run("chat", "minute.wav", *chatty, stdin="What?\n")
    assert "note: minute.wav [5-end s]: only the first 33.25 s" in out


def test_recordings_of_any_kind_and_name_are_heard(run: Run, home: Path) -> None:
    wave_ = 0.3 * np.sin(np.arange(8000) / 5)
    names = ["stereo.wav", "eight.wav", "m.mp3", "one.wav", "<audio> <SEP>.wav", "a\nb.wav"]
    soundfile.write(home / names[0], np.stack([wave_, -wave_], axis=1), 8000)
    soundfile.write(home / names[1], wave_, 8000, subtype="PCM_U8")
    soundfile.write(home / names[2], wave_, 16000)
    soundfile.write(home / names[3], wave_[:1], 8000)
    (home / names[4]).write_bytes((home / "q.wav").read_bytes())
    (home / names[5]).write_bytes((home / "q.wav").read_bytes())
    words = ("classify", *names, *M, "--labels", "<|endofchunk|>,</s>,<audio>,<SEP>,hum")
    code, out, err = run(*words, "--json", "--show-prompt")
    assert code == 0, err
    answers = [json.loads(line) for line in out.splitlines()]
    assert [answer["audio"] for answer in answers] == names
    assert {len(answer["scores"]) for answer in answers} == {5}
    # The same sound under three names, one of them full of control tokens.
    same = json.loads(run("classify", "q.wav", *words[7:], "--json")[1])
    assert answers[4]["scores"] == answers[5]["scores"] == same["scores"]
    assert answers[4]["n_prompt_tokens"] == same["n_prompt_tokens"]
    code, out, _ = run(*words)
    assert "a\\nb.wav: " in out


def test_a_name_that_is_not_utf8_is_still_json(run: Run, home: Path) -> None:
    name = "caf\udcff.wav"
    try:
        (home / name).write_bytes((home / "q.wav").read_bytes())
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    code, out, err = run("caption", name, *M, "--max-tokens", 2, "--json")
    assert code == 0, err
    assert "\\udcff" in out
    assert json.loads(out)["audio"] == name


def test_a_weight_for_a_vote_that_there_is_not_is_noted(run: Run) -> None:
    words = ("classify", "q.wav", *M, "--labels", "hum,fan", "--vote-weight", 0.5, "--json")
    code, out, err = run(*words)
    assert code == 0, err
    (note,) = json.loads(out)["notes"]
    assert note == "there are no exemplars to vote, so vote_weight has no effect"


def test_silence_is_an_input_like_any_other(run: Run, home: Path) -> None:
    soundfile.write(home / "silence.wav", np.zeros(RATE), RATE)
    code, out, err = run("classify", "silence.wav", *M, "--labels", "hum,fan", "--json")
    assert code == 0, err
    assert all(np.isfinite(score["score"]) for score in json.loads(out)["scores"])


LABELS = ",".join(map(str, range(200)))


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("ask", "q.wav", "why?", *N), 2, "ask takes a language model"),
        (("chat", "q.wav", *N), 2, "chat takes a language model"),
        (("caption", "q.wav", *N), 2, "caption takes a language model"),
        (("classify", "q.wav"), 2, "no labels to choose from"),
        (("ask", "q.wav", *M), 2, "give a question"),
        (("ask", "q.wav", "why?", "--model", "flamigo"), 1, "no language model named 'flamigo'"),
        (("ask", "q.wav", "why?", "--model", "corpus"), 1, "has no config.json"),
        (("ask", "q.wav", "why?", "--model", "q.wav"), 1, "q.wav: is a file, expected a folder"),
        (("ask", "q.wav", "why?", "--model", "audio-flamingo-chat"), 1, "earful models pull"),
        (("ask", "q.wav", "w" * 3000, *M), 1, "takes 512: shorten it"),
        (("ask", "q.wav", "why?", *M, "--shot-mode", "loud"), 2, "want interleaved or text"),
        (("ask", "q.wav", "why?", *M, "--decoding", "half"), 1, "full or compat"),
        (("ask", "q.wav", "why?", *M, "--dtype", "int4"), 1, "dtype 'int4'"),
        (("ask", "q.wav", "why?", *M, "--slots", "9"), 1, "slots=9, expected 1 to 8"),
        (("ask", "q.wav", "why?", *M, "--task", "urban-sounds"), 2, "whose answers are labels"),
        (("classify", "q.wav", *M, "--labels", "Hum,hum"), 1, "are the same to flamingo"),
        (("classify", "q.wav", *M, "--labels", "hum,,hiss"), 2, "label 2 of 'hum,,hiss' is empty"),
        (("classify", "q.wav", *M, "--labels", ""), 2, "label 1 of '' is empty"),
        (("classify", "q.wav", *M, "--labels", "hum,hum"), 2, "label 'hum' is given twice"),
        (("classify", "q.wav", *M, "--labels", LABELS), 1, "give fewer labels"),
        (("classify", "q.wav", *M, "--task", "describe"), 2, "which takes a language model that"),
        (("classify", "q.wav", *I, *N, "--prior"), 2, "--prior: it is about a language model"),
        (("classify", "q.wav", *I, *N, "--blend"), 2, "--blend: it is about a language model"),
        (("classify", "q.wav", *I, *N, "--vote-weight", 0), 2, "--vote-weight: it is about a"),
        (("classify", "q.wav", *I, *M, "--blend", "--vote-weight", 1), 2, "it is a fixed weight"),
        (("classify", "q.wav", *I, *N, "--slots", 3), 2, "--slots: it is about a language model"),
        (("classify", "q.wav", *M, "--labels", "a,b", "--group", "g"), 2, "--group: it is about"),
        (("ask", "q.wav", "why?", *M, "--strategy", "random"), 2, "it is about exemplars"),
        (("ask", "q.wav", "why?", *M, "--top-k", 5), 2, "at temperature 0 nothing is"),
        (("ask", "q.wav", "why?", *M, "--temperature", 1, "--top-p", 0), 2, "top_p=0.0"),
        (("ask", "q.wav", "why?", *M, "--stop", ""), 2, "none of them empty"),
        (("ask", "q.wav", "why?", *M, "--seed", -1), 2, "greater than or equal to 0"),
        (("ask", "q.wav", "why?", *M, "--start-s", 9), 1, "segment from 9.000 s"),
        (("ask", "q.wav", "why?", *M, "--shots", 3), 2, "there is no index to find them in"),
        (("ask", "q.wav", "why?", *M, "--device", "tpu"), 1, "device 'tpu' cannot be used"),
        (("ask", "q.wav", "why?", *M, "-i", "none.index"), 1, "there is no such folder"),
        (("classify", "q.wav", *I, *M, "--length", "max"), 2, "want sum or mean"),
        (("classify", "q.wav", *I, *N, "--shots", "0"), 2, "0 shots leave nothing to vote"),
        (("models", "verify", "corpus"), 1, "has no config.json"),
        (("models", "pull", "audio-flamingo-chat"), 1, "--accept-noncommercial"),
        (("index", "features", "s.index"), 2, "say which language model"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    run: Run, words: tuple[str, ...], code: int, told: str
) -> None:
    found, out, err = run(*words)
    assert (found, told in err) == (code, True), err
    assert not out
    *before, last = err.splitlines()
    assert last.startswith("Error: " if err.startswith("Usage: ") else "error: ")
    assert not [line for line in before if line.lower().startswith("error: ")]


def test_features_are_made_ahead_and_found(run: Run, home: Path) -> None:
    code, out, err = run("index", "features", "s.index", *M, "--json")
    assert code == 0, err
    assert json.loads(out)["kept"] == 8
    files = sorted((home / "s.index" / "features").rglob("*.npy"))
    assert len(files) >= 8
    before = [path.stat().st_mtime_ns for path in files]
    code, _, err = run("classify", "q.wav", *I, *M, "--shots", 7)
    assert code == 0, err
    assert [path.stat().st_mtime_ns for path in files] == before
    code, out, err = run("index", "verify", "s.index")
    assert code == 0, err
    code, _, err = run("index", "compact", "s.index")
    assert code == 0, err
    assert sorted((home / "s.index" / "features").rglob("*.npy")) == files


def test_exemplars_that_moved_away_are_shown_from_what_is_kept(run: Run, home: Path) -> None:
    for seed in range(3):
        tone(home / "other" / "hum" / f"{seed}.wav", 120 + 5 * seed, seed)
    build_index(home / "other", home / "o.index", embedder="logmel")
    words = ("classify", "q.wav", "-i", "o.index", *M, "--shots", 2, "--labels", "hum,fan")
    code, out, _ = run(*words)
    assert code == 0
    (home / "other").rename(home / "elsewhere")
    assert run(*words) == (0, out, "")
    (home / "o.index" / "features").rename(home / "kept")
    code, out, err = run(*words)
    assert (code, out) == (1, "")
    assert err.startswith("error: an exemplar cannot be heard: ")
    assert err.endswith("; `earful index verify` lists all like it\n")
    assert run(*words, "--shot-mode", "text")[0] == 0


def test_an_index_that_takes_no_features_is_noted(run: Run, home: Path) -> None:
    for seed in range(2):
        tone(home / "two" / "hum" / f"{seed}.wav", 120 + 5 * seed, seed)
    build_index(home / "two", home / "ro.index", embedder="logmel")
    (home / "ro.index" / "features").write_text("in the way, as a read-only folder would be")
    code, out, err = run("ask", "q.wav", "why?", "-i", "ro.index", *M, "--max-tokens", 2)
    assert code == 0, err
    assert "note: features of exemplars cannot be kept in " in out


def test_a_damaged_model_is_named_with_its_file(run: Run, home: Path) -> None:
    for name, content, told in (
        ("config.json", "{", "config.json: cannot be read"),
        ("config.json", '{"format": "other"}', "config.json: format is 'other'"),
        ("encoder.safetensors", "short", "encoder.safetensors has changed: sha256"),
        ("model-00001-of-00001.safetensors", "short", ".safetensors has changed: sha256"),
        ("tokenizer.json", "{}", "tokenizer.json has changed: sha256"),
        ("digests.json", None, "digests.json: cannot be read"),
    ):
        shutil.rmtree(home / "broken", ignore_errors=True)
        shutil.copytree(home / "flamingo", home / "broken")
        if content is None:
            (home / "broken" / name).unlink()
        else:
            (home / "broken" / name).write_text(content)
        code, out, err = run("ask", "q.wav", "why?", "--model", "broken")
        assert (code, out, len(err.splitlines())) == (1, "", 1)
        assert err.startswith("error: broken")
        assert told in err
    config = json.loads((home / "flamingo" / "config.json").read_text())
    config["flamingo"]["n_heads"] = "many"
    (home / "broken" / "config.json").write_text(json.dumps(config))
    _, _, err = run("ask", "q.wav", "why?", "--model", "broken")
    assert err.startswith("error: broken/config.json: flamingo config: n_heads is 'many'")


def test_a_release_is_converted_verified_and_asked(run: Run, home: Path, tmp_path: Path) -> None:
    write_hub_checkpoint(tmp_path / "hub", n_layers=2)
    code, out, err = run(
        "models", "convert", "--checkpoint", tmp_path / "hub", "--msclap",
        tmp_path / "hub" / "clapcap_weights_2023.pth", "--tokenizer", tmp_path / "hub",
        "--out", tmp_path / "out", "--json",
    )  # fmt: skip
    assert code == 0, err
    assert json.loads(out)["n_copies"] == 55
    code, out, _ = run("models", "verify", tmp_path / "out")
    assert code == 0
    assert out.endswith("out: 0 problems\n")
    (tmp_path / "out" / "tokenizer.json").unlink()
    code, out, _ = run("models", "verify", tmp_path / "out", "--json")
    assert code == 1
    assert json.loads(out)["problems"] == ["tokenizer.json is missing"]
    code, _, err = run("ask", "q.wav", "why?", "--model", tmp_path / "out")
    assert code == 1
    assert "tokenizer.json is missing" in err


def test_models_are_listed_by_role(run: Run) -> None:
    code, out, _ = run("models", "list", "--json")
    assert code == 0
    roles = [json.loads(line)["role"] for line in out.splitlines()]
    assert roles.count("language model") == 3
    assert "audio-flamingo-foundation" in run("models", "list")[1]


def test_help_loads_no_model(home: Path) -> None:
    code = (
        "import sys\nsys.argv = ['earful', 'chat', '--help']\nfrom earful import cli\n"
        "try:\n    cli.main()\nexcept SystemExit:\n    pass\n"
        "print([m for m in ('torch', 'transformers', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=home, capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("[]\n")


@pytest.mark.parametrize(
    "source", ["630k-audioset-best.pt", "weights/630k.pt", "./clap", "a/b/c", "clap/", "~/clap"]
)
def test_a_checkpoint_that_is_not_there_is_not_looked_for_on_the_hub(
    run: Run, tmp_path: Path, source: str
) -> None:
    code, _, err = run("models", "convert-clap", source, "--out", tmp_path / "clap")
    assert code == 1
    assert err.startswith(f"error: {source}: no such file or folder; ")
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "clap").exists()


def test_a_hub_id_is_looked_for_on_the_hub(run: Run, tmp_path: Path) -> None:
    _, _, err = run("models", "convert-clap", "laion/clap-not-there", "--out", tmp_path / "clap")
    assert "no such file" not in err
