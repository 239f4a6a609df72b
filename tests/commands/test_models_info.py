"""``earful models info``: what is known of a model before it is loaded."""

import json
from pathlib import Path

import pytest

from tests.support.command_line import run_fine, run_refused


def described(*words: str) -> list[dict[str, object]]:
    told = run_fine("models", "info", *words, "--json")
    return [json.loads(line) for line in told.splitlines()]


def test_a_name_that_is_two_models_is_described_twice() -> None:
    assert [found["role"] for found in described("earful-small")] == ["embedder", "language model"]


def test_a_model_of_the_hub_that_was_not_fetched() -> None:
    (found,) = described("nvidia/audio-flamingo-3-hf")
    assert found["licence"] == "non-commercial research"
    assert found["extra"] == "hub-models"
    assert found["fetched"] is False
    assert "earful models pull nvidia/audio-flamingo-3-hf" in str(found["next"])


def test_a_folder_in_the_hubs_layout(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "qwen2_audio"}', encoding="utf-8")
    (tmp_path / "README.md").write_text("---\nlicense: apache-2.0\n---\n", encoding="utf-8")
    (tmp_path / "model.safetensors").write_bytes(b"12345")
    (found,) = described(str(tmp_path))
    assert (found["family"], found["licence"]) == ("Qwen2-Audio", "apache-2.0")
    assert (found["n_bytes"], found["ran"], found["fetched"]) == (5, True, True)


def test_what_is_no_model_is_refused() -> None:
    assert "earful models pull" in run_refused("models", "info", "someone/nothing")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("openai:gpt-audio", "earful models check openai:gpt-audio --base-url"),
        ("earful-small", "comes with earful"),
        ("laion/clap-htsat-unfused", "--embedder laion/clap-htsat-unfused"),
        ("audio-flamingo-fondation", "did you mean 'audio-flamingo-foundation'?"),
    ],
)
def test_what_is_not_pulled_is_told_so_and_no_licence_is_shown(name: str, told: str) -> None:
    shown = run_refused("models", "pull", name)
    assert told in " ".join(shown.split())
    assert "NVIDIA" not in shown
