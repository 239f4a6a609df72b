"""The packed network against the plain one, over batches, patches and recordings."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from earful.model.audio import Clip
from earful.model.runtime import can_pack
from earful.model.yamnet import Network, PackedNetwork, load_yamnet, network_cpu, pack_for_cpu

needs_packing = pytest.mark.skipif(
    not can_pack(torch.float32), reason="this build of torch has no packed products"
)
# Of the largest number: what float32 rounds.
TOLERANCE = 1e-5


def random_network() -> Network:
    """Return a network whose weights let differences through all layers."""
    torch.manual_seed(0)
    network = Network().eval().requires_grad_(False)
    for name, tensor in network.state_dict().items():
        n_inputs = tensor[0].numel() if name.endswith(".weight") else 200
        tensor.normal_(std=(2 / n_inputs) ** 0.5)
    return network


def assert_same(found: torch.Tensor, expected: torch.Tensor) -> None:
    atol = TOLERANCE * float(expected.abs().max())
    torch.testing.assert_close(found, expected, rtol=0, atol=atol)


@needs_packing
@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 32, 40])
def test_embeddings_are_those_of_the_plain_network(n: int) -> None:
    plain = random_network()
    patches = torch.randn(n, 96, 64)
    packed = pack_for_cpu(plain)
    assert isinstance(packed, PackedNetwork)
    with torch.inference_mode():
        found, expected = packed(patches), plain(patches)
    assert found.shape == (n, 1024)
    assert_same(found, expected)


@needs_packing
def test_each_border_of_a_patch_is_where_it_was() -> None:
    """Silence but for one border: other numbers for each of the four, and the plain ones."""
    plain = random_network()
    patches = torch.zeros(4, 96, 64)
    patches[0, 0] = patches[1, -1] = patches[2, :, 0] = patches[3, :, -1] = 5.0
    with torch.inference_mode():
        found, expected = PackedNetwork(plain)(patches), plain(patches)
    assert_same(found, expected)
    apart = torch.cdist(expected, expected, p=torch.inf) + 9 * torch.eye(4)
    assert float(apart.min()) > 1000 * TOLERANCE * float(expected.max())


@needs_packing
@settings(max_examples=8)
@given(
    n=st.integers(1, 9), at_once=st.sampled_from([1, 3, 16]), n_first=st.integers(0, 27),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_neither_batch_nor_order_changes_an_embedding(
    n: int, at_once: int, n_first: int, seed: int
) -> None:
    packed = PackedNetwork(random_network())
    patches = torch.randn(n, 96, 64, generator=torch.Generator().manual_seed(seed))
    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        expected = torch.cat([packed(one[None]) for one in patches])
        patch.setattr(network_cpu, "_FIRST_AT_ONCE", at_once)
        patch.setattr(network_cpu, "_N_FIRST", n_first)
        found = packed(patches)
    assert_same(found, expected)


def test_where_products_cannot_be_packed_the_network_stays_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(network_cpu, "can_pack", lambda _: False)
    plain = random_network()
    assert pack_for_cpu(plain) is plain


@needs_packing
@pytest.mark.parametrize("n_patches", [1, 2, 9, 70])
def test_a_recording_has_the_numbers_of_its_patches_in_the_plain_network(n_patches: int) -> None:
    embedder = load_yamnet(device="cpu")
    samples = np.random.default_rng(n_patches).normal(scale=0.1, size=15_600 + 7680 * n_patches)
    clip = Clip(samples=samples[: 7680 * (n_patches + 1)].astype(np.float32), sample_rate=16_000)
    found, scores = embedder.embed([clip]), embedder.class_scores([clip])
    plain = embedder._network
    front_end = embedder._front_end
    sums = np.zeros(1024)
    padded = np.pad(clip.samples, (0, 15_600))
    with torch.inference_mode():
        for number in range(n_patches):
            part = padded[7680 * number :][:15_600]
            sums += plain(front_end.patches([part]))[0].double().numpy()
    pooled = (sums / n_patches).astype(np.float32)[None]
    np.testing.assert_allclose(found, embedder.unit_rows(pooled), rtol=0, atol=TOLERANCE)
    expected = embedder.scores_of(pooled)
    np.testing.assert_allclose(scores, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max())
