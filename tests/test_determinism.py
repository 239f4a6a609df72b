"""The same question has the same answer, to the byte, and nearly so on another machine."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from earful.demo import DemoCorpus
from earful.index.builder import BuildOptions, build_index
from earful.rag import FewShot

RATE = 44_100
# How far scores may lie apart on two machines: other instructions sum up in another order.
TOLERANCE = 1e-3
GOLDEN = Path(__file__).with_name("golden") / "answer.json"


def write_corpus(root: Path) -> Path:
    rng = np.random.default_rng(7)
    time_s = np.arange(RATE // 2) / RATE
    for label, hz in (("hum", 120), ("whistle", 3000), ("rattle", 700)):
        (root / label).mkdir(parents=True)
        for take in range(4):
            wave = np.sin(2 * np.pi * (hz + 9 * take) * time_s) * (1 + np.sin(40 * time_s * take))
            noise = rng.normal(scale=0.02, size=time_s.size)
            soundfile.write(root / label / f"{take}.wav", 0.2 * wave + noise, RATE)
    return root


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    write_corpus(home / "corpus")
    write_corpus(home / "asked")
    for path in sorted((home / "asked").rglob("*.wav")):
        samples, _ = soundfile.read(path)
        soundfile.write(path, samples[::-1] * 0.7, RATE)
    return home


def answers(home: Path, *files: str, threads: int, index: str) -> list[bytes]:
    """Build an index unless it is there, classify files by the command line, return its lines."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}

    def run(*words: str) -> bytes:
        command = [sys.executable, "-m", "earful", *words]
        done = subprocess.run(command, cwd=home, env=environment, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    if not (home / index).exists():
        run("index", "build", "corpus", "--index", index)
    out = run("classify", *files, "--index", index, "--device", "cpu", "--json")
    return out.splitlines(keepends=True)


@pytest.mark.slow
def test_processes_threads_and_the_order_of_files_change_no_byte(home: Path) -> None:
    files = ["asked/hum/1.wav", "asked/whistle/2.wav", "asked/rattle/3.wav"]
    first = answers(home, *files, threads=1, index="1.index")
    assert len(first) == 3
    assert len({json.loads(line)["confidence"] for line in first}) == 3
    assert answers(home, *files, threads=1, index="1.index") == first
    # Another index of the same corpus, embedded and fitted by two threads.
    assert answers(home, *files, threads=2, index="2.index") == first
    backwards = answers(home, *files[::-1], threads=1, index="1.index")
    assert backwards[::-1] == first


@pytest.mark.slow
def test_the_size_of_a_batch_changes_an_answer_by_rounding_alone(home: Path) -> None:
    asked = sorted((home / "asked").rglob("*.wav"))[::3]
    found = []
    for size in (1, 5, 64):
        path = home / f"batch-{size}.index"
        build_index(home / "corpus", path, options=BuildOptions(batch_clips=size))
        few = FewShot.open(path, device="cpu")
        found.append([few.classify(audio) for audio in asked])
    for first, *others in zip(*found, strict=True):
        for other in others:
            assert [hit.path for hit in other.evidence] == [hit.path for hit in first.evidence]
            assert [score.label for score in other.scores] == [
                score.label for score in first.scores
            ]
            numbers = [score.score for score in first.scores]
            # A matrix product sums up in another order when it has more rows.
            assert [score.score for score in other.scores] == pytest.approx(numbers, abs=2e-6)


def test_the_shipped_models_answer_about_a_shipped_recording() -> None:
    demo = DemoCorpus.find()
    few = FewShot.from_task(demo.task, model="earful-small", device="cpu")
    found: dict[str, Any] = {}
    for label in ("thunder", "door"):
        audio = min((demo.queries / label).iterdir())
        answer = few.classify(audio, task=demo.task)
        found[f"{label}/{audio.name}"] = {
            "text": answer.text,
            "evidence": [hit.path.name for hit in answer.evidence],
            **{
                name: {score.label: round(score.score, 6) for score in scores}
                for name, scores in (
                    ("scores", answer.scores),
                    ("vote", answer.vote),
                    ("model_scores", answer.model_scores),
                )
            },
        }
    if os.environ.get("EARFUL_WRITE_GOLDEN"):
        GOLDEN.write_text(json.dumps(found, indent=1) + "\n")
    wanted = json.loads(GOLDEN.read_text())
    assert found.keys() == wanted.keys()
    for name, answered in found.items():
        assert answered["text"] == wanted[name]["text"]
        assert answered["evidence"] == wanted[name]["evidence"]
        for kind in ("scores", "vote", "model_scores"):
            assert answered[kind] == pytest.approx(wanted[name][kind], abs=TOLERANCE)
