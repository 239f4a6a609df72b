"""Matrices that ship as 8-bit rows come back as they were, about."""

import numpy as np
import torch
from safetensors.torch import save

from earful.model.runtime import ROW_SCALE, fill, round_rows


def test_rows_worked_by_hand() -> None:
    # A row's largest number becomes 127 steps: 2.0 / 127 is a step of the first row.
    rows = round_rows({"w": torch.tensor([[2.0, -1.0], [0.0, 0.0]])}, fewest=1)
    assert rows["w"].tolist() == [[127, -64], [0, 0]]
    assert rows["w" + ROW_SCALE].dtype == torch.float16
    np.testing.assert_allclose(rows["w" + ROW_SCALE][0].item(), 2 / 127, rtol=1e-3)


def test_a_module_is_filled_to_within_half_a_step_of_each_row() -> None:
    torch.manual_seed(0)
    original = torch.nn.Linear(96, 64)
    tensors = {name: x.detach() for name, x in original.state_dict().items()}
    stored = round_rows(tensors)
    assert stored["weight"].dtype == torch.int8
    assert stored["bias"].dtype == torch.float16  # no matrix
    filled = fill(torch.nn.Linear(96, 64), save(stored), "m")
    steps = tensors["weight"].abs().amax(dim=1) / 127
    difference = (filled.weight - tensors["weight"]).abs().amax(dim=1)
    assert (difference <= 0.51 * steps + 2e-3 * steps * 127).all()
    assert difference.max() > 0


def test_small_matrices_keep_16_bits() -> None:
    stored = round_rows({"w": torch.ones(2, 2)})
    assert stored["w"].dtype == torch.float16
    assert list(stored) == ["w"]
