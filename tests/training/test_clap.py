import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from training.clap.train import Plan, Windows, fit_head, train_text

from earful.model.flamingo import FlamingoTokenizer
from earful.model.runtime import read_part
from earful.model.tiny import OUTPUT_DIM, read_release

NAMES = ("bell", "door", "rain", "wind")


@pytest.fixture(scope="module")
def windows() -> Windows:
    """Four labels along four axes, and forty louder ones that say nothing of any label."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(NAMES)), 30)
    outputs = 0.05 * rng.standard_normal((labels.size, OUTPUT_DIM))
    outputs[np.arange(labels.size), labels] += 1.0
    outputs[:, 100:140] += 1.5 * rng.standard_normal((labels.size, 40))
    return Windows(
        outputs=outputs.astype(np.float16),
        labels=labels,
        texts=[f"the {NAMES[label]} is heard" for label in labels],
        names=NAMES,
        synonyms={name: (name, f"some {name}") for name in NAMES},
    )


def test_what_varies_within_labels_is_shrunk(windows: Windows) -> None:
    head = fit_head(windows, Plan(dim=8))
    axis = torch.zeros(2, OUTPUT_DIM)
    axis[0, 100], axis[1, 0] = 1.0, 1.0
    with torch.inference_mode():
        lengths = head.project(axis).norm(dim=1)
    # By hand: a label's axis is divided by its 0.43 and the root of 0.01 + 2, an axis that says
    # nothing by its 1.5 and the root of 1 + 2; the mean variance within labels is nearly 1.
    assert lengths[1] > 3 * lengths[0]


def test_the_head_finds_the_label_that_raw_outputs_do_not(windows: Windows) -> None:
    head = fit_head(windows, Plan(dim=8))
    raw = windows.outputs.astype(np.float32)
    with torch.inference_mode():
        vectors = head(torch.from_numpy(raw)).numpy()
    assert vectors.shape == (120, 8)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)

    def nearest_is_right(rows: NDArray[np.float32]) -> float:
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        similarities = unit @ unit.T
        np.fill_diagonal(similarities, -1.0)
        return float((windows.labels[similarities.argmax(axis=1)] == windows.labels).mean())

    assert nearest_is_right(vectors) > 0.99
    assert nearest_is_right(raw) < 0.8


@pytest.mark.slow
def test_the_text_tower_learns_which_sound_a_name_is(windows: Windows) -> None:
    tokenizer = FlamingoTokenizer.from_bytes(read_part(read_release(), "tokenizer"), source="tiny")
    plan = Plan(dim=8, steps=60, batch=32)
    head = fit_head(windows, plan)
    text = train_text(windows, head, tokenizer, plan)
    again = train_text(windows, head, tokenizer, plan)
    rows = [tokenizer.encode([name]) for name in NAMES]
    ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    mask = torch.zeros(ids.shape)
    for row, own in enumerate(rows):
        ids[row, : len(own)] = torch.tensor(own)
        mask[row, : len(own)] = 1.0
    with torch.inference_mode():
        words = text(ids, mask)
        sounds = head(torch.from_numpy(windows.outputs.astype(np.float32)))
        assert torch.equal(words, again(ids, mask))  # the seed decides everything
    right = (sounds @ words.T).argmax(dim=1).numpy() == windows.labels
    assert right.mean() > 0.95
