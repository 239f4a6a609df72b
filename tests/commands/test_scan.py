"""``earful scan``, ``earful events`` and ``earful recordings`` as a user types them."""

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.tone_recordings import every, record, write_track

Run = Callable[..., tuple[int, str, str]]
WRENS = every(4, 6, "wren", first_s=2)
SCAN = ("scan", "night", "--examples", "a.txt", "-o", "night.scan")


@pytest.fixture(autouse=True)
def decode_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARFUL_DECODE", "here")
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def night(run: Run) -> Path:
    """A recording, and a track that marks the first three of six wrens."""
    record(Path("night/a.wav"), 26, WRENS)
    write_track(Path("a.txt"), WRENS[:3])
    return Path("night")


def test_a_night_is_scanned_asked_again_and_looked_after(run: Run, night: Path) -> None:
    code, out, _ = run(*SCAN, "--dry-run")
    assert code == 0
    assert "would decode 1 recording, 26.0 s, and keep" in out
    record(Path("elsewhere/b.wav"), 20, WRENS[:3])
    write_track(Path("elsewhere/b.txt"), WRENS[:3])
    code, out, _ = run("scan", "night", "--examples", "elsewhere", "--out", "b.scan", "--dry-run")
    assert code == 0
    assert "would decode 2 recordings, 1 of which holds examples alone, 46.0 s, and keep" in out
    assert not Path("night.scan").exists()
    code, out, _ = run(*SCAN)
    assert code == 0, out
    lines = out.splitlines()
    assert lines[0] == "night.scan: 1 recording, 26.0 s, 1 site"
    assert lines[1].startswith("encoding  [1/1]  26.0 s")
    assert "night/a.wav: 6 events, first 0:00:0" in out
    assert lines[-1] == ("wrote night.scan/events.csv; look at it: earful events page night.scan")
    with open("night.scan/events.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    starts = [float(row["start_s"]) for row in rows]
    assert starts == pytest.approx([start_s for start_s, _, _ in WRENS], abs=0.3)
    code, out, _ = run(*SCAN, "--threshold", "wren=9", "--json")
    assert code == 0
    (line,) = map(json.loads, out.splitlines())
    assert (line["recording"], line["status"], line["events"]) == ("night/a.wav", "ok", [])
    code, out, _ = run(*SCAN, "--threshold", "30")
    assert "all kept" in out
    assert "nothing was found" in out
    assert run(*SCAN, "--keep-scores")[0] == 0

    code, out, _ = run("events", "export", "night.scan", "--format", "raven,audacity", "-o", "x")
    assert code == 0
    assert sorted(os.listdir("x")) == ["a.audacity.txt", "a.selections.txt"]
    code, out, _ = run("events", "clips", "night.scan", "--most", "2", "--json")
    assert len(json.loads(out)["clips"]) == 2
    Path("all").mkdir()
    write_track(Path("all/a.txt"), WRENS)
    code, out, _ = run("events", "evaluate", "night.scan", "all/a.txt", "--metric", "iou,psds")
    assert code == 0, out
    assert "iou: mean F1 1.000" in out
    code, out, _ = run("events", "density", "night.scan", "--by", "recording", "--json")
    assert json.loads(out)[0]["n_events"] == 6

    code, out, _ = run("recordings", "info", "night.scan", "--json")
    (kept,) = json.loads(out)["recordings"]
    assert kept["path"] == "night/a.wav"
    shown = run("recordings", "info", "night.scan")[1]
    assert "night/a.wav" in shown
    assert "high_hz: no limit" in shown
    assert run("recordings", "verify", "night.scan", "--files")[0] == 0
    code, out, err = run("recordings", "remove", "night.scan", "b.wav")
    assert code == 2
    assert "recordings info" in err
    assert run("recordings", "remove", "night.scan", kept["key"][:8])[0] == 0
    code, out, _ = run(*SCAN)
    assert "[1/1]  26.0 s" in out


@pytest.mark.slow
def test_exit_codes_tell_what_failed(run: Run, night: Path) -> None:
    Path("night/broken.wav").write_bytes(b"no audio")
    code, out, _ = run(*SCAN)
    assert code == 3
    assert "failed night/broken.wav: " in out
    Path("broken").mkdir()
    Path("broken/b.wav").write_bytes(b"no audio")
    code, out, _ = run("scan", "broken", "--examples", "night.csv", "-o", "b.scan")
    assert code == 2
    Path("night.csv").write_text("recording,start_s,end_s,label\nnight/a.wav,2,3,wren\n")
    code, out, _ = run("scan", "broken", "--examples", "night.csv", "-o", "b.scan")
    assert code == 1
    assert "failed" in Path("b.scan/recordings.csv").read_text()
    assert "csv: nothing was scanned: 1 recording failed: " in out.splitlines()[-1]
    code, _, err = run("scan", "broken", "--examples", "night.csv", "-o", "b.scan", "--json")
    assert "note: nothing was scanned: 1 recording failed: " in err
    code, out, _ = run(*SCAN, "--from-s", "1:00")
    assert code == 1
    assert "1 recording was skipped: ends at 0:26, before 1:00, from where on is" in out
    assert "0.0 s" in out.splitlines()[0]


def test_columns_of_examples_are_named_as_they_are_called(run: Run, night: Path) -> None:
    rows = [f"night/a.wav,{start_s},{end_s},{label},0.9" for start_s, end_s, label in WRENS[:3]]
    Path("x.csv").write_text("\n".join(["Datei,von,bis,Art,Konf", *rows]) + "\n")
    scan = ("scan", "night", "--examples", "x.csv", "-o", "x.scan")

    def given(*fields: str) -> list[str]:
        return [word for field in fields for word in ("--column", field)]

    german = ("start_s=von", "end_s=bis")
    called = given("recording=Datei", "label=Art", "score=Konf", *german)
    code, out, err = run(*scan, *called)
    assert code == 0, err
    assert "6 events" in out
    code, as_index_build, _ = run(*scan, *given("audio=Datei", "labels=Art", *german), "--dry-run")
    assert (code, "wren          3" in as_index_build) == (0, True)
    code, _, err = run(*scan, *given("recording=Datei", "audio=Datei"))
    assert code == 2
    assert "both given for audio, as recording and as audio" in err
    code, _, err = run(*scan, *given("recording=Dateien", "label=Art", *german))
    assert code == 2
    assert "no column 'Dateien' for audio; found Datei, von, bis, Art" in err


def test_a_task_of_one_label_is_enough_for_a_scan(run: Run, night: Path) -> None:
    Path("wren.toml").write_text('labels = ["wren"]\n')
    code, out, err = run(*SCAN, "--task", "wren.toml")
    assert code == 0, err
    assert "6 events" in out
    # A question cannot be answered by choosing from one label.
    code, out, err = run("tasks", "check", "wren.toml")
    assert code != 0
    assert "at least 2; one is enough for `earful scan`, and with kind = 'multilabel'" in out + err
    Path("wren.toml").write_text("labels = []\n")
    code, _, err = run(*SCAN, "--task", "wren.toml")
    assert code == 2
    assert "0 labels; a classify task has at least 1" in err


def test_the_part_that_is_scanned_may_be_told_with_colons(run: Run, night: Path) -> None:
    times = ("--from-s", "0:05", "--to-s", "0:00:20.5", "--complete-until", "0:15")
    assert run(*SCAN, *times)[0] == 0
    said = json.loads(Path("night.scan/scan.json").read_text())
    assert said["options"]["part"]["from_s"] == 5
    assert said["options"]["part"]["to_s"] == 20.5
    assert said["sources"]["complete_until_s"] == 15
    assert run("events", "density", "night.scan", "--by", "recording")[0] == 0
    assert run(*SCAN, "--from-s", "5", "--to-s", "20.5", "--complete-until", "15")[0] == 0
    assert json.loads(Path("night.scan/scan.json").read_text()) == said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--threshold", "nan"), "--threshold"),
        (("--threshold", "robin=0.5"), "robin"),
        (("--join-s", "-1"), "join_s"),
        (("--label", "robin"), "robin"),
        (("--labels", "wren,"), "--labels"),
        (("--window-s", "3"), "window_s"),
        (("--detector", "best"), "--detector"),
        (("--slow", "0"), "--slow"),
        (("--channel", "left"), "--channel"),
        (("--fmin-hz", "500", "--fmax-hz", "400"), "low_hz"),
        (("--between", "4-5"), "between"),
        (("--timezone", "Mars/Olympus"), "Mars"),
        (("--names-are", "gmt"), "--names-are"),
        (("--first", "5"), "--reference"),
        (("--complete-until", "-1"), "--complete-until"),
        (("--complete-until", "1:75"), "--complete-until"),
        (("--from-s", "-1"), "--from-s"),
        (("--from-s", "0:70"), "--from-s"),
        (("--to-s", "1e999"), "--to-s"),
        (("--from-s", "0:10", "--to-s", "0:09"), "to_s"),
        (("--recordings", "gone.csv"), "gone.csv"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_decoded(
    run: Run, night: Path, words: tuple[str, ...], said: str
) -> None:
    code, _, err = run(*SCAN, *words)
    assert code == 2, err
    assert said in err
    assert not Path("night.scan/events.csv").exists()


def test_a_recording_that_is_gone_is_told_once(run: Run, night: Path) -> None:
    assert run(*SCAN)[0] == 0
    (night / "a.wav").unlink()
    code, out, _ = run("events", "clips", "night.scan")
    assert code == 3
    assert out.count("failed") == 1
    assert "  failed night/a.wav: 6 clips: no such file" in out
    code, out, _ = run("events", "page", "night.scan", "--html", "a.html")
    assert code == 0
    assert "note: 1 recording cannot be played, such as night/a.wav, which is neither here" in out


def test_recordings_beside_a_scan_are_found_from_elsewhere(
    run: Run, night: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(*SCAN)[0] == 0
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    code, out, _ = run("events", "page", "../night.scan", "--html", "a.html")
    assert code == 0
    assert "cannot be played" not in out
    assert "data:audio" in Path("a.html").read_text()
    code, out, _ = run("events", "clips", "../night.scan", "-o", "clips")
    assert (code, out.splitlines()[0].split()[0]) == (0, "6")


def test_an_out_that_is_a_file_is_told(run: Run, night: Path) -> None:
    code, _, err = run(*SCAN[:-1], "a.txt")
    assert code == 1
    assert "a.txt: is a file, expected a folder; give another --out" in err


def test_a_folder_that_does_not_fit_is_refused(run: Run, night: Path) -> None:
    assert run(*SCAN)[0] == 0
    code, _, err = run(*SCAN, "--fmin-hz", "300")
    assert code == 2
    assert "low_hz: 0.0 / 300.0" in err
    assert "(--fmin-hz)" in err
    assert "--vectors" in err
    code, _, err = run("events", "density", "night")
    assert code == 1
    assert "earful scan" in err
    code, _, err = run("events", "density", "night.scan", "--by", "moon")
    assert code == 2
    for command, option in (("density", "--by"), ("evaluate", "--metric")):
        reference = ["a.txt"] if command == "evaluate" else []
        code, _, err = run("events", command, "night.scan", *reference, option, "site,")
        assert (code, "2 of 'site,' is empty" in err, option in err) == (2, True, True)
    code, _, err = run("events", "export", "night.scan", "--format", "sonogram")
    assert code == 2
    code, _, err = run("events", "evaluate", "night.scan", "a.txt", "--metric", "psds")
    assert code == 1
    assert "--keep-scores" in err


def test_a_scan_that_reads_no_recording_says_so(run: Run, night: Path) -> None:
    Path("late").mkdir()
    (night / "a.wav").rename("late/LATE_20260503_120000.wav")
    table = "recording,start_s,end_s,label\nlate/LATE_20260503_120000.wav,2,3,wren\n"
    Path("marks.csv").write_text(table)
    scan = ("scan", "late", "--examples", "marks.csv", "-o", "late.scan", "--between")
    code, out, _ = run(*scan, "04:00-05:00")
    assert code == 0
    assert out.splitlines()[-1] == (
        "wrote late.scan/events.csv: nothing was scanned: 1 recording was skipped: lies outside of "
        "the part of the day that is scanned"
    )
    assert run("events", "page", "late.scan")[0] == 0
    page = Path("late.scan/events.html").read_text()
    assert "None of 1 recording was scanned" in page
    assert "Choose an event to hear it" in page
    assert "Choose a recording" not in page


def test_what_takes_a_while_is_shown_before_anything_is_encoded(
    run: Run, night: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("earful.commands.scan_console._EVERY_S", 0.0)
    (night / "a.wav").rename(night / "N_20260503_043000.wav")
    Path("a.txt").rename("N_20260503_043000.txt")
    scan = ("scan", "night", "--examples", "N_20260503_043000.txt", "-o", "night.scan")
    code, _, err = run(*scan, "--between", "04:00-05:00")
    assert code == 0
    shown = [line for line in err.splitlines() if "looking up" in line]
    assert shown[0] == "looking up recordings 1 of 1"
    assert "looking up times 1 of 1" in shown
    assert "encoding 1 of 1, 26.0 s, " in err
