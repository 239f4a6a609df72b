import json
import shutil
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save

from earful.errors import ModelError
from earful.model import load_embedder
from earful.model.audio import Clip
from earful.model.runtime import (
    ROW_SCALE,
    Release,
    fill,
    read_part,
    read_tensors,
    release,
    require_release,
    require_shapes,
)
from earful.model.tiny import load_tiny, read_release, trunk_shapes
from earful.model.tiny.weights import WEIGHTS

SHIPPED = Path(str(files("earful.model.tiny"))) / "weights"
PARTS = sorted(read_release().parts)


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the package find its weights in a folder of ours, and return that."""
    shutil.copytree(SHIPPED, tmp_path / "weights")
    monkeypatch.setattr(release, "files", lambda package: tmp_path)
    return tmp_path / "weights"


def release_of(**digests: str) -> Release:
    parts: dict[str, dict[str, Any]] = {name: {"sha256": x} for name, x in digests.items()}
    return Release(shipped=WEIGHTS, number="1", licence="", parts=parts)


# --- what ships -------------------------------------------------------------------------


def test_the_description_names_every_file_that_ships() -> None:
    told = {str(about["file"]) for about in read_release().parts.values()}
    beside = {"earful-tiny.json", "earful-tiny.LICENCE.txt"}
    graphs = {"frames.onnx", "text.onnx", "trunk.onnx"}
    assert {path.name for path in SHIPPED.iterdir()} == told | beside | graphs
    assert read_release().licence == "CC-BY-4.0"


@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_what_its_description_says(part: str) -> None:
    release = read_release()
    data = read_part(release, part)
    about = release.parts[part]
    assert data == (SHIPPED / about["file"]).read_bytes()
    if about["file"].endswith(".safetensors"):
        tensors = load_tensors(data)
        counted = [x.numel() for name, x in tensors.items() if not name.endswith(ROW_SCALE)]
        assert about["parameters"] == sum(counted)
        assert about["licence"] == "CC-BY-4.0"


def test_a_digest_over_parts_is_of_those_parts_in_order() -> None:
    # printf ab | sha256sum
    ab = "fb8e20fc2e4c3f248c60c39bd652f3c1347298bb977b8b4d5903b85055620603"
    release = release_of(trunk="a", clap="b", tokenizer="c")
    assert release.digest_of("trunk", "clap") == ab
    assert len({release.digest_of("clap", "trunk"), release.digest_of("trunk"), ab}) == 3


# --- refusals ---------------------------------------------------------------------------


@pytest.mark.parametrize("part", PARTS)
def test_damaged_weights_are_refused_by_the_name_of_their_file(copied: Path, part: str) -> None:
    release = read_release()
    file = str(release.parts[part]["file"])
    data = bytearray((copied / file).read_bytes())
    data[-1] ^= 1
    (copied / file).write_bytes(data)
    with pytest.raises(ModelError, match=f"weights {file} have sha256 .*, expected .* reinstall"):
        read_part(release, part)
    (copied / file).unlink()
    with pytest.raises(ModelError, match=f"cannot be read .*{file}.*; reinstall"):
        read_part(release, part)


@pytest.mark.parametrize("part", ["trunk", "clap", "tokenizer"])
def test_an_embedder_is_not_made_of_damaged_weights(copied: Path, part: str) -> None:
    file = json.loads((copied / "earful-tiny.json").read_text())["parts"][part]["file"]
    with (copied / file).open("ab") as damaged:
        damaged.write(b"\0")
    with pytest.raises(ModelError, match=f"earful-tiny: the weights {file}"):
        load_tiny(device="cpu")


def test_a_missing_description_is_told(copied: Path) -> None:
    (copied / "earful-tiny.json").unlink()
    with pytest.raises(ModelError, match=r"mine: the weights cannot be read .*\.json"):
        read_release("mine")


@pytest.mark.parametrize("text", ["{", "[]", '{"release": "1"}', "\xff"])
def test_a_broken_description_is_told(copied: Path, text: str) -> None:
    (copied / "earful-tiny.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelError, match=r"earful-tiny.*; reinstall earful"):
        read_release()


def test_wrong_weights_are_refused_by_name() -> None:
    weights = {name: np.zeros(shape, np.float32) for name, shape in trunk_shapes().items()}
    del weights["convolutions.3.bias"]
    weights["extra"] = np.zeros(1, np.float32)
    weights["convolutions.0.bias"] = np.zeros(5, np.float32)
    with pytest.raises(ModelError) as caught:
        require_shapes(weights, trunk_shapes(), "mine")
    assert "mine: wrong weights: missing convolutions.3.bias; unexpected extra;" in str(
        caught.value
    )
    assert "convolutions.0.bias has shape (5,), expected (64,)" in str(caught.value)
    with pytest.raises(ModelError, match="mine: not a safetensors file"):
        read_tensors(b"\x80\x04 a pickle", "mine")


def test_another_release_is_refused() -> None:
    release = read_release()
    require_release(release, "", "mine")
    require_release(release, release.number, "mine")
    for other in ("main", "0", f"{release.number} "):
        with pytest.raises(ModelError) as caught:
            require_release(release, other, "mine")
        assert f"mine: release {other!r} is requested" in str(caught.value)
        assert f"ships {release.number!r}" in str(caught.value)
    with pytest.raises(ModelError, match="release '0' is requested"):
        load_tiny(revision="0")


# --- filling a module -------------------------------------------------------------------


def test_a_module_takes_the_tensors_of_its_prefix_in_float32() -> None:
    weight, bias = torch.tensor([[1.5, -2.0]]), torch.tensor([0.25])
    data = save(
        {
            "mine.weight": weight.half(),
            "mine.bias": bias.half(),
            "other.weight": torch.zeros(3),
        }
    )
    with torch.device("meta"):
        module = torch.nn.Linear(2, 1)
    filled = fill(module.train(), data, "x", prefix="mine.")
    assert torch.equal(filled.weight, weight)
    assert torch.equal(filled.bias, bias)
    assert filled.weight.dtype == torch.float32
    assert not filled.training
    assert not any(parameter.requires_grad for parameter in filled.parameters())
    with pytest.raises(ModelError, match=r"missing bias; missing weight; unexpected mine\.bias"):
        fill(torch.nn.Linear(2, 1), data, "x")


# --- one's own --------------------------------------------------------------------------


def test_ones_own_folder_is_an_embedder(tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(SHIPPED, own)
    told = json.loads((own / "earful-tiny.json").read_text())
    told["release"] = "mine"
    (own / "earful-tiny.json").write_text(json.dumps(told))
    embedder = load_embedder(str(own))
    shipped = load_embedder("earful-tiny")
    clip = Clip(samples=np.full(44100, 0.1, dtype=np.float32), sample_rate=44100)
    assert np.array_equal(embedder.embed([clip]), shipped.embed([clip]))
    # An index finds it again from any folder.
    assert embedder.fingerprint.name == str(own.resolve())
    assert embedder.fingerprint.revision == "mine"
    assert embedder.fingerprint.weights_sha256 == shipped.fingerprint.weights_sha256
    load_embedder(embedder.fingerprint.name, revision="mine")
    with pytest.raises(ModelError, match="release '1' is requested"):
        load_embedder(str(own), revision="1")


def test_faults_of_ones_own_folder_say_what_makes_it_anew(tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(SHIPPED, own)
    told = json.loads((own / "earful-tiny.json").read_text())
    (own / told["parts"]["clap"]["file"]).unlink()
    with pytest.raises(ModelError, match=r"own: the weights cannot be read .*training\.ship"):
        load_embedder(str(own))
    del told["parts"]["clap"]
    (own / "earful-tiny.json").write_text(json.dumps(told))
    with pytest.raises(ModelError, match=r"own: release .* has no clap; .*training\.ship"):
        load_embedder(str(own))


def test_a_folder_of_the_shipped_name_does_not_shadow_what_ships(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "earful-tiny").mkdir()
    (tmp_path / "earful-tiny" / "earful-tiny.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert read_release().folder is None
    assert load_embedder("earful-tiny").fingerprint.name == "earful-tiny"
