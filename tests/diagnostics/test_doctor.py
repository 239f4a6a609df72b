import importlib
import importlib.metadata
import tomllib
from pathlib import Path

import pytest

from earful.diagnostics import doctor


def test_a_missing_extra_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(doctor._EXTRAS, "media", ("no_such_module_anywhere", "MP4"))
    (finding,) = [f for f in doctor.examine(hub=False) if f.name == "earful[media]"]
    assert finding.state == "missing"
    assert finding.mend == "pip install 'earful[media]'"


def test_a_broken_package_is_told_and_does_not_stop_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doctor, "_CORE", ("numpy", "no_such_module_anywhere"))
    findings = {finding.name: finding for finding in doctor.examine(hub=False)}
    assert findings["no_such_module_anywhere"].state == "broken"
    assert "ModuleNotFoundError" in findings["no_such_module_anywhere"].found
    assert findings["numpy"].state == "ok"
    assert findings["earful-small"].state == "ok"


def test_an_unreachable_hub_is_missing_not_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # the discard port: refused at once
    (finding,) = [f for f in doctor.examine() if f.name == "model hub"]
    assert finding.state == "missing"
    assert "127.0.0.1:9" in finding.found
    assert "HF_HUB_OFFLINE" in finding.mend


def test_the_hub_is_left_alone_when_offline_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (finding,) = [f for f in doctor.examine() if f.name == "model hub"]
    assert finding.found == "offline by HF_HUB_OFFLINE"


def test_every_extra_is_looked_at() -> None:
    project = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text())
    # faiss-gpu installs the module that faiss does; all is the others together.
    extras = set(project["project"]["optional-dependencies"]) - {"faiss-gpu", "all"}
    named = {finding.name for finding in doctor.examine(hub=False)}
    assert {f"earful[{extra}]" for extra in extras} <= named


def test_torch_and_torchaudio_are_pinned_together() -> None:
    """torchaudio 2.11.1 declares torch>=2.11 and needs a symbol that torch 2.11.0 lacks."""
    project = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    for extra in ("clap", "flamingo", "train"):
        assert {"torch==2.11.*", "torchaudio==2.11.0"} <= set(extras[extra])
    assert importlib.metadata.version("torchaudio") == "2.11.0"
    assert importlib.import_module("torchaudio")
    # Who only wants the shipped models installs neither.
    assert not any(name.startswith("torch") for name in project["project"]["dependencies"])
