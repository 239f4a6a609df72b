"""Output to consoles and files whose encoding lacks letters."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from earful.command_line import escape_what_streams_cannot_write, is_unicode
from earful.commands.options import print_json
from earful.index.builder import build_index
from tests.support.tones import write_tone


def stream(encoding: str) -> tuple[io.TextIOWrapper, io.BytesIO]:
    content = io.BytesIO()
    return io.TextIOWrapper(content, encoding=encoding, newline="\n"), content


@pytest.mark.parametrize(
    ("encoding", "wanted"),
    [("utf-8", "µ ✓ чайка"), ("cp1252", "µ \\u2713 \\u0447\\u0430\\u0439\\u043a\\u0430")],
)
def test_what_cannot_be_written_is_escaped(
    monkeypatch: pytest.MonkeyPatch, encoding: str, wanted: str
) -> None:
    out, content = stream(encoding)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", out)
    escape_what_streams_cannot_write()
    out.write("µ ✓ чайка")
    out.flush()
    assert content.getvalue().decode(encoding) == wanted


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "ascii", "utf-16"])
def test_json_is_json_in_every_encoding(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    out, content = stream(encoding)
    monkeypatch.setattr(sys, "stdout", out)
    value = {"label": "чайка 🦉 é"}
    print_json(value)
    out.flush()
    assert json.loads(content.getvalue().decode(encoding)) == value
    assert is_unicode(out) == encoding.startswith("utf")


def test_a_stream_without_an_encoding_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    escape_what_streams_cannot_write()
    assert is_unicode(sys.stdout)


@pytest.mark.slow
def test_a_label_in_cyrillic_is_told_on_a_western_console(tmp_path: Path) -> None:
    for take in range(3):
        for label, pitch in (("чайка", 300), ("hum", 900)):
            write_tone(tmp_path / f"sounds/{label}/{take}.wav", pitch + take, take)
    build_index(tmp_path / "sounds", tmp_path / "s.index", embedder="logmel")
    words = ["classify", "sounds/чайка/0.wav", "--index", "s.index"]
    for option in ([], ["--json"]):
        done = subprocess.run(
            [sys.executable, "-m", "earful", *words, *option],
            cwd=tmp_path,
            env={**os.environ, "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        out = done.stdout.decode("cp1252")
        assert "\\u0447\\u0430\\u0439\\u043a\\u0430" in out
        if option:
            assert "чайка" in json.dumps(json.loads(out), ensure_ascii=False)
