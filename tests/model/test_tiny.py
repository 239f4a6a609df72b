import importlib.util
import json
from functools import cache
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.torch import load as load_tensors
from safetensors.torch import save

from earful.errors import ModelError
from earful.model import tiny
from earful.model.audio import Clip

GOLDEN = np.load(Path(__file__).with_name("golden") / "aisfx.npz")
LENGTHS = sorted({int(name.split(".")[0]) for name in GOLDEN.files})


@cache
def load() -> tiny.TinyEmbedder:
    return tiny.load_tiny(device="cpu")


@pytest.fixture
def embedder() -> tiny.TinyEmbedder:
    return load()


def wave(n_samples: int) -> NDArray[np.float32]:
    """Repeat the signal of training/check_aisfx.py."""
    t = np.arange(n_samples) / 44100
    chirp = 0.3 * np.sin(2 * np.pi * (3000 * t - 400 * t * t)) * np.exp(-t)
    tone = 0.05 * np.sin(2 * np.pi * 440 * t)
    click = 0.5 * (np.arange(n_samples) == n_samples // 3)
    signal: NDArray[np.float32] = (chirp + tone + click).astype(np.float32)
    return signal


def clip(samples: NDArray[np.float32], sample_rate: int = 44100) -> Clip:
    return Clip(samples=samples.astype(np.float32), sample_rate=sample_rate)


def test_each_mel_filter_sums_to_one_and_peaks_between_its_neighbours() -> None:
    filters = tiny.mel_filters()
    assert filters.shape == (1025, 96)
    np.testing.assert_allclose(filters.sum(axis=0), 1.0, rtol=1e-6)
    assert np.all(np.diff(filters.argmax(axis=0)) >= 0)


@pytest.mark.parametrize("n_samples", LENGTHS)
def test_the_front_end_equals_the_published_package(
    embedder: tiny.TinyEmbedder, n_samples: int
) -> None:
    frames = embedder.frames(wave(n_samples)).numpy()[::10]
    np.testing.assert_allclose(frames, GOLDEN[f"{n_samples}.frames"], atol=2e-5)


@pytest.mark.parametrize("n_samples", LENGTHS)
def test_raw_outputs_equal_the_published_package(
    embedder: tiny.TinyEmbedder, n_samples: int
) -> None:
    frames = embedder.frames(wave(n_samples))
    # The package fills a short window with silence, of which a frame is zeros.
    filled = torch.nn.functional.pad(frames, (0, 0, 0, max(0, 100 - len(frames))))
    starts = tiny.window_starts(len(filled))
    outputs = embedder.encode(torch.stack([filled[start : start + 100] for start in starts]))
    wanted = GOLDEN[f"{n_samples}.outputs"]
    assert outputs.shape == wanted.shape
    # Weights rounded to fp16 change the outputs by less than this.
    np.testing.assert_allclose(outputs, wanted, atol=2e-3 * np.abs(wanted).max())


@pytest.mark.parametrize("n_samples", [length for length in LENGTHS if length >= 99 * 1024])
def test_a_vector_is_the_direction_of_the_published_outputs_mean(
    embedder: tiny.TinyEmbedder, n_samples: int
) -> None:
    outputs = GOLDEN[f"{n_samples}.outputs"].mean(axis=0)
    (vector,) = embedder.embed([clip(wave(n_samples))])
    assert float(vector @ outputs) > 0.99999 * np.linalg.norm(outputs)


def test_a_short_recording_is_repeated_until_it_fills_a_window(
    embedder: tiny.TinyEmbedder,
) -> None:
    assert tiny.fill_window(np.array([1, 2, 3], np.float32))[:7].tolist() == [1, 2, 3, 1, 2, 3, 1]
    third = wave(33 * 1024)
    short, long = embedder.embed([clip(third), clip(np.tile(third, 3))])
    np.testing.assert_allclose(short, long, atol=1e-6)


def test_a_window_ends_where_a_long_recording_ends(embedder: tiny.TinyEmbedder) -> None:
    samples = wave(5 * 44100)
    frames = embedder.frames(samples)
    assert len(frames) == 1 + 216  # 220500 samples are 215.3 hops
    starts = tiny.window_starts(len(frames))
    assert starts == [0, 50, 100, 117]
    windows = torch.stack([frames[start : start + 100] for start in starts])
    mean = embedder.encode(windows).mean(dim=0)
    (vector,) = embedder.embed([clip(samples)])
    np.testing.assert_allclose(vector, mean / mean.norm(), atol=1e-5)


@given(st.integers(100, 20_000))
def test_windows_leave_no_frame_out_and_none_is_offered_twice_over(n_frames: int) -> None:
    starts = tiny.window_starts(n_frames)
    assert starts[0] == 0
    assert starts[-1] == n_frames - 100
    assert all(0 < after - before <= 50 for before, after in pairwise(starts))


def test_frames_do_not_depend_on_the_pieces_they_are_computed_in(
    embedder: tiny.TinyEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = wave(44100)
    whole = embedder.frames(samples)
    monkeypatch.setattr(tiny, "_FRAMES_AT_ONCE", 7)
    np.testing.assert_allclose(embedder.frames(samples), whole, atol=1e-6)


@settings(max_examples=5)
@given(st.lists(st.integers(1, 120_000), min_size=1, max_size=3), st.integers(0, 2**32 - 1))
def test_a_clip_has_the_same_vector_alone_and_in_a_batch(lengths: list[int], seed: int) -> None:
    embedder = load()
    rng = np.random.default_rng(seed)
    clips = [clip(0.1 * rng.standard_normal(n).astype(np.float32)) for n in lengths]
    batch = embedder.embed(clips)
    single = np.concatenate([embedder.embed([one]) for one in clips])
    np.testing.assert_allclose(batch, single, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(batch, axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize("n_samples", [1, 2048, 44100])
def test_silence_has_a_finite_unit_vector(embedder: tiny.TinyEmbedder, n_samples: int) -> None:
    (vector,) = embedder.embed([clip(np.zeros(n_samples, np.float32))])
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)


def test_samples_far_beyond_full_scale_have_a_finite_vector(embedder: tiny.TinyEmbedder) -> None:
    (vector,) = embedder.embed([clip(np.float32(1e30) * wave(3000))])
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)


def test_loading_leaves_the_random_numbers_of_the_caller_alone() -> None:
    torch.manual_seed(0)
    wanted = torch.rand(3)
    torch.manual_seed(0)
    tiny.load_tiny(device="cpu")
    assert torch.equal(torch.rand(3), wanted)


def test_another_sample_rate_is_refused(embedder: tiny.TinyEmbedder) -> None:
    with pytest.raises(ValueError, match="want 44100 Hz"):
        embedder.embed([clip(wave(4000), sample_rate=16000)])


def test_no_clips_give_no_vectors(embedder: tiny.TinyEmbedder) -> None:
    assert embedder.embed([]).shape == (0, 512)


def test_damaged_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = Path(str(files("earful.model"))) / "weights"
    copied = tmp_path / "weights"
    copied.mkdir()
    about = json.loads((shipped / "earful-tiny.json").read_text())
    data = bytearray((shipped / about["file"]).read_bytes())
    data[-1] ^= 1
    (copied / about["file"]).write_bytes(data)
    (copied / "earful-tiny.json").write_text(json.dumps(about))
    monkeypatch.setattr(tiny, "files", lambda package: tmp_path)
    with pytest.raises(ModelError, match="have sha256"):
        tiny.load_tiny()


def test_wrong_weights_are_refused_by_name() -> None:
    shapes = {key: value.shape for key, value in tiny.Network().state_dict().items()}
    weights = {key: torch.zeros(shape) for key, shape in shapes.items()}
    del weights["convolutions.3.bias"]
    weights["extra"] = torch.zeros(1)
    weights["convolutions.0.bias"] = torch.zeros(5)
    with pytest.raises(ModelError) as caught:
        tiny.read_network(save(weights), "mine")
    assert "missing convolutions.3.bias; unexpected extra;" in str(caught.value)
    assert "convolutions.0.bias has shape (5,), want (64,)" in str(caught.value)
    with pytest.raises(ModelError, match="not a safetensors file"):
        tiny.read_network(b"\x80\x04 a pickle", "mine")


@pytest.mark.parametrize(
    "wish", [{"revision": "main"}, {"dtype": "bfloat16"}, {"device": "tpu"}, {"device": "cuda:99"}]
)
def test_what_is_not_there_is_refused(wish: dict[str, str]) -> None:
    with pytest.raises(ModelError, match=next(iter(wish.values()))):
        tiny.load_tiny(**wish)


@pytest.mark.gpu
def test_a_gpu_gives_the_vectors_of_the_cpu() -> None:
    clips = [clip(wave(n_samples)) for n_samples in LENGTHS]
    found = tiny.load_tiny(device="cuda").embed(clips)
    np.testing.assert_allclose(found, load().embed(clips), atol=1e-5)


def converter() -> ModuleType:
    root = Path(__file__).resolve().parent.parent.parent
    spec = importlib.util.spec_from_file_location("convert", root / "training/convert_aisfx.py")
    assert spec is not None
    assert spec.loader is not None
    convert = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(convert)
    return convert


def test_packing_the_shipped_tensors_gives_the_shipped_bytes() -> None:
    shipped = (files("earful.model") / "weights" / "earful-tiny.safetensors").read_bytes()
    metadata = {"source": "aisfx 0.1.2", "licence": "CC-BY-4.0"}
    assert converter().pack(load_tensors(shipped), metadata) == shipped


def test_the_conversion_folds_normalisation_exactly() -> None:
    convert = converter()
    torch.manual_seed(0)
    weights: dict[str, torch.Tensor] = {}
    channels = (1, 2, 2, 3, 3, 4, 4, 5, 5)
    for number, (before, after) in enumerate(pairwise(channels)):
        prefix = f"embedding_net.conv_block{number // 2 + 1}"
        layer = number % 2 + 1
        weights[f"{prefix}.conv{layer}.weight"] = torch.randn(after, before, 3, 3)
        for part in ("weight", "bias", "running_mean"):
            weights[f"{prefix}.bn{layer}.{part}"] = torch.randn(after)
        weights[f"{prefix}.bn{layer}.running_var"] = torch.rand(after) + 0.5
        weights[f"{prefix}.bn{layer}.num_batches_tracked"] = torch.tensor(7)
    folded = convert.fold(weights)
    frames = torch.randn(1, 1, 6, 6)
    norm = torch.nn.functional.batch_norm(
        torch.nn.functional.conv2d(
            frames, weights["embedding_net.conv_block1.conv1.weight"], padding=1
        ),
        weights["embedding_net.conv_block1.bn1.running_mean"],
        weights["embedding_net.conv_block1.bn1.running_var"],
        weights["embedding_net.conv_block1.bn1.weight"],
        weights["embedding_net.conv_block1.bn1.bias"],
    )
    ours = torch.nn.functional.conv2d(
        frames,
        folded["convolutions.0.weight"].float(),
        folded["convolutions.0.bias"].float(),
        padding=1,
    )
    torch.testing.assert_close(ours, norm, atol=5e-3, rtol=5e-3)
    with pytest.raises(SystemExit, match="unexpected weights"):
        convert.fold({**weights, "embedding_net.extra": torch.zeros(1)})
