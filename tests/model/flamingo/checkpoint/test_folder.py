import json
import shutil
from pathlib import Path

import pytest
import torch

from earful.errors import ModelError, UnknownNameError
from earful.model import load_language_model
from earful.model.flamingo.checkpoint import (
    load_flamingo,
    open_flamingo_folder,
    verify_flamingo_folder,
)
from earful.model.flamingo.checkpoint.folder import CONFIG_NAME
from earful.model.runtime import models_home
from earful.testing import write_flamingo


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_flamingo(tmp_path_factory.mktemp("models") / "flamingo")


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def rewrite(folder: Path, **changes: object) -> None:
    path = folder / CONFIG_NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_what_was_written_comes_back(folder: Path, tmp_path: Path) -> None:
    opened = open_flamingo_folder(folder)
    assert opened.variant == "foundation"
    assert opened.licence == "random weights"
    assert len(opened.weights_sha256) == 64
    again = write_flamingo(tmp_path / "again")
    assert open_flamingo_folder(again).digests == opened.digests
    other = write_flamingo(tmp_path / "other", seed=1)
    assert open_flamingo_folder(other).weights_sha256 != opened.weights_sha256
    one, two = (open_flamingo_folder(f).load_model(device="cpu") for f in (folder, again))
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, two.state_dict()[name]), name
    assert not one.training
    assert not any(parameter.requires_grad for parameter in one.parameters())
    assert not any(parameter.is_meta for parameter in one.parameters())


def test_a_name_is_looked_up_where_pull_puts_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARFUL_HOME", str(tmp_path))
    with pytest.raises(ModelError, match="earful models pull audio-flamingo-chat"):
        load_language_model("audio-flamingo-chat")
    shutil.copytree(folder, models_home() / "audio-flamingo-foundation")
    model = load_language_model("audio-flamingo-foundation", device="cpu")
    assert model.capabilities.name == "audio-flamingo-foundation"
    monkeypatch.delenv("EARFUL_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert models_home() == tmp_path / "cache" / "earful" / "models"
    with pytest.raises(UnknownNameError, match="no such folder"):
        load_language_model(str(tmp_path / "none"))


def test_wrong_choices_are_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match="decoding 'ful', expected full or compat"):
        load_flamingo(str(folder), decoding="ful")
    with pytest.raises(ModelError, match="slots=9, expected 1 to 8"):
        load_flamingo(str(folder), slots=9)
    with pytest.raises(ModelError, match="device 'cuda:99'"):
        load_flamingo(str(folder), device="cuda:99")


def test_what_is_no_such_folder_says_so(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no config\.json; expected a folder made by"):
        open_flamingo_folder(tmp_path)
    rewrite(copy, format="llama")
    with pytest.raises(ModelError, match="format is 'llama', expected 'earful-flamingo'"):
        open_flamingo_folder(copy)
    rewrite(copy, format="earful-flamingo", format_version=2)
    with pytest.raises(ModelError, match="format_version is 2, expected at most 1"):
        open_flamingo_folder(copy)
    rewrite(copy, format_version=1, variant="sing")
    with pytest.raises(ModelError, match="variant is 'sing', expected foundation or chat"):
        open_flamingo_folder(copy)
    for part, match in (
        ({"flamingo": None}, "flamingo config: .*NoneType"),
        ({"encoder": {}}, "missing"),
        ({"dtype": "int8"}, "dtype is 'int8', expected float32, bfloat16, float16"),
    ):
        before = (copy / CONFIG_NAME).read_text()
        rewrite(copy, **{"variant": "chat", **part})
        with pytest.raises(ModelError, match=rf"config\.json: .*{match}"):
            open_flamingo_folder(copy)
        (copy / CONFIG_NAME).write_text(before)
    (copy / CONFIG_NAME).write_text("{")
    with pytest.raises(ModelError, match="cannot be read"):
        open_flamingo_folder(copy)


def shard_of(folder: Path) -> Path:
    (shard,) = folder.glob("model-*.safetensors")
    return shard


def test_damage_is_found_and_named(copy: Path) -> None:
    assert verify_flamingo_folder(copy) == ()
    shard = shard_of(copy)
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    (copy / "tokenizer.json").unlink()
    (copy / "notes.txt").write_text("mine")
    told: list[str] = []
    problems = verify_flamingo_folder(copy, progress=told.append)
    assert [problem.split(":")[0] for problem in problems] == [
        f"{shard.name} has changed",
        "tokenizer.json is missing",
        "notes.txt does not belong to it",
    ]
    assert told == sorted(open_flamingo_folder(copy).digests)


def test_a_file_that_cannot_be_read_is_a_problem_not_the_end(copy: Path) -> None:
    (copy / "tokenizer.json").unlink()
    (copy / "tokenizer.json").mkdir()
    (problem,) = verify_flamingo_folder(copy)
    assert problem == "tokenizer.json cannot be read: Is a directory"


def test_a_file_that_has_changed_is_named_before_it_is_used(copy: Path) -> None:
    shard = shard_of(copy)
    content = shard.read_bytes()
    for changed in (content[: len(content) // 2], content[:-1] + b"\0", b""):
        shard.write_bytes(changed)
        with pytest.raises(ModelError, match=rf"{shard.name} has changed: .*Convert or fetch"):
            load_flamingo(str(copy), device="cpu")
    shard.unlink()
    with pytest.raises(ModelError, match=rf"{shard.name} is missing"):
        load_flamingo(str(copy), device="cpu")


def test_what_cannot_be_loaded_names_the_file(copy: Path) -> None:
    # With digests that were made anew the contents themselves have to be right.
    opened = open_flamingo_folder(copy)
    shard = shard_of(copy)
    content = shard.read_bytes()
    shard.write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match=rf"{shard.name}: cannot be read.*earful models verify"):
        opened.load_model(device="cpu")
    shard.write_bytes((copy / "encoder.safetensors").read_bytes())
    with pytest.raises(ModelError, match=r"\d+ tensors are wrong, such as: missing .*again"):
        opened.load_model(device="cpu")


def test_a_shard_outside_the_folder_is_not_opened(copy: Path) -> None:
    index = copy / "model.safetensors.index.json"
    told = json.loads(index.read_text())
    told["weight_map"] = dict.fromkeys(told["weight_map"], "../../secret.safetensors")
    index.write_text(json.dumps(told))
    with pytest.raises(ModelError, match=r"copy/secret\.safetensors: cannot be read"):
        open_flamingo_folder(copy).load_model(device="cpu")
