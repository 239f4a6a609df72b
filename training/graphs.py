"""Write the graphs of the shipped networks, as ONNX files without weights.

    python -m training.graphs

writes ``model/*/*/*.onnx``. ``earful.model.runtime.OnnxNetwork`` gives them the weights of
a release; the names here are those under which the weights are read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

from earful.model.small import RANKS, factor_shapes
from earful.model.tiny import (
    CHANNELS,
    FRAME_SAMPLES,
    LARGEST,
    N_MELS,
    N_TEXT_HEADS,
    N_TEXT_LAYERS,
    OUTPUT_DIM,
    POOLED,
    POWER_GAIN,
    TEXT_WIDTH,
    text_shapes,
    trunk_shapes,
)
from earful.model.yamnet import (
    EMBEDDING_DIM,
    FFT_SAMPLES,
    FLOOR,
    PATCH_FRAMES,
    convolutions,
    tensor_shapes,
)
from earful.model.yamnet import N_MELS as YAMNET_MELS

MODELS = Path(__file__).resolve().parent.parent / "model"
_OPSET, _IR = 20, 9
_N_BINS = FRAME_SAMPLES // 2 + 1
_YAMNET_BINS = FFT_SAMPLES // 2 + 1


class Graph:
    """A graph in the making, of one output.

    Args:
        inputs: Shape of each input by name, in order; texts are sizes that may change.
        output: Shape of the output.
    """

    def __init__(
        self,
        inputs: Mapping[str, Sequence[int | str]],
        output: Sequence[int | str],
    ) -> None:
        self._inputs = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in inputs.items()
        ]
        self._output = helper.make_tensor_value_info("output", TensorProto.FLOAT, output)
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def weight(self, name: str, shape: Sequence[int]) -> str:
        """Declare a tensor that the network is given, and return its name."""
        if name not in {tensor.name for tensor in self._constants}:
            tensor = onnx.TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape)
            tensor.data_location = TensorProto.EXTERNAL
            length = 4 * math.prod(shape)
            for key, value in (("location", "given"), ("offset", 0), ("length", length)):
                tensor.external_data.add(key=key, value=str(value))
            self._constants.append(tensor)
        return name

    def constant(self, values: list[int] | float) -> str:
        """Add a constant, whole numbers or one float, and return its name."""
        name = f"constant{len(self._constants)}"
        if isinstance(values, float):
            made = helper.make_tensor(name, TensorProto.FLOAT, [], [values])
        else:
            made = helper.make_tensor(name, TensorProto.INT64, [len(values)], values)
        self._constants.append(made)
        return name

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node and return the name of what it puts out."""
        name = f"{kind}{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def bytes(self, output: str) -> bytes:
        """Return the file of the graph that ends with a node."""
        self._nodes.append(helper.make_node("Identity", [output], ["output"]))
        graph = helper.make_graph(
            self._nodes, "earful", self._inputs, [self._output], self._constants
        )
        opset = [helper.make_opsetid("", _OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=_IR)
        return bytes(model.SerializeToString(deterministic=True))


def frames() -> bytes:
    """Return the end of ``earful-tiny``'s front end: power spectra to log-mel frames."""
    graph = Graph({"power": ["n", _N_BINS]}, ["n", N_MELS])
    bands = graph.add("MatMul", "power", graph.weight("filters", (_N_BINS, N_MELS)))
    gained = graph.add("Mul", bands, graph.constant(POWER_GAIN))
    logs = graph.add("Log", graph.add("Add", gained, graph.constant(1.0)))
    return graph.bytes(graph.add("Div", logs, graph.constant(LARGEST * math.log(10))))


def levels() -> bytes:
    """Return the end of YAMNet's front end: power spectra to log-mel levels."""
    graph = Graph({"power": ["n", _YAMNET_BINS]}, ["n", YAMNET_MELS])
    magnitudes = graph.add("Sqrt", "power")
    filters = graph.weight("filters", (_YAMNET_BINS, YAMNET_MELS))
    bands = graph.add("MatMul", magnitudes, filters)
    return graph.bytes(graph.add("Log", graph.add("Add", bands, graph.constant(FLOOR))))


def trunk(*, narrowed: bool, over_time: bool = False) -> bytes:
    """Return the trunk of ``earful-tiny``, or as ``earful-small`` narrows it.

    Args:
        narrowed: Whether to narrow it.
        over_time: Whether to leave out the maximum over time: 512 numbers every eight frames.
    """
    output: list[int | str] = ["n", "n_steps", OUTPUT_DIM] if over_time else ["n", OUTPUT_DIM]
    graph = Graph({"frames": ["n", "n_frames", N_MELS]}, output)
    shapes = {name.removeprefix("convolutions."): x for name, x in trunk_shapes().items()}
    widen = factor_shapes()
    maps = graph.add("Unsqueeze", "frames", graph.constant([1]))
    for number in range(len(CHANNELS) - 1):
        shape, bias = (
            shapes[f"{number}.weight"],
            graph.weight(f"{number}.bias", shapes[f"{number}.bias"]),
        )
        if narrowed and number in RANKS:
            narrow = graph.weight(f"{number}.weight", (RANKS[number], *shape[1:]))
            maps = graph.add("Conv", maps, narrow, pads=[1] * 4)
            wide = graph.weight(f"{number}.widen", (*widen[f"{number}.widen"], 1, 1))
            maps = graph.add("Conv", maps, wide, bias)
        else:
            maps = graph.add(
                "Conv", maps, graph.weight(f"{number}.weight", shape), bias, pads=[1] * 4
            )
        maps = graph.add("Relu", maps)
        if number in POOLED:
            maps = graph.add("MaxPool", maps, kernel_shape=[2, 2], strides=[2, 2])
    over_bands = graph.add("ReduceMean", maps, graph.constant([3]), keepdims=0)
    if over_time:
        return graph.bytes(graph.add("Transpose", over_bands, perm=[0, 2, 1]))
    return graph.bytes(graph.add("ReduceMax", over_bands, graph.constant([2]), keepdims=0))


def yamnet() -> bytes:
    """Return YAMNet without its classifier: patches to embeddings."""
    graph = Graph({"patches": ["n", PATCH_FRAMES, YAMNET_MELS]}, ["n", EMBEDDING_DIM])
    shapes = tensor_shapes()
    maps = graph.add("Unsqueeze", "patches", graph.constant([1]))
    for each in convolutions():
        shape = shapes[f"{each.name}.weight"]
        weight = graph.weight(f"{each.name}.weight", (*shape, 1, 1) if len(shape) == 2 else shape)
        bias = graph.weight(f"{each.name}.bias", shapes[f"{each.name}.bias"])
        # TensorFlow's "same": zeros on all sides, or for a stride of 2 at the end only.
        around, after = (
            ((1, 1) if each.stride == 1 else (0, 1)) if each.kernel_size == 3 else (0, 0)
        )
        maps = graph.add(
            "Conv",
            maps,
            weight,
            bias,
            pads=[around, around, after, after],
            strides=[each.stride] * 2,
            group=each.n_inputs if each.is_depthwise else 1,
        )
        maps = graph.add("Relu", maps)
    return graph.bytes(graph.add("ReduceMean", maps, graph.constant([2, 3]), keepdims=0))


def text() -> bytes:
    """Return the layers of ``earful-tiny``'s text tower: embedded tokens to their mean."""
    graph = Graph({"tokens": ["n", "t", TEXT_WIDTH], "mask": ["n", "t"]}, ["n", TEXT_WIDTH])
    # The vocabulary and the space that it maps to are not in the graph, and of any size.
    shapes = text_shapes(1, 1)
    head_dim = TEXT_WIDTH // N_TEXT_HEADS

    def weight(name: str) -> str:
        shape = shapes[name]
        return graph.weight(name, shape[::-1])

    def linear(x: str, name: str) -> str:
        return graph.add(
            "Add", graph.add("MatMul", x, weight(f"{name}.weight")), weight(f"{name}.bias")
        )

    def norm(x: str, name: str) -> str:
        parts = weight(f"{name}.weight"), weight(f"{name}.bias")
        return graph.add("LayerNormalization", x, *parts, axis=-1, epsilon=1e-5)

    x = "tokens"
    hidden = graph.add("Sub", "mask", graph.constant(1.0))
    bias = graph.add("Mul", hidden, graph.constant(1e9))
    bias = graph.add("Unsqueeze", bias, graph.constant([1, 2]))
    for layer in range(N_TEXT_LAYERS):
        at = f"layers.{layer}"
        qkv = linear(norm(x, f"{at}.attention_norm"), f"{at}.qkv")
        qkv = graph.add("Reshape", qkv, graph.constant([0, 0, 3 * N_TEXT_HEADS, head_dim]))
        qkv = graph.add("Transpose", qkv, perm=[0, 2, 1, 3])
        q, k, v = (
            graph.add(
                "Slice",
                qkv,
                graph.constant([part * N_TEXT_HEADS]),
                graph.constant([(part + 1) * N_TEXT_HEADS]),
                graph.constant([1]),
            )
            for part in range(3)
        )
        scores = graph.add("MatMul", q, graph.add("Transpose", k, perm=[0, 1, 3, 2]))
        scores = graph.add("Mul", scores, graph.constant(1.0 / math.sqrt(head_dim)))
        shares = graph.add("Softmax", graph.add("Add", scores, bias), axis=-1)
        attended = graph.add("Transpose", graph.add("MatMul", shares, v), perm=[0, 2, 1, 3])
        attended = graph.add("Reshape", attended, graph.constant([0, 0, TEXT_WIDTH]))
        x = graph.add("Add", x, linear(attended, f"{at}.out"))
        fed = linear(norm(x, f"{at}.feed_forward.0"), f"{at}.feed_forward.1")
        x = graph.add("Add", x, linear(graph.add("Gelu", fed), f"{at}.feed_forward.3"))
    weights = graph.add("Unsqueeze", "mask", graph.constant([2]))
    kept = graph.add("Mul", norm(x, "norm"), weights)
    total = graph.add("ReduceSum", kept, graph.constant([1]), keepdims=0)
    count = graph.add("ReduceSum", weights, graph.constant([1]), keepdims=0)
    return graph.bytes(graph.add("Div", total, count))


def product() -> bytes:
    """Return a product with a matrix of weights as torch has them, and the bias added to it."""
    graph = Graph({"x": ["t", "n"], "weight": ["m", "n"], "bias": ["b"]}, ["t", "m"])
    return graph.bytes(graph.add("Gemm", "x", "weight", "bias", transB=1))


def attention() -> bytes:
    """Return attention of heads side by side, ``(t, heads, width)``; queries come scaled."""
    read, held = ["t", "heads", "width"], ["k", "heads", "width"]
    inputs = {"q": read, "keys": held, "values": held, "bias": ["t or 1", "k or 1"]}
    graph = Graph(inputs, read)
    q = graph.add("Transpose", "q", perm=[1, 0, 2])
    scores = graph.add("MatMul", q, graph.add("Transpose", "keys", perm=[1, 2, 0]))
    shares = graph.add("Softmax", graph.add("Add", scores, "bias"), axis=-1)
    values = graph.add("Transpose", "values", perm=[1, 0, 2])
    return graph.bytes(graph.add("Transpose", graph.add("MatMul", shares, values), perm=[1, 0, 2]))


def gelu() -> bytes:
    """Return the exact GELU."""
    graph = Graph({"x": ["t", "n"]}, ["t", "n"])
    return graph.bytes(graph.add("Gelu", "x"))


GRAPHS: dict[str, Callable[[], bytes]] = {
    "flamingo/operations/attention.onnx": attention,
    "flamingo/operations/gelu.onnx": gelu,
    "flamingo/operations/product.onnx": product,
    "small/weights/narrow.onnx": lambda: trunk(narrowed=True),
    "small/weights/steps.onnx": lambda: trunk(narrowed=True, over_time=True),
    "tiny/weights/frames.onnx": frames,
    "tiny/weights/text.onnx": text,
    "tiny/weights/trunk.onnx": lambda: trunk(narrowed=False),
    "yamnet/weights/levels.onnx": levels,
    "yamnet/weights/network.onnx": yamnet,
}


def main() -> None:
    """Write every graph."""
    for place, make in GRAPHS.items():
        data = make()
        (MODELS / place).write_bytes(data)
        print(f"{place}: {len(data)} bytes")


if __name__ == "__main__":
    main()
