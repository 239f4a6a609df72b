"""Numbers of a table as they lie, beside pyarrow's own way."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.index.storage import numbers_of

PIECES = st.lists(st.lists(st.integers(-9, 9), max_size=5), max_size=4)


@pytest.mark.parametrize("kind", [pa.int32(), pa.float64(), pa.float16(), pa.uint64()])
def test_numbers_are_those_of_the_table(kind: pa.DataType) -> None:
    whole = pa.array(np.arange(7).astype(kind.to_pandas_dtype()), kind)
    assert numbers_of(whole).tolist() == list(range(7))
    assert numbers_of(whole.slice(2, 3)).tolist() == [2, 3, 4]
    assert numbers_of(pa.chunked_array([whole, whole.slice(5)])).tolist() == [*range(7), 5, 6]
    assert numbers_of(pa.chunked_array([], kind)).dtype == np.dtype(kind.to_pandas_dtype())


@given(PIECES, st.integers(0, 3))
def test_any_pieces_are_as_pyarrow_reads_them(pieces: list[list[int]], cut: int) -> None:
    arrays = [pa.array(piece, pa.int32()).slice(cut) for piece in pieces]
    column = pa.chunked_array(arrays, pa.int32())
    assert numbers_of(column).tolist() == column.to_pylist()
