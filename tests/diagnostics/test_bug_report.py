"""A failure report has counts and versions, and gives nothing away."""

import getpass
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from earful.diagnostics import bug_report

Run = Callable[..., tuple[int, str, str]]


def test_a_report_counts_and_gives_nothing_away(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARFUL_HOME", str(home / "models of jane"))
    monkeypatch.setenv("HF_TOKEN", "hf_abcdef")
    monkeypatch.setattr(socket, "gethostname", lambda: "janes-laptop.example.org")
    monkeypatch.setattr(getpass, "getuser", lambda: "janedoe")
    monkeypatch.setenv("EARFUL_NOTE", "janes-laptop of janedoe")
    code, out, _ = run("doctor", "--report", "--index", "s.index")
    report = json.loads(out)
    assert code == 0
    assert report["index"]["n"] == 6
    assert report["index"]["labels"] == 2
    assert report["index"]["fingerprint"]["name"] == "logmel"
    assert report["packages"]["lancedb"]
    assert report["machine"]["cpus"] == os.cpu_count()
    assert report["settings"]["HF_TOKEN"] == "(set)"
    private = [str(home), home.name, str(Path.home()), str(Path.cwd()), "janes-laptop", "janedoe"]
    for text in (*private, "secret", "private", "jane", "hf_abcdef", "models of"):
        assert text not in out
    assert "/" not in out.replace("MP4/AAC", "")
    code, out, _ = run("doctor", "--report", "--index", "s.index", "--with-paths")
    assert str(home / "models of jane") in out
    assert "hf_abcdef" not in out


def test_a_report_of_a_broken_index_says_so_without_its_path(run: Run, home: Path) -> None:
    code, out, _ = run("doctor", "--report", "--index", home / "corpus")
    assert code == 0
    error = json.loads(out)["index"]["error"]
    assert error.startswith("IndexFolderError: (path): ")
    assert "index.json" in error
    assert "/corpus" not in out
    assert home.name not in out


@pytest.mark.slow
def test_a_report_of_an_index_that_is_not_there_says_why_without_its_name(run: Run) -> None:
    for name in (
        *("nope.index", Path("nope.index").absolute(), "../jane/nope.index"),
        *("jane's nope.index", Path("jane's nope.index").absolute()),
    ):
        code, out, _ = run("doctor", "--report", "--index", name)
        assert code == 0
        error = json.loads(out)["index"]["error"]
        assert error.startswith("IndexFolderError: (path)")
        assert len(error) > len("IndexFolderError: (path): ")
        assert "nope" not in out
        assert "jane" not in out
    _, out, _ = run("doctor", "--report", "--index", "nope.index", "--with-paths")
    assert "nope.index" in out


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("not in /home/jane doe/x", "not in (path)"),
        ("'~/x'", "'(path)"),
        (r"C:\Users\jane", "(path)"),
        ("MP4/AAC, 50-14000 Hz 1024/480", "MP4/AAC, 50-14000 Hz 1024/480"),
        ("laion/clap-htsat-unfused", "laion/clap-htsat-unfused"),
        ("ImportError: lib.so: /opt/x.so: no", "ImportError: lib.so: (path)"),
        ("by jane, on box", "by (name), on box"),
    ],
)
def test_paths_and_names_are_taken_out(text: str, left: str) -> None:
    assert bug_report._text_without(text, ["jane"]) == left


def test_options_of_a_report_are_refused_without_one(run: Run) -> None:
    code, _, err = run("doctor", "--with-paths", "--no-hub")
    assert code == 2
    assert "add --report" in err
