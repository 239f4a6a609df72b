"""What is typed nearly right, or in another place: the exit code, and what was meant."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.tones import write_tone

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def query(tmp_path: Path) -> Path:
    return write_tone(tmp_path / "query.wav", 3100, 50)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--device", "gpu"), "expected auto, cpu, cuda or cuda:N"),
        (("--device", ""), "unknown device ''"),
        (("--device", "cuda:x"), "unknown device 'cuda:x'"),
        (("--device", "meta"), "unknown device 'meta'"),
        (("--embedder", "logmle"), "did you mean 'logmel'"),
        (("--backend", "fiass"), "exact, faiss, half or approximate"),
        (("--where", "labels = 'whistle'"), "labels is a list: write array_has(labels, 'whistle')"),
        (("--where", "labels IN ('a', 'b')"), "write array_has(labels, 'a')"),
        (("--where", "labels LIKE '%x%'"), "write array_has(labels, '%x%')"),
        (("--where", "lables = 'x'"), "expected one SQL condition over id"),
    ],
)
def test_a_search_names_what_was_meant(
    run: Run, index: Path, query: Path, words: tuple[str, ...], told: str
) -> None:
    code, out, err = run("search", query, "--index", index, *words)
    assert (code, out) == (2, "")
    assert told in err
    # The advice comes before what a library said.
    assert "Schema error" not in err.split("expected one SQL")[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("classify", "query.wav", "--start-s", "3", "--end-s", "1"),
        ("caption", "query.wav", "--start-s", "3", "--end-s", "3"),
        ("ask", "query.wav", "why?", "--end-s", "0"),
        ("chat", "query.wav", "--start-s", "3", "--end-s", "1"),
        ("index", "export", "s.index", "rows.xlsx"),
        ("index", "export", "s.index", "rows"),
        ("evaluate", "--index", "s.index", "--strategies", "nearst"),
        ("evaluate", "--index", "s.index", "--arms", "votes"),
        ("evaluate", "--index", "s.index", "--shots", "-1"),
        ("evaluate", "--index", "s.index", "--model", "tiny"),
        ("classify", "query.wav", "--index", "s.index", "--strategy", "nearst"),
        ("classify", "query.wav", "--index", "s.index", "--model", "eraful-tiny"),
        ("index", "build", "corpus", "--index", "n.index", "--device", "gpu"),
        ("index", "add", "query.wav", "--label", "a", "--index", "s.index", "--device", "gpu"),
        ("search", "--text", " ", "--index", "s.index"),
    ],
)
def test_wrong_words_are_wrong_usage(
    run: Run, index: Path, query: Path, words: tuple[str, ...]
) -> None:
    code, out, err = run(*words)
    assert (code, out) == (2, ""), err
    assert "bug in earful" not in err
    assert "note: " not in err
    assert not Path("n.index").exists()


@pytest.mark.slow
def test_a_label_that_is_nearly_one_of_the_index_is_noted(
    run: Run, index: Path, query: Path
) -> None:
    words = ("classify", query, "--index", index, "--labels", "low hum,whistel")
    _, _, err = run(*words)
    assert "note: no exemplar has the label 'whistel'; did you mean 'whistle'?" in err
    code, _, err = run(*words, "--model", "none")
    assert code == 2
    assert "Did you mean 'whistle'?" in err
    assert "whistel" not in run("classify", query, "--index", index, "--labels", "low hum")[2]


def test_a_folder_is_all_its_recordings(run: Run, index: Path, corpus: Path, query: Path) -> None:
    (corpus / "whistle" / "notes.txt").write_text("none")
    words = ("--index", index, "--model", "none")
    code, out, _ = run("classify", "corpus/whistle", query, *words)
    assert code == 0
    answered = [line for line in out.splitlines() if not line.startswith(" ")]
    assert [line.split(": ")[0] for line in answered] == [
        *(f"corpus/whistle/{number}.wav" for number in range(4)),
        str(query),
    ]
    Path("empty").mkdir()
    code, out, err = run("classify", "empty", *words)
    assert (code, out) == (2, "")
    assert "is a folder without a recording" in err
    code, out, _ = run("caption", "corpus", "--index", index, "--json")
    assert (code, out.count("\n")) == (0, 8)


def test_hits_that_are_not_shown_are_counted(run: Run, index: Path, query: Path) -> None:
    _, out, _ = run("classify", query, "--index", index, "--model", "none", "--shots", "8")
    assert "  and 3 more, which --json lists" in out
    _, out, _ = run("classify", query, "--index", index, "--model", "none", "--shots", "5")
    assert "more, which" not in out


@pytest.mark.slow
def test_another_run_says_what_changed(run: Run, index: Path) -> None:
    words = (
        "evaluate",
        "--index",
        index,
        "--model",
        "none",
        "--out",
        "run.json",
        "--leaks",
        "allow",
    )
    assert run(*words, "--shots", "1")[0] == 0
    code, out, err = run(*words, "--shots", "2")
    assert (code, out) == (1, "")
    assert "Changed since: settings.shots: [1], now [2]" in err
    assert "another --out" in err
