"""``yamnet.h5`` in the published layout, with random numbers: folded, checked, written whole."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from earful.errors import MissingExtraError, ModelError
from earful.model import load_embedder
from earful.model.audio import Clip
from earful.model.yamnet import YamnetEmbedder, convert_yamnet, load_yamnet, read_yamnet_release
from earful.model.yamnet.convert import write_yamnet_folder
from earful.model.yamnet.keras_file import fold, read_h5

Arrays = dict[str, NDArray[Any]]
# Layer, stride, and channels it gives, as ``yamnet.py`` of the model garden lists them.
LAYERS = [
    (2, 1, 64),
    (3, 2, 128),
    (4, 1, 128),
    (5, 2, 256),
    (6, 1, 256),
    (7, 2, 512),
    *((number, 1, 512) for number in range(8, 13)),
    (13, 2, 1024),
    (14, 1, 1024),
]


def published_arrays(seed: int = 0) -> Arrays:
    """Random arrays under the names and in the order of axes that Keras writes."""
    rng = np.random.default_rng(seed)
    arrays: Arrays = {}

    def layer(name: str, kernel: str, shape: tuple[int, ...], n_outputs: int) -> None:
        fan_in = np.prod(shape[:2]) * (1 if "depthwise" in name else shape[2])
        arrays[f"{name}/{name}/{kernel}:0"] = rng.normal(0, (2 / fan_in) ** 0.5, shape)
        norm = f"{name}/bn/{name}/bn"
        arrays[f"{norm}/beta:0"] = rng.normal(0, 0.2, n_outputs)
        arrays[f"{norm}/moving_mean:0"] = rng.normal(0, 0.2, n_outputs)
        arrays[f"{norm}/moving_variance:0"] = rng.uniform(0.5, 2.0, n_outputs)

    layer("layer1/conv", "kernel", (3, 3, 1, 32), 32)
    before = 32
    for number, _, after in LAYERS:
        depthwise, pointwise = f"layer{number}/depthwise_conv", f"layer{number}/pointwise_conv"
        layer(depthwise, "depthwise_kernel", (3, 3, before, 1), before)
        layer(pointwise, "kernel", (1, 1, before, after), after)
        before = after
    arrays["logits/logits/kernel:0"] = rng.normal(0, 0.05, (1024, 521))
    arrays["logits/logits/bias:0"] = rng.normal(0, 1, 521)
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def write_h5(path: Path, arrays: Arrays) -> Path:
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return path


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    return published_arrays()


@pytest.fixture
def published(tmp_path: Path, arrays: Arrays) -> Path:
    return write_h5(tmp_path / "yamnet.h5", arrays)


def unfolded(patches: Tensor, arrays: Arrays) -> tuple[Tensor, Tensor]:
    """Compute embeddings and logits as the published model does, normalisation by itself."""

    def normed(maps: Tensor, name: str) -> Tensor:
        norm = f"{name}/bn/{name}/bn"
        mean, variance, shift = (
            torch.from_numpy(arrays[f"{norm}/{what}:0"])
            for what in ("moving_mean", "moving_variance", "beta")
        )
        # No gain, and an epsilon of 1e-4.
        return functional.batch_norm(maps, mean, variance, None, shift, eps=1e-4).relu()

    def convolved(maps: Tensor, name: str, kernel: str, stride: int) -> Tensor:
        array = torch.from_numpy(arrays[f"{name}/{name}/{kernel}:0"])
        is_depthwise = kernel == "depthwise_kernel"
        weight = array.permute(2, 3, 0, 1) if is_depthwise else array.permute(3, 2, 0, 1)
        if weight.shape[2] == 3:
            maps = functional.pad(maps, (1, 1, 1, 1) if stride == 1 else (0, 1, 0, 1))
        groups = maps.shape[1] if is_depthwise else 1
        return normed(functional.conv2d(maps, weight, None, stride, groups=groups), name)

    maps = convolved(patches[:, None], "layer1/conv", "kernel", 2)
    for number, stride, _ in LAYERS:
        maps = convolved(maps, f"layer{number}/depthwise_conv", "depthwise_kernel", stride)
        maps = convolved(maps, f"layer{number}/pointwise_conv", "kernel", 1)
    embeddings = maps.mean(dim=(2, 3))
    kernel, bias = (arrays[f"logits/logits/{what}:0"] for what in ("kernel", "bias"))
    return embeddings, embeddings @ torch.from_numpy(kernel) + torch.from_numpy(bias)


def test_the_folded_network_is_the_unfolded_one(
    tmp_path: Path, published: Path, arrays: Arrays
) -> None:
    convert_yamnet(published, tmp_path / "own")
    embedder = load_embedder(str(tmp_path / "own"), device="cpu")
    assert isinstance(embedder, YamnetEmbedder)
    samples = np.random.default_rng(1).normal(0, 0.1, 15_600 + 7680).astype(np.float32)
    patches = torch.from_numpy(embedder._front_end.patches(samples))
    embeddings, logits = unfolded(patches, arrays)
    clip = Clip(samples=samples, sample_rate=16_000)
    np.testing.assert_allclose(
        embedder.pool([clip])[0], embeddings.mean(dim=0), atol=1e-5, rtol=1e-4
    )
    np.testing.assert_allclose(
        embedder.class_scores([clip])[0], logits.mean(dim=0), atol=1e-4, rtol=1e-4
    )
    # What is compared is no row of zeros.
    assert embeddings.std() > 0.01


@pytest.mark.slow
def test_a_conversion_says_what_it_made_and_how_far_it_is_from_what_ships(
    tmp_path: Path, published: Path
) -> None:
    report = convert_yamnet(published, tmp_path / "own")
    assert report.n_tensors == 56
    assert not report.same_as_shipped
    assert report.largest_difference > 0.1
    told = json.loads((tmp_path / "own" / "yamnet.json").read_text())
    assert told["release"] == f"h5-{report.source_sha256[:12]}"
    assert report.source_sha256 in told["parts"]["network"]["source"]
    assert {path.name for path in (tmp_path / "own").iterdir()} == {
        "yamnet.json",
        "yamnet-words.safetensors",
        "yamnet.safetensors",
        "yamnet_class_map.csv",
    }
    own = load_yamnet(str(tmp_path / "own"), device="cpu")
    assert own.class_names == load_yamnet(device="cpu").class_names
    assert own.embed_text(["a dog"]).shape == (1, 1024)
    # The same file gives the same bytes.
    convert_yamnet(published, tmp_path / "again")
    for path in (tmp_path / "own").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_what_ships_written_as_the_published_file_comes_back_as_the_same(
    tmp_path: Path, arrays: Arrays
) -> None:
    """Weights whose normalisation does nothing are folded into themselves."""
    from safetensors.torch import load

    from earful.model.runtime import read_part

    shipped = load(read_part(read_yamnet_release(), "network", "yamnet"))
    written: Arrays = {}
    for name, array in arrays.items():
        layer = name.split("/")[0].removeprefix("layer")
        ours = "first" if layer == "1" else "classifier"
        if "_conv" in name:
            ours = f"{name.split('/')[1].removesuffix('_conv')}.{int(layer) - 2}"
        if name.endswith("moving_mean:0"):
            written[name] = np.zeros_like(array)
        elif name.endswith("moving_variance:0"):
            # In float64, as 1 - 1e-4 is not a float32.
            written[name] = np.full(array.shape, 1 - 1e-4)
        elif name.endswith(("beta:0", "bias:0")):
            written[name] = shipped[f"{ours}.bias"].numpy()
        elif ours == "classifier":
            written[name] = shipped[f"{ours}.weight"].numpy().T
        else:
            weight = shipped[f"{ours}.weight"].numpy()
            weight = weight if weight.ndim == 4 else weight[:, :, None, None]
            axes = (2, 3, 0, 1) if "depthwise" in name else (2, 3, 1, 0)
            written[name] = weight.transpose(axes)
    report = convert_yamnet(write_h5(tmp_path / "yamnet.h5", written), tmp_path / "own")
    assert report.same_as_shipped
    assert report.largest_difference == 0.0
    shipped_bytes = read_part(read_yamnet_release(), "network", "yamnet")
    assert (tmp_path / "own" / "yamnet.safetensors").read_bytes() == shipped_bytes


# --- refusals ---------------------------------------------------------------------------


def spoil_missing(file: h5py.File) -> None:
    del file["layer3/depthwise_conv/bn/layer3/depthwise_conv/bn/beta:0"]


def spoil_extra(file: h5py.File) -> None:
    file["layer3/depthwise_conv/bn/layer3/depthwise_conv/bn/gamma:0"] = np.ones(64, np.float32)


def spoil_shape(file: h5py.File) -> None:
    del file["logits/logits/bias:0"]
    file["logits/logits/bias:0"] = np.zeros(527, np.float32)


def spoil_type(file: h5py.File) -> None:
    del file["logits/logits/bias:0"]
    file["logits/logits/bias:0"] = np.zeros(521, np.int64)


def spoil_bomb(file: h5py.File) -> None:
    del file["logits/logits/bias:0"]
    file.create_dataset(
        "logits/logits/bias:0", shape=(1 << 40,), dtype="f4", chunks=(1 << 20,), compression="gzip"
    )


def spoil_link(file: h5py.File) -> None:
    del file["logits/logits/bias:0"]
    file["logits/logits/bias:0"] = h5py.ExternalLink("/etc/passwd", "/")


def spoil_outside(file: h5py.File) -> None:
    del file["logits/logits/bias:0"]
    file.create_dataset(
        "logits/logits/bias:0",
        shape=(521,),
        dtype="f4",
        external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)],
    )


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (spoil_missing, "missing layer3/depthwise_conv/bn/layer3/depthwise_conv/bn/beta:0"),
        (spoil_extra, "unexpected layer3/.*gamma:0"),
        (spoil_shape, r"bias:0 is float32 of shape \(527,\), expected numbers of shape \(521,\)"),
        (spoil_type, r"bias:0 is int64 of shape \(521,\)"),
        (spoil_bomb, r"bias:0 is float32 of shape \(1099511627776,\)"),
        (spoil_link, "missing logits/logits/bias:0"),
        (spoil_outside, r"bias:0 is float32 of shape \(521,\) stored in another file"),
    ],
)
def test_another_file_is_refused_naming_what_is_wrong(
    tmp_path: Path, published: Path, spoil: Callable[[h5py.File], None], told: str
) -> None:
    with h5py.File(published, "r+") as file:
        spoil(file)
    with pytest.raises(ModelError, match=rf"yamnet\.h5: not the published yamnet\.h5: .*{told}"):
        convert_yamnet(published, tmp_path / "own")
    assert not (tmp_path / "own").exists()


def test_a_file_of_something_else_lists_the_first_faults_only(tmp_path: Path) -> None:
    other = write_h5(tmp_path / "other.h5", {"dense/kernel:0": np.zeros(3, np.float32)})
    with pytest.raises(ModelError, match=r"missing .*; \d+ more$") as caught:
        read_h5(other)
    assert str(caught.value).count("missing") == 5


@pytest.mark.parametrize("content", [b"", b"not HDF5", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_what_is_no_hdf5_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "yamnet.h5").write_bytes(content)
    with pytest.raises(ModelError, match=r"yamnet\.h5: cannot be read as HDF5"):
        convert_yamnet(tmp_path / "yamnet.h5", tmp_path / "own")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.h5: cannot be read: No such file"):
        convert_yamnet(tmp_path / "none.h5", tmp_path / "own")
    os.mkfifo(tmp_path / "pipe.h5")
    with pytest.raises(ModelError, match=r"pipe\.h5: cannot be read: Not a regular file"):
        convert_yamnet(tmp_path / "pipe.h5", tmp_path / "own")


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -1.0])
def test_numbers_that_cannot_be_folded_are_refused(arrays: Arrays, wrong: float) -> None:
    spoilt = {name: array.astype(np.float64) for name, array in arrays.items()}
    name = "layer1/conv/bn/layer1/conv/bn/moving_variance:0"
    spoilt[name][3] = wrong
    if wrong == float("inf"):
        # An infinite variance silences a channel; an infinite shift is no number.
        name = name.replace("moving_variance", "beta")
        spoilt[name] = np.full_like(spoilt[name], wrong)
    with pytest.raises(ModelError, match=r"first\.\w+ holds NaN or infinity"):
        fold(spoilt)


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path, published: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "mine.txt").write_text("mine")
    with pytest.raises(ModelError, match="own: holds something already"):
        convert_yamnet(published, tmp_path / "own")
    with pytest.raises(ModelError, match=r"mine\.txt: holds something already"):
        convert_yamnet(published, tmp_path / "own" / "mine.txt")
    assert [path.name for path in (tmp_path / "own").iterdir()] == ["mine.txt"]


def test_wrong_tensors_are_never_written(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"missing classifier\.bias; .*unexpected extra"):
        write_yamnet_folder(
            tmp_path / "own",
            {"extra": np.zeros(1, np.float32)},
            class_map=b"",
            release="1",
            about={},
        )
    assert not list(tmp_path.iterdir())


def test_a_failure_while_writing_leaves_nothing(
    tmp_path: Path, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("earful.model.yamnet.convert.sync_file", full)
    with pytest.raises(ModelError, match="own: cannot be written \\(No space left"):
        convert_yamnet(published, tmp_path / "own")
    assert [path.name for path in tmp_path.iterdir()] == ["yamnet.h5"]


def test_without_h5py_the_extra_is_named(
    tmp_path: Path, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'earful\[hdf5\]'"):
        convert_yamnet(published, tmp_path / "own")


# --- the command ------------------------------------------------------------------------


@pytest.mark.slow
def test_the_command_converts_and_compares(
    tmp_path: Path, published: Path, earful_command: Callable[..., tuple[int, str, str]]
) -> None:
    folder = tmp_path / "own"
    code, out, _ = earful_command("models", "convert-yamnet", published, "--out", folder)
    assert code == 0
    assert f"56 tensors in {folder}, numbers differ by up to" in out
    assert f"embed with --embedder {folder}" in out
    code, _, err = earful_command("models", "convert-yamnet", published, "--out", folder)
    assert code == 1
    assert "holds something already" in err
    again = tmp_path / "again"
    code, out, _ = earful_command("models", "convert-yamnet", published, "--out", again, "--json")
    assert code == 0
    assert json.loads(out)["n_tensors"] == 56
