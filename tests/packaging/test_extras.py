"""Extras: without one its commands say what to install, and with it they run."""

import json
import os
import re
import signal
import subprocess
import tomllib
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from safetensors.numpy import save_file

from earful.diagnostics import doctor
from tests.support.installed import ROOT, Installed, clean_environment, install

EXTRAS: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]["optional-dependencies"]
# A command that needs the extra, in the folder that `folder` makes.
COMMANDS = {
    "captions": "evaluate captions.toml --data sounds",
    "clap": "index build sounds --index clap.index --embedder laion/clap-htsat-unfused",
    "endpoint": "classify sounds/0.wav --index tones.index --model openai:x "
    "--base-url http://127.0.0.1:9/v1",
    "faiss": "search sounds/0.wav --index tones.index --backend faiss",
    "flamingo": "ask sounds/0.wav Hm? --index tones.index --model audio-flamingo-foundation",
    "hdf5": "models convert-yamnet yamnet.h5 --out yamnet",
    "hub-models": "ask sounds/0.wav Hm? --model ./qwen",
    "lance": "index approximate tones.index --train",
    "map": "index map tones.index --html map.html --method umap",
    "media": "classify phone.m4a --index tones.index",
    "object-stores": "index info s3://bucket/tones.index",
    "ray": "index build sounds --index ray.index --embedder logmel --engine ray",
    "serve": "serve --index tones.index --port 0 --no-open",
}
# Further ones that only manage models: they need a package, not a machine that could run it.
MODEL_COMMANDS = {
    "models pull audio-flamingo-foundation": "flamingo",
    "models convert --checkpoint foundation.pt --msclap a.pth --tokenizer b --out c": "flamingo",
    "models verify audio-flamingo-foundation": "flamingo",
    "models convert-clap clap.pt --out clap": "clap",
}
# Nothing of theirs is a command.
WITHOUT_COMMAND = {"all", "faiss-gpu", "notebook", "train"}
Folder = Callable[[Installed], Path]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Make what the commands name, the index by an installation's own command."""

    def made(installed: Installed) -> Path:
        time_s = np.arange(4000) / 8000
        rows = ["file_name,label,answer"]
        (tmp_path / "sounds").mkdir()
        for number in range(4):
            wave = 0.3 * np.sin(2 * np.pi * (300 + 400 * number) * time_s)
            soundfile.write(tmp_path / f"sounds/{number}.wav", wave, 8000)
            rows.append(f"{number}.wav,{'low' if number < 2 else 'high'},it hums")
        (tmp_path / "sounds/metadata.csv").write_text("\n".join(rows) + "\n")
        task = (
            'name = "captions"\nkind = "caption"\nquestion = "Describe it."\n'
            '[[examples]]\naudio = "sounds/0.wav"\nanswer = "it hums"\n'
        )
        (tmp_path / "captions.toml").write_text(task)
        (tmp_path / "yamnet.h5").touch()
        (tmp_path / "clap.pt").touch()
        (tmp_path / "phone.m4a").write_bytes(b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom\0\0\0\0")
        (tmp_path / "qwen").mkdir()
        names = {
            "model_type": "qwen2_audio",
            "architectures": ["Qwen2AudioForConditionalGeneration"],
        }
        (tmp_path / "qwen/config.json").write_text(json.dumps(names))
        save_file({"none": np.zeros(1, np.float32)}, tmp_path / "qwen/model.safetensors")
        words = "index build sounds --index tones.index --embedder logmel --column labels=label"
        installed.output(*words.split(), cwd=tmp_path)
        return tmp_path

    return made


def wanted(extra: str) -> re.Pattern[str]:
    return re.compile(rf"pip install 'earful\[{extra}\]'")


def test_doctor_knows_every_extra() -> None:
    # Whichever FAISS there is, it is the module `faiss`.
    assert set(doctor._EXTRAS) == set(EXTRAS) - {"all", "faiss-gpu"}


def test_every_extra_has_a_command_here() -> None:
    assert set(COMMANDS) | WITHOUT_COMMAND == set(EXTRAS)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_without_an_extra_its_command_says_what_to_install(bare: Installed, folder: Folder) -> None:
    cwd = folder(bare)
    commands = [(command, extra) for extra, command in COMMANDS.items()]
    for command, extra in [*commands, *MODEL_COMMANDS.items()]:
        done = bare.run(*command.split(), cwd=cwd)
        assert done.returncode == 1, (extra, done.stdout, done.stderr)
        (line,) = [one for one in done.stderr.splitlines() if one.startswith("error: ")]
        assert wanted(extra).search(line), line
        assert "Traceback" not in done.stderr
    done = bare.run("demo", "--page", cwd=cwd)
    assert wanted("serve").search(done.stderr), done.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(
    not os.environ.get("EARFUL_EXTRAS"), reason="EARFUL_EXTRAS=1 installs each extra (minutes)"
)
@pytest.mark.parametrize("extra", sorted(set(EXTRAS) - {"faiss-gpu"}))
def test_with_an_extra_its_command_no_longer_asks_for_it(
    extra: str, wheel: Path, tmp_path: Path, folder: Folder
) -> None:
    installed = install(wheel, tmp_path / "environment", [extra])
    cwd = folder(installed)
    findings = json.loads(installed.output("doctor", "--no-hub", "--json", cwd=cwd))
    states = {one["name"]: one["state"] for one in findings}
    assert "broken" not in states.values(), findings
    chosen = set(EXTRAS) - {"all", "faiss-gpu"} if extra == "all" else {extra}
    assert {states[f"earful[{one}]"] for one in chosen} == {"ok"}
    for one in (chosen & set(COMMANDS)) - {"serve"}:
        done = installed.run(*COMMANDS[one].split(), cwd=cwd)
        assert not wanted(one).search(done.stderr), done.stderr
        assert "Traceback" not in done.stderr
    if extra == "serve":
        check_the_page_of_the_demo(installed, cwd)


def check_the_page_of_the_demo(installed: Installed, cwd: Path) -> None:
    process = subprocess.Popen(
        [installed.folder / "bin/earful", "demo", "--page"],
        cwd=cwd,
        env={**clean_environment(cwd), "DISPLAY": "", "WAYLAND_DISPLAY": "", "BROWSER": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found is not None
        with urllib.request.urlopen(found.group(), timeout=30) as response:
            assert response.status == 200
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate(timeout=30)
