"""Log records, and how the command line shows them, errors and progress included."""

import io
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from earful import cli, console
from earful.diagnostics import logs
from earful.index import Index
from earful.index.builder import build_index
from earful.rag import FewShot
from tests.support.error_lines import without_help
from tests.support.private_home import ODD

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def quiet_afterwards() -> Iterator[None]:
    logger = logging.getLogger("earful")
    handlers, level = logger.handlers[:], logger.level
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)


# --- records ----------------------------------------------------------------------------


def test_opening_and_answering_are_logged_with_their_numbers(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="earful"):
        answer = FewShot.open(home / "s.index").classify(home / f"{ODD}.wav")
    opened, loaded, answered = caplog.records[-3:]
    assert (opened.name, opened.__dict__["n_rows"]) == ("earful.rag.parts", 6)
    assert opened.__dict__["fingerprint"]["name"] == "logmel"
    assert loaded.__dict__["embedder"] == "logmel"
    assert answered.name == "earful.rag.answer"
    assert answered.__dict__["n_shots"] == len(answer.evidence)
    assert set(answered.__dict__["timings"]) == set(answer.timings)


def test_commits_and_rejections_are_logged(
    home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    corpus = shutil.copytree(home / "corpus", tmp_path / "corpus")
    (corpus / "secret hum" / "broken.wav").write_bytes(b"RIFF nothing useful")
    with caplog.at_level(logging.INFO, logger="earful"):
        build_index(corpus, tmp_path / "s.index", embedder="logmel")
    committed, rejected = [r for r in caplog.records if "builder" in r.name]
    assert committed.__dict__["n_rows"] == 6
    assert rejected.__dict__["audio"] == "secret hum/broken.wav"
    assert "broken.wav" in rejected.getMessage()


def test_nothing_is_shown_unless_asked_for(run: Run) -> None:
    code, _, err = run("classify", f"{ODD}.wav", "-i", "s.index", "--model", "none")
    assert (code, err) == (0, "")


def test_a_person_reads_lines_without_control_characters(run: Run) -> None:
    words = ("classify", f"{ODD}.wav", "-i", "s.index", "--model", "none", "--json")
    _, quiet, _ = run(*words)
    code, out, err = run("--verbose", *words)
    assert (code, out) == (0, quiet)
    assert "info rag.parts: opened index " in err
    assert "\\x1b[31m name.wav: answered by neighbour-vote in " in err
    assert "\x1b" not in err


def test_a_program_reads_an_object_a_line(run: Run) -> None:
    words = ("classify", f"{ODD}.wav", "-i", "s.index", "--model", "none")
    code, _, err = run("--log-json", *words)
    records = [json.loads(line) for line in err.splitlines()]
    assert code == 0
    assert [record["logger"] for record in records[-2:]] == [
        "earful.model.registry",
        "earful.rag.answer",
    ]
    last = records[-1]
    assert list(last) == ["time", "level", "logger", "message", "fields"]
    assert datetime.fromisoformat(last["time"]).tzinfo is not None
    assert last["level"] == "info"
    assert last["fields"]["audio"] == f"{ODD}.wav"
    assert last["fields"]["timings"]["embed_s"] > 0


MORE_WORDS = (
    (("--debug", "index", "info", "no.index"), 1, "error", "no.index"),
    (("index", "nonsense"), 2, "error", "No such command 'nonsense'."),
    (("search", "x.wav", "-k", "0", "-i", "s.index"), 2, "error", "Invalid value for '--k'"),
    (("classify", f"{ODD}.wav", "-i", "s.index"), 0, "warning", "earful-small is a small"),
    (("classify", "x.wav", "-i", "s.index", "--model", "none"), 1, "error", "no such file"),
)


@pytest.mark.parametrize(
    ("words", "code", "level", "told"),
    [
        (("index", "info", "no.index"), 1, "error", "no.index"),
        (("--nonsense", "index"), 2, "error", "No such option: --nonsense"),
        *(pytest.param(*more, marks=pytest.mark.slow) for more in MORE_WORDS),
    ],
)
def test_a_program_reads_nothing_but_objects(
    home: Path, words: tuple[str, ...], code: int, level: str, told: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "earful", "--log-json", *words],
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    records = [json.loads(line) for line in done.stderr.splitlines()]
    assert all(list(record)[:4] == ["time", "level", "logger", "message"] for record in records)
    assert any(record["level"] == level and told in record["message"] for record in records)
    if level == "error" and words[-1] == "no.index":
        (error,) = (record for record in records if record["level"] == "error")
        assert error["help"] == "docs/troubleshooting.md#index"
    tracebacks = [one for one in records if "traceback" in one.get("fields", {})]
    assert len(tracebacks) == ("--debug" in words)


def test_progress_and_an_interruption_are_objects_too(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> object:
        with console.counter("listening", sys.stderr) as show:
            show(1, 2)
        raise KeyboardInterrupt

    monkeypatch.setattr(console, "_PLAIN_EVERY_S", 0.0)
    monkeypatch.setattr(Index, "open", interrupted)
    monkeypatch.setattr(sys, "argv", ["earful", "--log-json", "index", "info", "s.index"])
    with pytest.raises(SystemExit):
        cli.main()
    progress, end = map(json.loads, capfd.readouterr().err.splitlines())
    assert progress["message"].startswith("listening: 1 of 2, ")
    assert end["message"].startswith("interrupted; ")
    assert (progress["level"], end["logger"]) == ("info", "earful.cli")


def test_a_line_without_an_end_waits_for_it() -> None:
    stream = io.StringIO()
    written = logs.JsonStderr(stream)
    written.write("note: half ")
    assert stream.getvalue() == ""
    written.write("a line\n\nerror: a\tb")
    written.finish()
    told = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(one["level"], one["message"]) for one in told] == [
        ("warning", "half a line"),
        ("error", "a\tb"),
    ]


def test_a_name_that_is_not_utf8_is_logged_as_one_line(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The test runner keeps what reaches the root, and cannot hand this on between processes.
    monkeypatch.setattr(logging.getLogger("earful"), "propagate", False)
    logs.show_logs(logging.INFO, as_json=True)
    logging.getLogger("earful.test").info("opened %s", "a\udcff\nb", extra={"path": Path("x")})
    (line,) = capfd.readouterr().err.splitlines()
    assert json.loads(line)["message"] == "opened a\udcff\nb"
    assert json.loads(line)["fields"] == {"path": "x"}


# --- what nobody planned for -------------------------------------------------------------


def broken(error: BaseException) -> Callable[..., object]:
    def fail(*_: object, **__: object) -> object:
        raise error

    return fail


def test_a_bug_is_one_line_and_says_how_to_report_it(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Index, "open", broken(KeyError("a\nb")))
    code, out, err = run("index", "info", "s.index")
    assert (code, out, len(without_help(err).splitlines())) == (1, "", 1)
    assert err.endswith("help: docs/troubleshooting.md#bug\n")
    assert err.startswith("error: KeyError: 'a\\nb'; this is a bug in earful: ")
    assert "earful doctor --report" in err
    with pytest.raises(KeyError):
        run("--debug", "index", "info", "s.index")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(28, "No space left on device", "x/y"), "error: x/y: No space left on device; "),
        (MemoryError(), "error: there is not enough memory; "),
    ],
)
def test_what_the_machine_lacks_is_no_bug_of_ours(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    monkeypatch.setattr(Index, "open", broken(error))
    code, _, err = run("index", "info", "s.index")
    assert (code, len(without_help(err).splitlines())) == (1, 1)
    assert err.startswith(told)
    assert "this is a bug" not in err


def shell(home: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run a pipeline; ``earful`` is the command line."""
    program = f"earful() {{ '{sys.executable}' -m earful \"$@\"; }}; set -o pipefail; {command}"
    return subprocess.run(
        ["bash", "-c", program], cwd=home, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_output_that_cannot_be_written_is_one_line(home: Path) -> None:
    done = shell(home, "earful index info s.index > /dev/full")
    assert done.returncode == 1
    assert done.stderr.startswith("error: No space left on device; ")
    assert len(without_help(done.stderr).splitlines()) == 1


def test_who_stops_reading_is_not_told_off(home: Path) -> None:
    done = shell(home, "earful search private.wav --help | true; earful datasets list | head -n 1")
    assert done.stderr == ""
