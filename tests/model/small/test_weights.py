import json
import shutil
from importlib.resources import files
from pathlib import Path

import pytest
from safetensors import safe_open

from earful.errors import ModelError
from earful.model import load_embedder
from earful.model.runtime import ROW_SCALE
from earful.model.small import DESCRIPTION, digests_beside, load_small, read_small_release

SHIPPED = Path(str(files("earful.model.small"))) / "weights"
MOST_BYTES = 7.9e6


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Copy what ships, as a folder of one's own."""
    return Path(shutil.copytree(SHIPPED, tmp_path / "own"))


def tell(folder: Path, **changes: object) -> None:
    """Change what a description says of the encoder."""
    told = json.loads((folder / DESCRIPTION).read_text())
    told["parts"]["encoder"].update(changes)
    (folder / DESCRIPTION).write_text(json.dumps(told))


def test_the_description_names_every_file_that_ships_and_its_licence() -> None:
    release = read_small_release()
    told = {str(about["file"]) for about in release.parts.values()}
    others = {DESCRIPTION, "earful-small.LICENCE.txt", "narrow.onnx", "steps.onnx"}
    assert {path.name for path in SHIPPED.iterdir()} == told | others
    assert release.licence == "CC-BY-4.0"
    assert release.parts["encoder"]["beside"] == digests_beside()
    for about in release.parts.values():
        with safe_open(SHIPPED / about["file"], framework="np") as file:
            names = [name for name in file.keys() if not name.endswith(ROW_SCALE)]  # noqa: SIM118
            assert about["parameters"] == sum(file.get_tensor(name).size for name in names)
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) <= MOST_BYTES


def test_a_folder_of_ones_own_loads_by_its_name(folder: Path) -> None:
    told = json.loads((folder / DESCRIPTION).read_text())
    told["release"] = "mine"
    (folder / DESCRIPTION).write_text(json.dumps(told))
    found = load_embedder(str(folder), device="cpu").fingerprint
    assert (found.name, found.revision) == (str(folder.resolve()), "mine")
    assert found.weights_sha256 == load_small(device="cpu").fingerprint.weights_sha256


def test_weights_fitted_beside_others_are_refused(folder: Path) -> None:
    tell(folder, beside={**digests_beside(), "trunk": "0" * 64})
    with pytest.raises(ModelError, match=r"fitted beside .*00000.*expected .*training\.small"):
        load_small(str(folder))


@pytest.mark.parametrize("dims", [None, [128], [128, "256"], 384, [128, 255]])
def test_wrong_lengths_are_refused(folder: Path, dims: object) -> None:
    tell(folder, dims=dims)
    with pytest.raises(ModelError, match=r"dims|shape"):
        load_small(str(folder))


def test_damaged_or_missing_parts_are_refused(folder: Path) -> None:
    words = folder / "earful-small-words.safetensors"
    words.write_bytes(words.read_bytes()[:-1] + b"?")
    embedder = load_small(str(folder), device="cpu")  # whose vectors do not depend on words
    with pytest.raises(ModelError, match=r"sha256 .*training\.small"):
        embedder.embed_text(["a dog"])
    (folder / "earful-small.safetensors").unlink()
    with pytest.raises(ModelError, match=r"cannot be read .*training\.small"):
        load_small(str(folder))
    told = json.loads((folder / DESCRIPTION).read_text())
    del told["parts"]["encoder"]
    (folder / DESCRIPTION).write_text(json.dumps(told))
    with pytest.raises(ModelError, match="no encoder"):
        load_small(str(folder))
