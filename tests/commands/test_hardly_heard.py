"""Recordings of which an encoder hears little: builds count them, answers say so."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.support.tones import write_tone

Run = Callable[..., tuple[int, str, str]]

_HISS = 0.1 * np.random.default_rng(0).standard_normal(2 * 16_000)
_T = np.arange(384_000) / 384_000
HARDLY_HEARD = {
    "silence": (0 * _HISS, 16_000, "digital silence"),
    "quiet": (1e-6 * _HISS, 16_000, "dB of full scale"),
    "opposite": (np.stack([_HISS, -_HISS], axis=1), 16_000, "2 channels cancel each other"),
    "bat": (0.3 * np.sin(2 * np.pi * 50_000 * _T), 384_000, "above 22050 Hz"),
    "one": (_HISS[:1], 16_000, "too short for one spectrum"),
    "minutes": (np.tile(_HISS, 600), 16_000, "lasts 1200 s, too long for a short sound"),
}


def write(path: Path, name: str) -> Path:
    samples, rate, _ = HARDLY_HEARD[name]
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype="FLOAT")
    return path


@pytest.mark.slow
@pytest.mark.parametrize("name", HARDLY_HEARD)
def test_no_answer_where_nothing_is_left(run: Run, index: Path, tmp_path: Path, name: str) -> None:
    query, says = write(tmp_path / f"{name}.wav", name), HARDLY_HEARD[name][2]
    words = ("classify", query, "--index", index, "--model", "none")
    code, out, _ = run(*words, "--json")
    answer = json.loads(out)
    assert (code, answer["abstained"]) == (0, True)
    assert says in answer["reason"]
    assert answer["reason"] in answer["notes"]
    _, out, _ = run(*words)
    assert out.startswith(f"{query}: not sure (best guess: ")
    assert says in out.split("because ")[1]
    _, out, _ = run(*words, "--json", "--always-answer")
    answer = json.loads(out)
    assert says in answer["notes"][0]
    assert says not in answer["reason"]
    _, out, _ = run("search", query, "--index", index, "--json")
    assert says in json.loads(out)["notes"][0]
    _, out, _ = run("search", query, "--index", index)
    assert "  note: " in out
    assert says in out


def test_questions_and_captions_decline(run: Run, index: Path, tmp_path: Path) -> None:
    query = write(tmp_path / "silence.wav", "silence")
    for words in (("caption", query), ("ask", query, "Do you hear a whistle?")):
        code, out, _ = run(*words, "--index", index, "--json")
        answer = json.loads(out)
        assert (code, answer["abstained"]) == (0, True)
        assert "digital silence" in answer["reason"]


@pytest.mark.slow
def test_a_long_recording_among_long_ones_is_answered(run: Run, tmp_path: Path) -> None:
    for label, hz in (("low", 200), ("high", 3000)):
        for n in range(3):
            write_tone(tmp_path / "long" / label / f"{n}.wav", hz + 10 * n, n, seconds=100)
    run("index", "build", tmp_path / "long", "--index", "long.index", "--embedder", "logmel")
    query = write_tone(tmp_path / "query.wav", 205, 9, seconds=200)
    words = ("classify", query, "--index", "long.index", "--model", "none", "--json")
    answer = json.loads(run(*words)[1])
    assert "lasts 200 s" in answer["notes"][0]
    assert "lasts" not in answer["reason"]


def test_a_build_and_its_dry_run_count_the_same(run: Run, corpus: Path) -> None:
    for name in ("silence", "opposite", "bat"):
        write(corpus / "whistle" / f"{name}.wav", name)
    write(corpus / "low hum" / "nothing.wav", "silence")
    (corpus / "whistle" / "broken.wav").write_bytes(b"RIFF nothing useful")
    cut = corpus / "whistle" / "cut.flac"
    soundfile.write(cut, _HISS, 16_000)
    cut.write_bytes(cut.read_bytes()[:-2000])  # its header is whole, and its end is not there
    words = ("index", "build", corpus, "--index", "s.index", "--embedder", "logmel")
    code, out, _ = run(*words, "--dry-run", "--json")
    dry = json.loads(out)
    assert code == 3
    assert not Path("s.index").exists()
    _, text, _ = run(*words, "--dry-run")
    code, out, _ = run(*words, "--json")
    built = json.loads(out)
    assert code == 3
    assert dry["rejected"] == built["rejected"]
    assert [item["audio"] for item in dry["rejected"]] == ["whistle/broken.wav", "whistle/cut.flac"]
    assert dry["doubtful"] == built["doubtful"]
    counts = {item["kind"]: (item["n"], item["n_unusable"]) for item in dry["doubtful"]}
    assert counts == {"silent": (2, 2), "cancelling": (1, 1), "out-of-band": (1, 1)}
    assert "note: 2 rows of digital silence, 2 with nothing left to hear; the first is " in text
    # What the index holds unchanged is not decoded again.
    assert json.loads(run(*words, "--json")[1])["doubtful"] == []


def test_the_limit_of_the_build_is_that_of_its_dry_run(run: Run, corpus: Path) -> None:
    words = ("index", "build", corpus, "--index", "s.index", "--embedder", "logmel", "--json")
    found = [
        json.loads(run(*words, *more, "--max-duration-s", "0.5")[1])["rejected"]
        for more in (("--dry-run",), ())
    ]
    assert len(found[0]) == 8
    assert found[0] == found[1]


def test_a_recording_that_broke_since_has_a_way_out(run: Run, index: Path, corpus: Path) -> None:
    path = sorted((corpus / "whistle").iterdir())[0]
    path.write_bytes(path.read_bytes()[:2000])
    code, out, _ = run("index", "verify", index)
    assert code == 1
    assert "has changed since it was embedded and cannot be used now" in out
    id_ = f"whistle/{path.name}"
    assert f"`earful index remove {index.absolute()} {id_}`" in out
    # Building again is none: the row stays as it was, and the build says so.
    words = ("index", "build", corpus, "--index", index, "--embedder", "logmel")
    code, out, _ = run(*words, "--json")
    assert (code, json.loads(out)["outdated"]) == (3, [id_])
    _, out, _ = run(*words)
    assert "rejected, but still in the index" in out
    assert run("index", "remove", index, id_)[0] == 0
    assert run("index", "verify", index)[0] == 0
