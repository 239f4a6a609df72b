"""Templates and conditions over the cells of a row."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.errors import CorpusError
from earful.index.datasets.templates import fill, meets

cell = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)


@given(cell, st.integers(0, 9999))
def test_templates_are_filled_as_python_does(text: str, number: int) -> None:
    row = {"a": text, "n": number}
    assert fill("x/{a}/{n:06d}.wav", row, "t:1") == f"x/{text}/{number:06d}.wav"
    with pytest.raises(CorpusError, match="t:1: has no column 'b'"):
        fill("{b}", row, "t:1")


@pytest.mark.parametrize("text", ["{a.__class__}", "{a[0]}", "{0}"])
def test_a_template_reaches_nothing_but_cells(text: str) -> None:
    with pytest.raises(CorpusError, match="has no column"):
        fill(text, {"a": "x"}, "t:1")


def test_conditions_hold_or_not() -> None:
    row = {"a": "dog", "b": []}
    assert meets(row, {"column": "a", "equals": "dog", "matches": "^d"}, "t:1")
    assert not meets(row, {"column": "a", "not_in": ["dog"]}, "t:1")
    assert meets(row, {"column": "b", "not_empty": False}, "t:1")
    with pytest.raises(CorpusError, match="no kind 'equal'"):
        meets(row, {"column": "a", "equal": "dog"}, "t:1")
