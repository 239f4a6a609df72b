"""``earful models`` as a user types it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from earful.model.hub_models import CATALOGUE
from earful.testing import write_hub_checkpoint
from tests.support.error_lines import without_help

Run = Callable[..., tuple[int, str, str]]


def test_models_are_listed_by_role(run: Run) -> None:
    code, out, _ = run("models", "list", "--json")
    assert code == 0
    roles = [json.loads(line)["role"] for line in out.splitlines()]
    assert roles.count("language model") == 4 + len(CATALOGUE)
    assert "audio-flamingo-foundation" in run("models", "list")[1]


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


@pytest.mark.parametrize(
    "source", ["630k-audioset-best.pt", "weights/630k.pt", "./clap", "a/b/c", "clap/", "~/clap"]
)
def test_a_checkpoint_that_is_not_there_is_not_looked_for_on_the_hub(
    run: Run, tmp_path: Path, source: str
) -> None:
    code, _, err = run("models", "convert-clap", source, "--out", tmp_path / "clap")
    assert code == 1
    assert err.startswith(f"error: {source}: no such file or folder; ")
    assert len(without_help(err).splitlines()) == 1
    assert not (tmp_path / "clap").exists()


def test_a_hub_id_is_looked_for_on_the_hub(run: Run, tmp_path: Path) -> None:
    _, _, err = run("models", "convert-clap", "laion/clap-not-there", "--out", tmp_path / "clap")
    assert "no such file" not in err


def test_a_model_is_asked_whether_it_listens(run: Run) -> None:
    code, out, err = run("models", "listen", "flamingo", "--index", "s.index", "--limit", "2")
    assert code == 0, err
    assert out.startswith("flamingo ")
    assert "silence in the recording's place: " in out
    assert "the exemplars' audio swapped: " in out
    code, out, _ = run("models", "listen", "flamingo", "q.wav", "--json")
    assert code == 0
    assert json.loads(out)["hears_exemplars"] == "unknown"
    assert run("models", "listen", "none", "q.wav")[0] == 2
    assert "nothing to ask about" in run("models", "listen", "flamingo")[2]


@pytest.mark.slow
def test_two_models_are_compared_in_one_run(run: Run, home: Path) -> None:
    words = [*("--index", "s.index", "--near-duplicate", "1", "--limit", "2", "--shots", "0,1")]
    words += ["--arms", "zero-shot,retrieved,vote", "--out", "both.json"]
    code, out, err = run("evaluate", *words, "-m", "flamingo", "-m", "chatty")
    assert code == 0, err
    assert "flamingo: zero-shot" in out
    assert "chatty: retrieved@1" in out
    assert "chatty took 4 requests, " in out
    assert "exemplars" in out.partition("verdict: ")[2]
    assert (home / "both.html").exists()
    again = run("evaluate", "--replay", "both.json")
    assert again[1] == out
    same = run("evaluate", "--replay", "both.json", "--index", "s.index", "-m", "chatty", "-m",
               "flamingo")  # fmt: skip
    assert same[1].endswith("answers are the same\n"), same
    assert (
        "give each with --model"
        in run("evaluate", "--replay", "both.json", "--index", "s.index", "-m", "chatty")[2]
    )
    assert "it is given twice" in run("evaluate", *words, "-m", "chatty", "-m", "chatty")[2]
    assert "leave it out beside" in run("evaluate", *words, "-m", "chatty", "-m", "none")[2]
