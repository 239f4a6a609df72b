"""What benchmarks measure with; what they measure is no test's business."""

import pytest
import torch
from benchmarks.limits import gflop
from benchmarks.small_table import markdown_table
from benchmarks.turns import in_turns, one_round


def test_the_order_of_turns_rotates_and_the_first_round_does_not_count() -> None:
    seen: list[str] = []
    works = {name: lambda name=name: seen.append(name) for name in "ABC"}
    seconds = in_turns(works, n_rounds=3)
    assert "".join(seen) == "ABCBCACABABC"
    assert {name: len(some) for name, some in seconds.items()} == {"A": 3, "B": 3, "C": 3}


def test_any_clock_can_be_asked() -> None:
    ticks = iter([0.0, 1.0, 1.0, 3.0])
    assert in_turns({"A": lambda: None}, n_rounds=1, clock=lambda: next(ticks)) == {"A": [2.0]}


def test_a_round_gives_what_each_gave() -> None:
    turns = one_round({"one": lambda: 1, "two": lambda: 2}, 5)
    assert {name: result for name, (_, result) in turns.items()} == {"one": 1, "two": 2}
    assert all(seconds >= 0 for seconds, _ in turns.values())


@pytest.mark.slow  # torch's counter imports its compiler
def test_operations_of_a_product() -> None:
    # 3 rows, 4 products and 4 sums for each of 5 numbers.
    model = torch.nn.Linear(4, 5, bias=False)
    assert gflop(model, torch.zeros(3, 4)) == 3 * 2 * 4 * 5 / 1e9


def test_a_table_in_markdown() -> None:
    assert markdown_table(["", "n"], [["a", "1"]]) == "|  | n |\n| --- | --- |\n| a | 1 |"
