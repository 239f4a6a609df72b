"""``earful chat``, typed, piped and from a file."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from earful.rag import Answer
from earful.rag.generation import Chat

Run = Callable[..., tuple[int, str, str]]
INDEX = ("--index", "s.index")


def test_a_conversation_is_piped(run: Run, home: Path) -> None:
    typed = (
        "What is it?\n\n/again\n/evidence\n/wrong\n/save\n/save talk.json\n/save talk.json\n"
        "/help\nIs it near?\n/quit now\nnever asked\n"
    )
    words = ("chat", "q.wav", "--model", "chatty", "--max-tokens", 4, "--keep-repetition")
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
    code, out, err = run(*words, *INDEX, "--shots", 2, stdin=typed)
    assert code == 3
    first, again, refused, evidence, last = map(json.loads, out.splitlines())
    assert [first["question"], last["question"]] == ["What is it?", "Is it near?"]
    assert first["question"] == again["question"]
    assert first["prompt_digest"] == again["prompt_digest"]
    assert "512" in refused["error"]
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


def test_a_conversation_is_read_from_a_file(run: Run, home: Path) -> None:
    (home / "turns.txt").write_text("What is it?\nIs it near?\n")
    words = ("chat", "q.wav", "--turns", "turns.txt", "--model", "chatty", "--max-tokens", 4)
    code, out, err = run(*words, "--json", "--show-prompt")
    assert code == 0, err
    _, second = map(json.loads, out.splitlines())
    assert second["prompt"].count("[user]") == 2
    assert "[assistant]" in second["prompt"]
    code, out, err = run(*words, *INDEX, "--shots", 2)
    assert code == 0, err
    assert out.count("> ") == 2
    code, _, err = run("chat", "q.wav", "--turns", "none.txt", "--model", "chatty")
    assert code == 1
    assert "none.txt: no such file" in err
    (home / "empty.txt").write_text("# nothing\n\n")
    code, _, err = run("chat", "q.wav", "--turns", "empty.txt", "--model", "chatty")
    assert code == 1
    assert err.startswith("error: empty.txt: holds no question")


def test_a_question_that_fails_does_not_end_a_file_of_questions(run: Run, home: Path) -> None:
    (home / "long.txt").write_text(f"\ufeff{'w' * 3000}\nWhat is it?\n")
    words = ("chat", "q.wav", "--turns", "long.txt", "--model", "chatty", "--max-tokens", 4)
    code, out, err = run(*words, "--json")
    assert code == 3
    refused, answered = map(json.loads, out.splitlines())
    assert "512" in refused["error"]
    assert refused["question"] == "w" * 3000
    assert answered["question"] == "What is it?"
    assert err == f"error: {refused['error']}\nhelp: {refused['help']}\n"
    assert refused["help"].endswith("#prompt")
    (home / "long.txt").write_text("w" * 3000)
    assert run(*words)[0] == 1
