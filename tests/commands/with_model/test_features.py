"""``earful index features``: audio encoded in advance."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from earful.index.builder import build_index
from tests.support.error_lines import without_help
from tests.support.tones import write_tone

Run = Callable[..., tuple[int, str, str]]
M = ("--model", "flamingo")
I = ("--index", "s.index")  # noqa: E741 - beside M


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


@pytest.mark.slow
def test_exemplars_that_moved_away_are_shown_from_what_is_kept(run: Run, home: Path) -> None:
    for seed in range(3):
        write_tone(home / "other" / "hum" / f"{seed}.wav", 120 + 5 * seed, seed)
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
    assert "; `earful index verify` lists all like it, " in without_help(err)
    assert run(*words, "--shot-mode", "text")[0] == 0


def test_an_index_that_takes_no_features_is_noted(run: Run, home: Path) -> None:
    for seed in range(2):
        write_tone(home / "two" / "hum" / f"{seed}.wav", 120 + 5 * seed, seed)
    build_index(home / "two", home / "ro.index", embedder="logmel")
    (home / "ro.index" / "features").write_text("in the way, as a read-only folder would be")
    code, out, err = run("ask", "q.wav", "why?", "-i", "ro.index", *M, "--max-tokens", 2)
    assert code == 0, err
    assert "note: features of exemplars cannot be kept in " in out
