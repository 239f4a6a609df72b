import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from earful.commands.engine_options import EngineOptions
from earful.index.distributed import RayEngine
from tests.support.levels import write_level

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    write_level(tmp_path / "corpus" / "a" / "1.wav", 0.25)
    return tmp_path / "corpus"


@pytest.mark.parametrize(
    ("options", "at", "says"),
    [
        ("--workers 2", "--workers", "is for --engine ray"),
        ("--ray-address auto", "--ray-address", "is for --engine ray"),
        ("--ray-autoscaling", "--ray-autoscaling", "is for --engine ray"),
        ("--engine rey", "--engine", "ray"),
        ("--engine ray --device cuda", "--device", "--gpus-per-worker"),
        ("--engine ray --ray-autoscaling", "--workers", "how many"),
        ("--engine ray --gpus-per-worker 1.5", "--gpus-per-worker", "whole number"),
        ("--engine ray --dry-run", "--engine", "leave one out"),
    ],
)
def test_options_without_effect_or_sense_are_refused(
    corpus: Path, earful_command: Run, options: str, at: str, says: str
) -> None:
    index = corpus.parent / "s.index"
    code, _, err = earful_command("index", "build", corpus, "--index", index, *options.split())
    assert code == 2
    assert at in err
    assert says in " ".join(err.split())
    assert not index.exists()


def test_options_become_an_engine() -> None:
    given = EngineOptions(
        engine="ray", workers=3, cpus_per_worker=2, gpus_per_worker=0.5, ray_address="auto"
    )
    wanted = RayEngine(workers=3, cpus_per_worker=2, gpus_per_worker=0.5, address="auto")
    assert given.open(device="auto") == wanted
    assert EngineOptions().open(device="cuda") is None


def test_without_ray_one_line_names_the_extra(
    corpus: Path, earful_command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setenv("EARFUL_DECODE", "here")
    command = ("index", "build", corpus, "--index", corpus.parent / "s.index")
    code, _, err = earful_command(*command, "--embedder", "logmel", "--engine", "ray")
    assert code == 1
    assert "pip install 'earful[ray]'" in err
