"""Our vectors against ``transformers``' own pipeline, on random weights in the hub's layout."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from earful.model import TextEmbedder
from earful.model.audio import Clip
from earful.model.clap import checkpoint, load_clap
from earful.model.clap import embedder as clap_embedder
from earful.model.clap.embedder import ClapEmbedder
from earful.model.clap.front_end import published_front_end
from earful.model.encoders import Htsat, PackedHtsat
from earful.model.runtime import has_bfloat16
from tests.support.clap_folders import RATE, SENTENCES, TOLERANCE, noise, save_folder

transformers: Any = pytest.importorskip("transformers")
# Importing transformers takes longer than most tests.
pytestmark = pytest.mark.slow


def reference_audio(folder: Path, clip: Clip) -> NDArray[np.float32]:
    """Embed one clip by the published pipeline alone."""
    model = transformers.ClapModel.from_pretrained(folder).eval()
    extractor = transformers.ClapFeatureExtractor.from_pretrained(folder)
    inputs = extractor(clip.samples, sampling_rate=RATE, return_tensors="pt")
    # The extractor calls one clip of every batch "longer", whatever its length.
    inputs["is_longer"] = torch.zeros((1, 1), dtype=torch.bool)
    with torch.inference_mode():
        vector = model.get_audio_features(**inputs).pooler_output[0]
    return np.asarray(vector.numpy())


@pytest.mark.parametrize("seconds", [0.05, 1, 3.3, 10])
def test_up_to_ten_seconds_our_vector_is_the_published_pipelines(
    folder: Path, embedder: ClapEmbedder, seconds: float
) -> None:
    clip = noise(seconds)
    ours = embedder.embed([clip])[0]
    np.testing.assert_allclose(ours, reference_audio(folder, clip), rtol=0, atol=TOLERANCE)
    # The comparison means something only if other audio lands elsewhere.
    other = embedder.embed([noise(seconds, seed=9)])[0]
    assert np.abs(ours - other).max() > 10 * TOLERANCE


def test_audio_runs_through_our_tower_alone(folder: Path, embedder: ClapEmbedder) -> None:
    from transformers.models.clap import modeling_clap

    theirs = (modeling_clap.ClapAudioModel, modeling_clap.ClapAudioEncoder)
    assert isinstance(transformers.ClapModel.from_pretrained(folder).audio_model, theirs)
    towers = checkpoint.load_hub_folder(folder)
    for model in (towers, embedder._towers):
        assert isinstance(model.audio_model, (Htsat, PackedHtsat))
        assert not any(isinstance(module, theirs) for module in model.modules())
        assert not any(tensor.is_meta for tensor in model.state_dict().values())


def test_text_vectors_are_the_published_pipelines(folder: Path, embedder: ClapEmbedder) -> None:
    model = transformers.ClapModel.from_pretrained(folder).eval()
    tokenizer = transformers.RobertaTokenizerFast.from_pretrained(folder)
    with torch.inference_mode():
        tokens = tokenizer(SENTENCES, padding=True, return_tensors="pt")
        reference = model.get_text_features(**tokens).pooler_output.numpy()
    ours = embedder.embed_text(SENTENCES)
    np.testing.assert_allclose(ours, reference, rtol=0, atol=TOLERANCE)
    assert np.linalg.matrix_rank(ours.astype(np.float64), tol=1e-3) == len(SENTENCES)


def test_vectors_are_unit_and_text_shares_their_space(embedder: ClapEmbedder) -> None:
    assert isinstance(embedder, TextEmbedder)
    audio, text = embedder.embed([noise(1), noise(12)]), embedder.embed_text(["dog", "cat", "car"])
    assert audio.dtype == text.dtype == np.float32
    assert (audio.shape, text.shape) == ((2, 32), (3, 32))
    np.testing.assert_allclose(np.linalg.norm(np.vstack([audio, text]), axis=1), 1, atol=1e-6)
    assert embedder.embed([]).shape == embedder.embed_text([]).shape == (0, 32)


def test_a_batch_gives_what_single_clips_give(embedder: ClapEmbedder) -> None:
    clips = [noise(seconds, seed=row) for row, seconds in enumerate([0.4, 17, 10, 3])]
    batch = embedder.embed(clips)
    single = np.vstack([embedder.embed([clip]) for clip in clips])
    np.testing.assert_allclose(batch, single, rtol=0, atol=2e-6)
    words = embedder.embed_text(SENTENCES)
    alone = np.vstack([embedder.embed_text([sentence]) for sentence in SENTENCES])
    np.testing.assert_allclose(words, alone, rtol=0, atol=2e-6)


def test_a_long_recordings_vector_is_the_mean_of_its_windows(
    folder: Path, embedder: ClapEmbedder
) -> None:
    clip = noise(22)
    model = transformers.ClapModel.from_pretrained(folder).eval()
    extractor = transformers.ClapFeatureExtractor.from_pretrained(folder)
    windows = [clip.samples[s * RATE : (s + 10) * RATE] for s in (0, 5, 10, 12)]
    inputs = extractor(windows, sampling_rate=RATE, return_tensors="pt")
    with torch.inference_mode():
        pooled = model.audio_model(
            inputs["input_features"], is_longer=torch.zeros((4, 1), dtype=torch.bool)
        ).pooler_output
        mean = model.audio_projection(pooled).mean(dim=0).numpy()
    ours = embedder.embed([clip])[0]
    np.testing.assert_allclose(ours, mean / np.linalg.norm(mean), rtol=0, atol=TOLERANCE)


def test_a_long_recording_has_one_vector_whatever_the_random_state(embedder: ClapEmbedder) -> None:
    clip = noise(16)
    np.random.seed(1)
    torch.manual_seed(1)
    first = embedder.embed([clip])
    np.random.seed(2)
    torch.manual_seed(2)
    np.testing.assert_array_equal(first, embedder.embed([clip]))


def test_a_little_lead_in_moves_a_long_recording_only_a_little(embedder: ClapEmbedder) -> None:
    clip = noise(20)
    late = Clip(
        samples=np.concatenate([np.zeros(RATE // 10, np.float32), clip.samples]), sample_rate=RATE
    )
    ours, shifted = embedder.embed([clip, late])
    unrelated = embedder.embed([noise(20, seed=8)])[0]
    assert ours @ shifted > 0.99
    assert 1 - ours @ shifted < (1 - ours @ unrelated) / 2


def test_another_sample_rate_is_refused(embedder: ClapEmbedder) -> None:
    clip = Clip(samples=np.zeros(100, np.float32), sample_rate=16_000)
    with pytest.raises(ValueError, match=r"clip 1 .* is at 16000 Hz, expected 48000 Hz"):
        embedder.embed([noise(1), clip])


def test_bfloat16_stays_close_and_is_another_fingerprint(unfused: Path) -> None:
    exact = load_clap(str(unfused), device="cpu")
    rough = load_clap(str(unfused), device="cpu", dtype="bfloat16")
    clips = [noise(2), noise(4, seed=5)]
    assert ((exact.embed(clips) * rough.embed(clips)).sum(axis=1) > 0.999).all()
    assert exact.fingerprint.differences(rough.fingerprint) == ["dtype: 'float32' / 'bfloat16'"]
    with pytest.raises(ValueError, match=r"dtype='float16'.* 'bfloat16' or 'auto'"):
        load_clap(str(unfused), dtype="float16")


@pytest.mark.skipif(not has_bfloat16(torch.device("cpu")), reason="this CPU has no bfloat16")
def test_auto_takes_bfloat16_where_the_weights_bear_it(unfused: Path) -> None:
    chosen = load_clap(str(unfused), device="cpu", dtype="auto")
    rough = load_clap(str(unfused), device="cpu", dtype="bfloat16")
    assert chosen.fingerprint == rough.fingerprint
    assert np.array_equal(chosen.embed([noise(2)]), rough.embed([noise(2)]))


def test_auto_falls_back_to_float32_and_says_so_where_they_do_not(
    unfused: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clap_embedder, "has_bfloat16", lambda _: True)
    towers = checkpoint.load_hub_folder(unfused)
    # Sounds now differ in the fifth place, which bfloat16 has not.
    tower = towers.audio_model
    assert isinstance(tower, Htsat)
    tower.mel_norm.weight.data.mul_(1e-5)
    monkeypatch.setattr(clap_embedder, "load_hub_folder", lambda _: towers)
    with pytest.warns(RuntimeWarning, match="runs in float32. In bfloat16 its vectors"):
        embedder = load_clap(str(unfused), device="cpu", dtype="auto")
    assert embedder.fingerprint.dtype == "float32"


def test_auto_is_float32_where_bfloat16_gains_nothing(
    unfused: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clap_embedder, "has_bfloat16", lambda _: False)
    embedder = load_clap(str(unfused), device="cpu", dtype="auto")
    assert embedder.fingerprint == load_clap(str(unfused), device="cpu").fingerprint


def test_fingerprint_tells_weights_and_windowing(unfused: Path, tmp_path: Path) -> None:
    mark = load_clap(str(unfused), device="cpu").fingerprint
    digest = hashlib.sha256((unfused / "model.safetensors").read_bytes()).hexdigest()
    assert (mark.name, mark.revision, mark.weights_sha256) == (str(unfused.resolve()), "", digest)
    assert (mark.dim, mark.sample_rate, mark.dtype) == (32, RATE, "float32")
    assert mark.windowing == published_front_end(fused=False).describe()
    fused = load_clap(str(save_folder(tmp_path / "clap", fused=True)), device="cpu").fingerprint
    assert "htk" in fused.windowing
    assert "slaney" in mark.windowing
