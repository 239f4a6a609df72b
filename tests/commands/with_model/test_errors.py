"""Errors of a language model and its options: one line each, with the value at fault."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.error_lines import without_help

Run = Callable[..., tuple[int, str, str]]
M = ("--model", "flamingo")
N = ("--model", "none")
I = ("--index", "s.index")  # noqa: E741 - beside M
LABELS = ",".join(map(str, range(200)))


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("ask", "q.wav", "why?", *N), 2, "ask takes a language model"),
        (("chat", "q.wav", *N), 2, "chat takes a language model"),
        (("caption", "q.wav", *N), 2, "caption takes a language model"),
        (("classify", "q.wav"), 2, "no labels to choose from"),
        (("ask", "q.wav", *M), 2, "give a question"),
        (("ask", "Why not?", "q.wav", *M), 2, "earful ask q.wav 'Why not?'"),
        (("ask", "q.wav", "why?", "--model", "flamigo"), 2, "no language model named 'flamigo'"),
        (("ask", "q.wav", "why?", "--model", "corpus"), 1, "has no config.json"),
        (("ask", "q.wav", "why?", "--model", "q.wav"), 1, "q.wav: is a file"),
        (("ask", "q.wav", "why?", "--model", "audio-flamingo-chat"), 1, "earful models pull"),
        (("ask", "q.wav", "w" * 3000, *M), 1, "512"),
        (("ask", "q.wav", "why?", *M, "--shot-mode", "loud"), 2, "got 'loud'"),
        (("ask", "q.wav", "why?", *M, "--decoding", "half"), 2, "full or compat"),
        (("ask", "q.wav", "why?", *M, "--dtype", "float8"), 2, "'float8'"),
        (("ask", "q.wav", "why?", *M, "--dtype", "int4"), 1, "'int4', expected auto, float32"),
        (("ask", "q.wav", "why?", *M, "--slots", "9"), 1, "slots=9"),
        (("ask", "q.wav", "why?", *M, "--task", "urban-sounds"), 2, "whose answers are labels"),
        (("classify", "q.wav", *M, "--labels", "Hum,hum"), 1, "are the same to flamingo"),
        (("classify", "q.wav", *M, "--labels", "hum,,hiss"), 2, "label 2 of 'hum,,hiss' is empty"),
        (("classify", "q.wav", *M, "--labels", ""), 2, "label 1 of '' is empty"),
        (("classify", "q.wav", *M, "--labels", "hum,hum"), 2, "'hum' is given twice"),
        (("classify", "q.wav", *M, "--labels", LABELS), 1, "give fewer labels"),
        (("classify", "q.wav", *M, "--task", "describe"), 2, "language model"),
        (("classify", "q.wav", *I, *N, "--prior"), 2, "--prior: it is about a language model"),
        (("classify", "q.wav", *I, *N, "--blend"), 2, "--blend: it is about a language model"),
        (("classify", "q.wav", *I, *N, "--vote-weight", 0), 2, "--vote-weight: it is about a"),
        (("classify", "q.wav", *I, *M, "--blend", "--vote-weight", 1), 2, "it is a fixed weight"),
        (("classify", "q.wav", *I, *N, "--slots", 3), 2, "--slots: it is about a language model"),
        (("classify", "q.wav", *M, "--labels", "a,b", "--group", "g"), 2, "--group: it is about"),
        (("ask", "q.wav", "why?", *M, "--strategy", "random"), 2, "it is about exemplars"),
        (("ask", "q.wav", "why?", *M, "--top-k", 5), 2, "at temperature 0 nothing is"),
        (("ask", "q.wav", "why?", *M, "--temperature", 1, "--top-p", 0), 2, "top_p=0.0"),
        (("ask", "q.wav", "why?", *M, "--stop", ""), 2, "empty"),
        (("ask", "q.wav", "why?", *M, "--seed", -1), 2, "greater than or equal to 0"),
        (("ask", "q.wav", "why?", *M, "--start-s", 9), 1, "9.000 s"),
        (("ask", "q.wav", "why?", *M, "--start-s", 9, "--end-s", 3), 2, "more than --start-s 9"),
        (("caption", "q.wav", *M, "--end-s", 0), 2, "more than --start-s 0, got 0"),
        (("ask", "q.wav", "why?", *M, "--shots", 3), 2, "no index"),
        (("ask", "q.wav", "why?", *M, "--device", "tpu"), 2, "'tpu'"),
        (("ask", "q.wav", "why?", *M, "-i", "none.index"), 1, "none.index"),
        (("classify", "q.wav", *I, *M, "--length", "max"), 2, "got 'max'"),
        (("classify", "q.wav", *I, *N, "--shots", "0"), 2, "0 shots"),
        (("models", "verify", "corpus"), 1, "has no config.json"),
        (("models", "pull", "audio-flamingo-chat"), 1, "--accept-noncommercial"),
        (("index", "features", "s.index"), 2, "language model"),
    ],
)
def test_an_error_is_one_line_that_names_the_value(
    run: Run, words: tuple[str, ...], code: int, told: str
) -> None:
    found, out, err = run(*words)
    assert (found, told in err) == (code, True), err
    assert not out
    *before, last = without_help(err).splitlines()
    assert last.startswith("Error: " if err.startswith("Usage: ") else "error: ")
    assert not [line for line in before if line.lower().startswith("error: ")]


def test_a_damaged_model_is_named_with_its_file(run: Run, home: Path) -> None:
    for name, content, told in (
        ("config.json", "{", "config.json"),
        ("config.json", '{"format": "other"}', "'other'"),
        ("encoder.safetensors", "short", "encoder.safetensors has changed"),
        ("model-00001-of-00001.safetensors", "short", ".safetensors has changed"),
        ("tokenizer.json", "{}", "tokenizer.json has changed"),
        ("digests.json", None, "digests.json"),
    ):
        shutil.rmtree(home / "broken", ignore_errors=True)
        shutil.copytree(home / "flamingo", home / "broken")
        if content is None:
            (home / "broken" / name).unlink()
        else:
            (home / "broken" / name).write_text(content)
        code, out, err = run("ask", "q.wav", "why?", "--model", "broken")
        assert (code, out, len(without_help(err).splitlines())) == (1, "", 1)
        assert err.startswith("error: broken")
        assert told in err
    config = json.loads((home / "flamingo" / "config.json").read_text())
    config["flamingo"]["n_heads"] = "many"
    (home / "broken" / "config.json").write_text(json.dumps(config))
    _, _, err = run("ask", "q.wav", "why?", "--model", "broken")
    assert err.startswith("error: broken/config.json: ")
    assert "n_heads" in err
    assert "'many'" in err
