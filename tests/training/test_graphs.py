"""The graphs that ship are those that ``training/graphs.py`` writes."""

import pytest
from training.graphs import GRAPHS, MODELS


@pytest.mark.parametrize("place", GRAPHS)
def test_the_graph_that_ships_is_written_again_to_the_same_bytes(place: str) -> None:
    assert GRAPHS[place]() == (MODELS / place).read_bytes()


@pytest.mark.parametrize("place", GRAPHS)
def test_a_graph_holds_no_weights(place: str) -> None:
    assert len((MODELS / place).read_bytes()) < 10_000
