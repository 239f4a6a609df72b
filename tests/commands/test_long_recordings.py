"""Long recordings and stretches of them in the commands about recordings."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

import earful
from earful.errors import AudioError
from earful.model.audio import FIND_WHERE
from tests.support.tones import write_tone

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def night(tmp_path: Path) -> Path:
    """Seventy seconds at a low rate: a hum, and a whistle from 0:20 to 0:21."""
    t = np.arange(70 * 8000) / 8000
    wave = np.where((t >= 20) & (t < 21), np.sin(2 * np.pi * 3000 * t), 0.3 * np.sin(760 * t))
    soundfile.write(tmp_path / "night 1.wav", 0.3 * wave, 8000)
    return tmp_path / "night 1.wav"


def test_an_average_says_once_what_finds_the_sound(run: Run, index: Path, night: Path) -> None:
    scan = "earful scan 'night 1.wav' --index s.index -o 'night 1.scan'"
    words = ("night 1.wav", "--index", index)
    for command in (("classify", *words, "--model", "none"), ("search", *words)):
        assert run(*command)[1].count(scan) == 1
        (note,) = json.loads(run(*command, "--json")[1])["notes"]
        assert note.endswith(
            f"too long for a short sound in it to be heard; find where it is: {scan}"
        )
        stretch = (*command, "--start-s", "0:20", "--end-s", "0:21", "--json")
        found = json.loads(run(*stretch)[1])
        assert (found["start_s"], found["end_s"], found["notes"]) == (20.0, 21.0, [])
        assert found["evidence"][0]["labels"] == ["whistle"]


@pytest.mark.slow
def test_what_cannot_be_heard_is_told_once(run: Run, index: Path, tmp_path: Path) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(200 * 8000)
    soundfile.write(tmp_path / "hours.wav", noise, 8000)
    _, out, _ = run("classify", "hours.wav", "--index", index, "--model", "none")
    assert out.count("it lasts 200 s") == 1


def test_over_the_limit_the_next_step_is_a_command(run: Run, index: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "day.wav", np.zeros(1000 * 1900), 1000)
    says = "take a stretch of it by --start-s and --end-s, or find where a sound is: earful scan "
    says += "day.wav --index s.index -o day.scan"
    for command in (("classify", "--model", "none"), ("search",)):
        code, _, err = run(command[0], "day.wav", "--index", index, *command[1:], "--json")
        assert (code, says in err) == (1, True)
    assert json.loads(run("classify", "day.wav", "--index", index, "--json")[1])["end_s"] is None
    few = earful.FewShot.open(index)
    with pytest.raises(AudioError, match=r"by start_s and end_s, find .* earful\.scan, or "):
        few.search("day.wav")


def test_the_library_names_its_function(run: Run, index: Path, night: Path) -> None:
    few = earful.FewShot.open(index)
    answer = few.classify(night)
    assert answer.notes[0].endswith(FIND_WHERE)
    part = few.classify(night, start_s=20, end_s=21, group="site 7")
    assert (part.labels, part.start_s, part.end_s) == ((part.text,), 20.0, 21.0)
    told = part.to_dict()
    assert (told["group"], told["labels"], part.query.start_s) == ("site 7", [part.text], 20.0)
    for hit in part.evidence:
        assert hit.to_dict().keys() >= {"start_s", "end_s", "labels", "group", "rank"}


def test_search_takes_a_stretch_of_a_recording_only(run: Run, index: Path, night: Path) -> None:
    few = earful.FewShot.open(index)
    whistle = few.search(night, k=1, start_s=20, end_s=21)[0]
    assert whistle.exemplar.labels == ("whistle",)
    with pytest.raises(ValueError, match="a text has none"):
        few.search(text="whistle", start_s=1.0)
    with pytest.raises(ValueError, match="expected more than start_s=3"):
        few.search(night, start_s=3, end_s=2)
    code, _, err = run("search", "--text", "dog", "--index", index, "--start-s", "1")
    assert (code, "--start-s" in err) == (2, True)
    for given in ("0:7", "-1", "1:2:03", "soon"):
        code, _, err = run("search", night, "--index", index, "--end-s", given)
        assert (code, given in err, "--end-s" in err) == (2, True, True), given


def test_evidence_says_where_in_its_recording_it_lies(run: Run, tmp_path: Path) -> None:
    for name, hz in (("a", 300), ("b", 3000)):
        write_tone(tmp_path / f"{name}.wav", hz, 1, seconds=20)
    table = "file,label,start,end\n"
    for name, start, end in (("a", "03", "04.5"), ("a", "12", "13.5"), ("b", "03", "04.5")):
        table += f"{name}.wav,{name} sound,0:{start},0:{end}\n"
    (tmp_path / "t.csv").write_text(table)
    run("index", "build", "t.csv", "--index", "t.index", "--embedder", "logmel")
    write_tone(tmp_path / "query.wav", 300, 9)
    _, out, _ = run("classify", "query.wav", "--index", "t.index", "--model", "none")
    lines = [line for line in out.splitlines() if re.match(r"  [+-]0|  [+-]1", line)]
    assert sorted(line.split("  ")[-1] for line in lines) == [
        *("a.wav 0:03-0:04.5", "a.wav 0:12-0:13.5", "b.wav 0:03-0:04.5")
    ]
    assert len({line.index(".wav") for line in lines}) == 1
    _, out, _ = run("search", "a.wav", "--start-s", "3", "--end-s", "4.5", "--index", "t.index")
    assert "+1.000  a sound  a.wav 0:03-0:04.5" in out


def test_a_build_counts_rows_that_are_averages(run: Run, tmp_path: Path, night: Path) -> None:
    (tmp_path / "long" / "x").mkdir(parents=True)
    night.rename(tmp_path / "long" / "x" / "night.wav")
    words = ("index", "build", "long", "--index", "l.index", "--embedder", "logmel")
    says = "note: 1 row lasts over a minute; it is one vector, the average of its windows: mark"
    for more in (("--dry-run",), ()):
        _, out, _ = run(*words, *more)
        assert says in out


@pytest.mark.slow
def test_root_is_taken_wherever_a_corpus_is_read(run: Run, corpus: Path, index: Path) -> None:
    lists = corpus.parent / "lists"
    lists.mkdir()
    paths = sorted(path.relative_to(corpus).as_posix() for path in corpus.rglob("*.wav"))
    rows = [f"{path},{path.split('/')[0]}" for path in paths]
    (lists / "t.csv").write_text("\n".join(["file,label", *rows]) + "\n")
    words = ("index", "verify", index, "--repair", "--corpus", "lists/t.csv")
    assert run(*words)[0] != 0
    code, out, _ = run(*words, "--root", "corpus")
    assert (code, "8 rows checked, 8 as written" in out) == (0, True)
    asked = [*("evaluate", "--index", index, "--data", "lists/t.csv", "--arms", "vote", "--json")]
    asked += ["--leaks", "allow", "--model", "none", "--shots", "1"]
    assert run(*asked)[0] != 0
    code, out, err = run(*asked, "--root", "corpus")
    assert code == 0, err
    for command in (("index", "verify", index), ("evaluate", "--index", index)):
        code, _, err = run(*command, "--root", "corpus")
        assert (code, "--root" in err) == (2, True)


def test_an_index_without_a_commit_says_what_to_do(run: Run, tmp_path: Path, corpus: Path) -> None:
    (tmp_path / "e.index").mkdir()
    (tmp_path / "e.index" / ".lock").touch()
    code, _, err = run("index", "info", "e.index")
    assert code == 1
    assert "interrupted before its first commit; run it again: `earful index build" in err
    assert run("index", "build", corpus, "--index", "e.index", "--embedder", "logmel")[0] == 0
    earful.Index.create(tmp_path / "n.index", earful.Index.open("e.index").fingerprint)
    _, out, _ = run("index", "info", "n.index")
    assert "note: the index holds no rows; `earful index build CORPUS --index " in out
