"""ONNX files written byte by byte, as the protocol buffer's documentation says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from training.onnx_file import _varint, read_graph


def field(number: int, value: int | bytes) -> bytes:
    """Encode a field: its number and kind, and an integer, or a size and bytes."""
    if isinstance(value, int):
        return integer(number << 3) + integer(value)
    return integer(number << 3 | 2) + integer(len(value)) + value


def integer(value: int) -> bytes:
    """Encode an integer, seven bits a byte, the lowest first."""
    encoded = b""
    while value > 0x7F:
        encoded += bytes([value & 0x7F | 0x80])
        value >>= 7
    return encoded + bytes([value])


def test_a_node_and_a_tensor_are_read_from_bytes_written_out_by_hand() -> None:
    # Inputs "x" and "w", output "y", kind "Conv", strides 2 and 2 packed, group 300 (0xAC 0x02).
    node = b"\x0a\x01x\x0a\x01w\x12\x01y\x22\x04Conv"
    node += b"\x2a\x0d\x0a\x07strides\x42\x02\x02\x02"
    node += b"\x2a\x0a\x0a\x05group\x18\xac\x02"
    # Of shape 1 x 2, float32, named "w", holding 1 and -2.
    tensor = b"\x08\x01\x08\x02\x10\x01\x42\x01w\x4a\x08\x00\x00\x80\x3f\x00\x00\x00\xc0"
    graph = b"\x0a" + bytes([len(node)]) + node + b"\x2a" + bytes([len(tensor)]) + tensor
    found = read_graph(b"\x08\x0b\x3a" + bytes([len(graph)]) + graph)
    (read,) = found.nodes
    assert (read.kind, read.inputs, read.outputs) == ("Conv", ("x", "w"), ("y",))
    assert read.integers == {"strides": (2, 2), "group": (300,)}
    assert list(found.tensors) == ["w"]
    np.testing.assert_array_equal(found.tensors["w"], [[1.0, -2.0]])


def test_integers_may_be_written_one_by_one_and_other_fields_are_skipped() -> None:
    pads = field(1, b"pads") + field(8, 0) + field(8, 1) + b"\x15\x00\x00\x80\x3f"  # a float
    node = field(4, b"Conv") + field(5, pads)
    assert read_graph(field(7, field(1, node))).nodes[0].integers == {"pads": (0, 1)}


def test_a_tensor_may_lie_in_the_file_beside_and_others_than_float32_are_left_out() -> None:
    def external(name: bytes, offset: int, length: int, kind: int = 1) -> bytes:
        entries = (
            (b"location", b"model.data"),
            (b"offset", b"%d" % offset),
            (b"length", b"%d" % length),
        )
        told = b"".join(field(13, field(1, key) + field(2, value)) for key, value in entries)
        return field(1, 2) + field(2, kind) + field(8, name) + told + field(14, 1)

    beside = np.arange(4, dtype="<f4").tobytes()
    graph = field(5, external(b"a", 8, 8)) + field(5, external(b"bytes", 0, 2, kind=3))
    found = read_graph(field(7, graph), beside)
    assert list(found.tensors) == ["a"]
    np.testing.assert_array_equal(found.tensors["a"], [2.0, 3.0])
    with pytest.raises(ValueError, match="reshape"):
        read_graph(field(7, field(5, external(b"a", 12, 8))), beside)


@pytest.mark.parametrize("cut", [1, 2, 5])
def test_a_file_that_is_cut_off_is_refused(cut: int) -> None:
    whole = field(7, field(1, field(4, b"Relu")))
    with pytest.raises(ValueError, match=r"past the file|cut off"):
        read_graph(whole[:-cut])


def test_a_kind_of_field_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="field 7 is of kind 3"):
        read_graph(integer(7 << 3 | 3))


@given(st.integers(0, 2**63))
def test_integers_come_back(value: int) -> None:
    assert _varint(integer(value) + b"\xff", 0) == (value, len(integer(value)))
