import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earful.testing import write_flamingo
from tests.support.served_process import serving

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONSOLE = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
pytestmark = pytest.mark.slow


def earful(command: str, folder: Path) -> str:
    words = shlex.split(command, comments=True)
    assert words[0] == "earful"
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env={**os.environ, "EARFUL_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def without_numbers(text: str) -> list[str]:
    return [re.sub(r"[\d.,]+|[+-](?=\d)", "#", line).rstrip() for line in text.splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the README's commands name, and the checkout's notebooks."""
    folder = tmp_path_factory.mktemp("read me")
    (folder / "notebooks").symlink_to(ROOT / "notebooks")
    rng = np.random.default_rng(0)

    def noise(path: str, hz: float) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        t = np.arange(22050) / 22050
        wave = 0.3 * np.sin(2 * np.pi * hz * t) + 0.01 * rng.standard_normal(t.size)
        soundfile.write(folder / path, wave, 22050)

    for n in range(3):
        noise(f"corpus/hum/{n}.wav", 100 + n)
        noise(f"corpus/beep/{n}.wav", 2000 + n)
        noise(f"examples/normal/{n}.wav", 200 + n)
        noise(f"examples/faulty/{n}.wav", 3000 + n)
        noise(f"labelled/normal/{n}.wav", 220 + n)
        noise(f"labelled/faulty/{n}.wav", 2800 + n)
    slices = ["slice_file_name,fsID,start,end,salience,fold,classID,class"]
    for fold in (1, 10):
        for number, name in ((3, "dog_bark"), (8, "siren")):
            slices.append(f"9{fold}-{number}-0-0.wav,9{fold}{number},0,1,1,{fold},{number},{name}")
            noise(
                f"data/UrbanSound8K/audio/fold{fold}/9{fold}-{number}-0-0.wav", 99 * number + fold
            )
    (folder / "data/UrbanSound8K/metadata").mkdir()
    table = folder / "data/UrbanSound8K/metadata/UrbanSound8K.csv"
    table.write_text("\n".join(slices) + "\n")
    # Small random ones, where the fetched ones would be.
    for variant in ("foundation", "chat"):
        name = f"audio-flamingo-{variant}"
        write_flamingo(folder / "home" / "models" / name, variant=variant)
    (folder / "questions.txt").write_text("What is it?\nIs it near?\n")
    for n in range(2):
        noise(f"night/{n}.wav", 2000)
    (folder / "calls.csv").write_text("recording,start_s,end_s,label\nnight/0.wav,0.2,0.6,beep\n")
    noise("siren.wav", 900)
    noise("pump.wav", 210)
    return folder


FETCHED = re.compile(r"models pull|--model (?:Qwen|openai:)")


def _but_mistakes(text: str) -> str:
    return re.sub(r"^  wrong: .*\n", "", text, flags=re.MULTILINE)


def test_the_first_screen_is_what_the_demo_prints(folder: Path) -> None:
    """``EARFUL_WRITE_GOLDEN=1`` writes it into README anew, such as after another training."""
    command, _, shown = CONSOLE[0].partition("\n")
    assert command == "$ ./dev demo"
    index = folder / "demo.index"
    printed = earful(f"earful demo --index {shlex.quote(str(index))}", ROOT)
    printed = printed.replace(shlex.quote(str(index)), ".demo/sounds.index")
    if os.environ.get("EARFUL_WRITE_GOLDEN"):
        (ROOT / "README.md").write_text(README.replace(shown, printed, 1), encoding="utf-8")
        shown = printed
    assert without_numbers(_but_mistakes(printed)) == without_numbers(_but_mistakes(shown))
    summary = re.compile(r"(\d+) of (\d+) clips right")
    ours, theirs = (summary.search(text) for text in (printed, shown))
    assert ours is not None
    assert theirs is not None
    # Another CPU may round one clip over the edge, not five.
    assert ours.group(2) == theirs.group(2)
    # Each lists its own mistakes, all of them.
    for text, found in ((printed, ours), (shown, theirs)):
        n_wrong = int(found.group(2)) - int(found.group(1))
        assert text.count("  wrong: ") == n_wrong
    assert abs(int(ours.group(1)) - int(theirs.group(1))) <= 2


def test_the_ten_lines_of_python_run(folder: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 2


def _serve(command: str, folder: Path) -> None:
    """Start a page, which runs until it is ended, and end it as a user does."""
    home = {"EARFUL_HOME": str(folder / "home")}
    with serving(*shlex.split(command)[2:], env=home, cwd=folder) as (process, address):
        with urllib.request.urlopen(address, timeout=30) as response:
            assert response.status == 200
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert out.strip()


@pytest.mark.timeout(900)  # some forty commands, each a process of its own
def test_every_command_runs_as_printed(folder: Path) -> None:
    (task,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    (folder / "machines.toml").write_text(task)
    earful("earful index build notebooks/demo/sounds --index sounds.index", folder)
    commands = [
        line.removeprefix("$ ")
        for block in CONSOLE[1:]
        for line in block.splitlines()
        # Fetching and endpoints are tested on servers of their own.
        if line.startswith("$ earful") and not FETCHED.search(line)
    ]
    assert len(commands) >= 10
    for command in commands:
        if command.startswith("earful serve"):
            _serve(command, folder)
            continue
        if command.startswith("earful evaluate"):
            # Tones are near-duplicates of each other, and few of them say enough here.
            command += " --leaks exclude --limit 6 --seeds 1"
        printed = earful(command, folder)
        assert printed.strip(), command
