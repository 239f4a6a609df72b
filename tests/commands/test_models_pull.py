"""``earful models pull`` and its neighbours: what is no model to fetch, or not installed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from earful.errors import ModelError
from earful.model.hub_models import pull_hub_model
from tests.support.command_line import run_refused


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("earful-small", "earful-small comes with earful"),
        ("yamnet", "there is nothing to fetch"),
        ("laion/clap-htsat-unfused", "is an embedder, expected a language model; embedders are"),
        ("here/", "here/: is a path on this machine, .* with --model here/"),
        ("./here", "is a path on this machine"),
        ("own/here", "is a path on this machine"),
        ("flamingo/", "no model named 'flamingo/' to fetch, expected owner/name of the hub"),
        ("./flamingo", "expected owner/name of the hub"),
        ("audio-flamingo-foundatoin", "did you mean 'audio-flamingo-foundation'"),
        ("Qwen2-Audio-7B-Instruct", "expected owner/name of the hub"),
        ("a/b/c", "expected owner/name of the hub"),
    ],
)
def test_what_is_no_model_of_the_hub_is_told_without_a_licence(
    name: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("here").mkdir()
    Path("own/here").mkdir(parents=True)
    told = run_refused("models", "pull", name)
    assert re.search(says, told), told
    assert "NVIDIA" not in told


def test_a_hub_out_of_reach_is_not_blamed_on_the_id(monkeypatch: pytest.MonkeyPatch) -> None:
    # Nobody listens there.
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(
        "huggingface_hub.HfApi",
        lambda: __import__("huggingface_hub.hf_api").hf_api.HfApi("http://127.0.0.1:9"),
    )
    with pytest.raises(
        ModelError, match=r"^a/b: cannot be looked up on the hub: .*be reached "
    ) as caught:
        pull_hub_model("a/b", accept_licence=True)
    assert "id" not in str(caught.value).split()
    assert ".." not in str(caught.value)


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        ("models pull audio-flamingo-foundation", "flamingo"),
        ("models verify audio-flamingo-foundation", "flamingo"),
        ("models convert --checkpoint a --msclap b --tokenizer c --out d", "flamingo"),
        ("models convert-clap laion/clap-htsat-unfused --out d", "clap"),
    ],
)
def test_without_torch_the_extra_is_named(command: str, extra: str, tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['torch'] = None\n"
        f"sys.argv = ['earful', *{command.split()}]\n"
        "from earful.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert f"needs 'torch': pip install 'earful[{extra}]'" in done.stderr
    assert "bug" not in done.stderr
