"""ONNX files: nodes and initialisers, read without the package ``onnx``.

A file is a protocol buffer: fields with a number and a value, a value being a number or bytes,
and bytes being text, numbers or another such message. Only what ``training.convert_yamnet``
needs is read: float32 tensors, whose numbers lie in the file or in one beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Numbers of fields, from onnx.proto.
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER = 1, 5
_NODE_INPUT, _NODE_OUTPUT, _NODE_TYPE, _NODE_ATTRIBUTE = 1, 2, 4, 5
_ATTRIBUTE_NAME, _ATTRIBUTE_INT, _ATTRIBUTE_INTS = 1, 3, 8
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW, _TENSOR_EXTERNAL = 1, 2, 8, 9, 13
_ENTRY_KEY, _ENTRY_VALUE = 1, 2
_FLOAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One operation.

    Attributes:
        kind: Such as ``"Conv"``.
        inputs: Names of what it reads.
        outputs: Names of what it gives.
        integers: Its attributes that are integers, or lists of them.
    """

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    integers: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Operations in order, and the float32 tensors they begin with, by name."""

    nodes: tuple[Node, ...]
    tensors: Mapping[str, NDArray[np.float32]]


def read_graph(model: bytes, beside: bytes = b"") -> Graph:
    """Read a model.

    Args:
        model: The file.
        beside: The file that holds the tensors which the model only points to.

    Raises:
        ValueError: The file is cut off, or a tensor does not hold what its shape says.
    """
    (graph,) = _messages(model, _MODEL_GRAPH)
    nodes = tuple(_node(data) for data in _messages(graph, _GRAPH_NODE))
    tensors = {}
    for data in _messages(graph, _GRAPH_INITIALIZER):
        if _integers(data, _TENSOR_TYPE) == (_FLOAT,):
            name, values = _tensor(data, beside)
            tensors[name] = values
    return Graph(nodes=nodes, tensors=tensors)


def _node(data: bytes) -> Node:
    integers = {}
    for attribute in _messages(data, _NODE_ATTRIBUTE):
        (name,) = _texts(attribute, _ATTRIBUTE_NAME)
        integers[name] = _integers(attribute, _ATTRIBUTE_INTS) or _integers(
            attribute, _ATTRIBUTE_INT
        )
    return Node(
        kind=_texts(data, _NODE_TYPE)[0],
        inputs=_texts(data, _NODE_INPUT),
        outputs=_texts(data, _NODE_OUTPUT),
        integers=integers,
    )


def _tensor(data: bytes, beside: bytes) -> tuple[str, NDArray[np.float32]]:
    (name,) = _texts(data, _TENSOR_NAME)
    shape = _integers(data, _TENSOR_DIMS)
    entries = {
        _texts(entry, _ENTRY_KEY)[0]: _texts(entry, _ENTRY_VALUE)[0]
        for entry in _messages(data, _TENSOR_EXTERNAL)
    }
    if entries:
        start = int(entries["offset"])
        raw = beside[start : start + int(entries["length"])]
    else:
        raw = b"".join(_messages(data, _TENSOR_RAW))
    # reshape() refuses what the shape does not say.
    return name, np.frombuffer(raw, dtype="<f4").reshape(shape)


def _messages(data: bytes, number: int) -> tuple[bytes, ...]:
    return tuple(value for n, value in _fields(data) if n == number and isinstance(value, bytes))


def _texts(data: bytes, number: int) -> tuple[str, ...]:
    return tuple(value.decode("utf-8") for value in _messages(data, number))


def _integers(data: bytes, number: int) -> tuple[int, ...]:
    """Return a field's integers, written one by one or packed."""
    found: list[int] = []
    for n, value in _fields(data):
        if n == number and isinstance(value, int):
            found.append(value)
        elif n == number and isinstance(value, bytes):
            place = 0
            while place < len(value):
                integer, place = _varint(value, place)
                found.append(integer)
    return tuple(found)


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the number and value of each field."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, place = _varint(data, place)
            yield number, value
            continue
        if kind == 2:
            size, place = _varint(data, place)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"field {number} is of kind {kind}, expected 0, 1, 2 or 5")
        if place + size > len(data):
            raise ValueError(f"field {number} ends {place + size - len(data)} bytes past the file")
        yield number, data[place : place + size]
        place += size


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """Return the integer that begins at a place, seven bits a byte, and the place after it."""
    value = shift = 0
    while True:
        if place >= len(data):
            raise ValueError("an integer is cut off")
        byte = data[place]
        value |= (byte & 0x7F) << shift
        shift, place = shift + 7, place + 1
        if not byte & 0x80:
            return value, place
