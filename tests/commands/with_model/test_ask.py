"""``earful ask`` and ``caption``, and recordings of many kinds."""

import json
import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earful.model import GenerationOptions
from earful.rag import Answer, FewShot

Run = Callable[..., tuple[int, str, str]]
M = ("--model", "flamingo")
I = ("--index", "s.index")  # noqa: E741 - beside M


def test_a_question_is_answered_in_words(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARFUL_MODEL", "flamingo")
    all_of_it = ("--max-tokens", 6, "--keep-repetition", "--free-text")
    words = ("ask", "q.wav", "Is it <audio> near?", *I, "--shots", 2, *all_of_it)
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


def test_an_answer_may_go_on_that_repeats_itself(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[bool] = []

    def asked(self: FewShot, *_: object, options: GenerationOptions, **__: object) -> Answer:
        told.append(options.stop_repetition)
        raise KeyboardInterrupt

    monkeypatch.setattr(FewShot, "ask", asked)
    run("ask", "q.wav", "Why?", *M)
    run("ask", "q.wav", "Why?", *M, "--keep-repetition")
    assert told == [True, False]


def test_yes_or_no_is_answered_with_both_scores(run: Run) -> None:
    words = ("ask", "q.wav", "Do you hear a hum?", *M, "--json")
    code, out, err = run(*words, *I)
    assert code == 0, err
    answer = json.loads(out)
    assert (answer["text"], answer["abstained"], answer["model"]) == (
        "yes",
        False,
        "neighbour-vote",
    )
    assert answer["evidence"]
    # Without an index it is the model's to say, and random weights hear nothing.
    answer = json.loads(run(*words)[1])
    assert answer["model"] != "neighbour-vote"
    assert {score["label"] for score in answer["scores"]} == {"yes", "no"}
    assert answer["abstained"] == any("not sure" in note for note in answer["notes"])


def test_the_shipped_model_makes_up_no_caption(run: Run) -> None:
    code, out, err = run("caption", "q.wav", *I)
    assert code == 0, err
    assert out.startswith("q.wav: a recording of a hum\n")
    assert "note: earful-small is a small model" in err
    code, out, err = run("caption", "q.wav")
    assert code == 0, err
    assert out.startswith("q.wav: I cannot describe this: there are no exemplars")
    assert "best guess" not in out
    assert "free text would answer" in out
    code, out, err = run("ask", "q.wav", "What is it?", "--free-text", "--max-tokens", 3)
    assert code == 0, err
    assert "I cannot" not in out


def test_captions_of_several_recordings_and_one_that_is_missing(run: Run) -> None:
    code, out, err = run("caption", "q.wav", "none.wav", *M, "--max-tokens", 3, "--json")
    assert code == 3
    first, second = map(json.loads, out.splitlines())
    assert first["audio"] == "q.wav"
    assert "none.wav" in second["error"]
    assert "error: none.wav" in err
    code, _, _ = run("caption", "none.wav", *M)
    assert code == 1


def test_a_command_that_is_interrupted_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> Answer:
        raise KeyboardInterrupt

    monkeypatch.setattr(FewShot, "caption", interrupted)
    assert run("caption", "q.wav", *M) == (130, "", "interrupted; what was committed is kept\n")


def test_what_is_not_heard_is_noted(run: Run, home: Path) -> None:
    with wave.open(str(home / "long.wav"), "wb") as file:
        file.setparams((2, 2, 8000, 0, "NONE", ""))
        file.writeframes((b"\0\0\0\1" * 8 + bytes(32)) * (40 * 8000 // 16))
    code, out, err = run("caption", "long.wav", *M, "--max-tokens", 2)
    assert code == 0, err
    assert "note: long.wav: the language model hears only the first 33.25 s of 40.00 s" in out


@pytest.mark.slow
def test_a_segment_of_a_recording_can_be_asked_about(run: Run, home: Path) -> None:
    hum = 0.1 * np.sin(2 * np.pi * 100 * np.arange(60 * 8000) / 8000)
    soundfile.write(home / "minute.wav", hum, 8000)
    code, out, err = run("caption", "minute.wav", *M, "--max-tokens", 2, "--start-s", 30)
    assert code == 0, err
    assert "note: the answer was cut" in out
    assert "hears" not in out
    words = ("classify", "minute.wav", *M, "--labels", "hum,fan", "--start-s", 5, "--json")
    _, out, _ = run(*words)
    alone = "no exemplar was used: the language model alone answers"
    assert json.loads(out)["notes"] == [
        alone,
        "minute.wav [5-end s]: the language model hears only the first 33.25 s of 55.00 s; ask "
        "about another part by --start-s and --end-s",
    ]
    assert json.loads(run(*words, "--end-s", 30)[1])["notes"] == [alone]
    chatty = ("--model", "chatty", "--start-s", 5, "--max-tokens", 2)
    _, out, _ = run("chat", "minute.wav", *chatty, stdin="What?\n")
    assert "note: minute.wav [5-end s]: the language model hears only the first 33.25 s" in out


@pytest.mark.slow
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
