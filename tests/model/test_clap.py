"""Our vectors against ``transformers``' own pipeline, on random weights in the hub's layout."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from earful.errors import MissingExtraError, ModelError
from earful.files import hold_partial
from earful.model import TextEmbedder, load_embedder, load_language_model
from earful.model.audio import AudioLimits, Clip, file_sha256
from earful.model.clap import checkpoint, convert_clap, htsat_config, load_clap
from earful.model.clap import embedder as clap_embedder
from earful.model.clap.embedder import ClapEmbedder
from earful.model.clap.front_end import (
    published_front_end,
    read_front_end,
    repeat_pad,
    window_starts,
)
from earful.model.clap.tokenizer import MAX_TEXT_TOKENS, ClapTokenizer
from earful.model.encoders import Htsat, LogMel, PackedHtsat
from earful.model.runtime import has_bfloat16

torch = pytest.importorskip("torch")
transformers: Any = pytest.importorskip("transformers")
# Importing transformers takes longer than most tests.
pytestmark = pytest.mark.slow

RATE = 48_000
TOLERANCE = 1e-4  # largest difference of a number in a unit vector, float32
SENTENCES = ["a dog barks", "rain", "ein Zug fährt vorbei \N{STEAM LOCOMOTIVE}", ""]


def noise(seconds: float, *, seed: int = 0) -> Clip:
    """Make a clip with tones, loud and quiet stretches and digital silence."""
    generator = np.random.default_rng(seed)
    n = round(seconds * RATE)
    time_s = np.arange(n) / RATE
    wave = 0.3 * np.sin(2 * np.pi * generator.uniform(100, 8000) * time_s)
    wave += generator.normal(scale=0.1, size=n) * (np.sin(2 * np.pi * 0.7 * time_s) > 0)
    wave[n // 2 : n // 2 + n // 10] = 0
    return Clip(samples=wave.astype(np.float32), sample_rate=RATE)


def tiny_config(*, fused: bool) -> Any:
    return transformers.ClapConfig(
        projection_dim=32,
        audio_config={
            "patch_embeds_hidden_size": 16,
            "depths": [2, 2],
            "num_attention_heads": [2, 4],
            "hidden_size": 32,
            "enable_fusion": fused,
            "fusion_type": "aff_2d" if fused else None,
        },
        text_config={
            "vocab_size": 300,
            "hidden_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 1,
            "intermediate_size": 96,
            "max_position_embeddings": 130,
            "layer_norm_eps": 1e-5,
        },
    )


def random_model(*, fused: bool) -> Any:
    """Build a model whose every tensor is random, biases and running statistics included."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = transformers.ClapModel(tiny_config(fused=fused)).eval()
        for name, tensor in model.state_dict().items():
            if name.endswith("running_mean"):
                tensor.normal_(-40, 5)
            elif name.endswith("running_var"):
                tensor.uniform_(100, 400)
            elif tensor.is_floating_point() and tensor.dim():
                tensor.normal_(0, 0.15)
                if tensor.dim() == 1 and name.endswith("weight"):
                    tensor += 1
    return model


def byte_tokenizer() -> Any:
    """Build RoBERTa's kind of tokenizer over single bytes and two merges."""
    from tokenizers.pre_tokenizers import ByteLevel

    words = ["<s>", "<pad>", "</s>", "<unk>", *sorted(ByteLevel.alphabet()), "do", "dog"]
    vocab = {word: number for number, word in enumerate([*words, "<mask>"])}
    merges: Any = [("d", "o"), ("do", "g")]
    return transformers.RobertaTokenizerFast(vocab=vocab, merges=merges)


def save_folder(folder: Path, *, fused: bool) -> Path:
    random_model(fused=fused).save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    transformers.ClapFeatureExtractor(
        frequency_min=50, truncation="fusion" if fused else "rand_trunc"
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=[False, True], ids=["unfused", "fused"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_folder(tmp_path_factory.mktemp("hub") / "clap", fused=request.param)


@pytest.fixture(scope="module")
def unfused(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_folder(tmp_path_factory.mktemp("hub") / "clap", fused=False)


@pytest.fixture(scope="module")
def embedder(folder: Path) -> ClapEmbedder:
    return load_clap(str(folder), device="cpu")


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
    with pytest.raises(ValueError, match=r"clip 1 .* is at 16000 Hz, want 48000 Hz"):
        embedder.embed([noise(1), clip])


@pytest.mark.parametrize("special", ["<mask>", "</s>", "<s>", "<pad>"])
def test_special_tokens_in_a_sentence_are_plain_text(
    embedder: ClapEmbedder, special: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[int]] = []
    text_model = embedder._towers.text_model.forward

    def spy(input_ids: Any, **options: Any) -> Any:
        seen.extend(input_ids.tolist())
        return text_model(input_ids=input_ids, **options)

    monkeypatch.setattr(embedder._towers.text_model, "forward", spy)
    embedder.embed_text([f"a {special} dog"])
    start, *words, end = seen[0]
    tokenizer = byte_tokenizer()
    assert (start, end) == (tokenizer.bos_token_id, tokenizer.eos_token_id)
    assert not {tokenizer.bos_token_id, tokenizer.eos_token_id, 1, 3} & set(words)
    assert tokenizer.mask_token_id not in words


def test_a_long_sentence_is_cut_where_training_cut_it(embedder: ClapEmbedder) -> None:
    kept = "x" * (MAX_TEXT_TOKENS - 2)  # one token a letter, between start and end
    whole, longer, shorter = embedder.embed_text([kept, kept + "y" * 500, kept[:-1]])
    np.testing.assert_allclose(whole, longer, rtol=0, atol=2e-6)
    assert np.abs(whole - shorter).max() > TOLERANCE


def test_bfloat16_stays_close_and_is_another_fingerprint(unfused: Path) -> None:
    exact = load_clap(str(unfused), device="cpu")
    rough = load_clap(str(unfused), device="cpu", dtype="bfloat16")
    clips = [noise(2), noise(4, seed=5)]
    assert ((exact.embed(clips) * rough.embed(clips)).sum(axis=1) > 0.999).all()
    assert exact.fingerprint.differences(rough.fingerprint) == ["dtype: 'float32' / 'bfloat16'"]
    with pytest.raises(ValueError, match="dtype='float16', want 'float32', 'bfloat16' or 'auto'"):
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
    import hashlib

    mark = load_clap(str(unfused), device="cpu").fingerprint
    digest = hashlib.sha256((unfused / "model.safetensors").read_bytes()).hexdigest()
    assert (mark.name, mark.revision, mark.weights_sha256) == (str(unfused.resolve()), "", digest)
    assert (mark.dim, mark.sample_rate, mark.dtype) == (32, RATE, "float32")
    assert mark.windowing == published_front_end(fused=False).describe()
    fused = load_clap(str(save_folder(tmp_path / "clap", fused=True)), device="cpu").fingerprint
    assert "htk" in fused.windowing
    assert "slaney" in mark.windowing


def test_a_pickle_beside_safetensors_is_never_opened(unfused: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(unfused, tmp_path / "clap")
    (folder / "pytorch_model.bin").write_bytes(b"never opened")
    np.testing.assert_array_equal(
        load_clap(str(folder), device="cpu").embed([noise(1)]),
        load_clap(str(unfused), device="cpu").embed([noise(1)]),
    )


def test_a_processor_file_of_newer_transformers_is_read(unfused: Path, tmp_path: Path) -> None:
    extractor = transformers.ClapFeatureExtractor.from_pretrained(unfused)
    transformers.ClapProcessor(extractor, byte_tokenizer()).save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").unlink(missing_ok=True)
    assert (tmp_path / "processor_config.json").is_file()
    assert read_front_end(tmp_path, fused=False) == published_front_end(fused=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"truncation": "fusion"}, "'fusion' and 'repeatpad', want 'rand_trunc' and 'repeatpad'"),
        ({"padding": "pad"}, "'rand_trunc' and 'pad', want"),
        ({"hop_length": None}, "want the parameters of a ClapFeatureExtractor"),
    ],
)
def test_a_front_end_the_towers_were_not_made_for_is_refused(
    unfused: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    found = json.loads((unfused / "preprocessor_config.json").read_text())
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(found | change))
    with pytest.raises(ModelError, match=message):
        read_front_end(tmp_path, fused=False)


def test_what_older_versions_wrote_into_a_folder_is_read(unfused: Path, tmp_path: Path) -> None:
    folder = tmp_path / "clap"
    folder.mkdir()
    config = json.loads((unfused / "config.json").read_text())
    config |= {"_commit_hash": None, "torch_dtype": "float32", "text_config_dict": None}
    config["audio_config"] |= {"fusion_num_hidden_layers": 2, "projection_hidden_size": 768}
    config["text_config"] |= {"classifier_dropout": None, "add_cross_attention": False}
    (folder / "config.json").write_text(json.dumps(config))
    extractor = json.loads((unfused / "preprocessor_config.json").read_text())
    extractor |= {"chunk_length_s": 10, "n_fft": 1024, "nb_max_frames": 1000}
    (folder / "preprocessor_config.json").write_text(json.dumps(extractor))
    state = transformers.ClapModel.from_pretrained(unfused).state_dict()
    derived = ("position_ids", "token_type_ids", "relative_position_index")
    kept = {name: tensor for name, tensor in state.items() if not name.endswith(derived)}
    torch.save(kept, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"weights are a pickle .*earful models convert-clap"):
        load_clap(str(folder), device="cpu")
    convert_clap(str(folder), tmp_path / "safe")
    np.testing.assert_allclose(
        load_clap(str(tmp_path / "safe"), device="cpu").embed([noise(1)]),
        load_clap(str(unfused), device="cpu").embed([noise(1)]),
        rtol=0,
        atol=1e-6,
    )


def test_the_hubs_own_config_files_build_the_published_sizes() -> None:
    tiny = {  # audio part of laion/clap-htsat-unfused
        "fusion_num_hidden_layers": 2,
        "model_type": "clap_audio_model",
        "projection_hidden_size": 768,
    }
    base = {  # and of laion/larger_clap_music_and_speech
        "depths": [2, 2, 12, 2],
        "hidden_size": 1024,
        "model_type": "clap_audio_model",
        "patch_embeds_hidden_size": 128,
    }
    for part, size in ((tiny, 27.5), (base, 67.8)):
        config = transformers.ClapConfig(audio_config=part).audio_config
        with torch.device("meta"):
            towers = (transformers.ClapAudioModel(config), Htsat(htsat_config(config)))
        for tower in towers:
            assert round(sum(p.numel() for p in tower.parameters()) / 1e6, 1) == size


def test_an_audio_tower_of_another_kind_is_refused(unfused: Path, tmp_path: Path) -> None:
    config = json.loads((unfused / "config.json").read_text())
    config["audio_config"]["hidden_act"] = "relu"
    for file in unfused.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"model\.safetensors: audio_config has hidden_act='relu'"):
        load_clap(str(tmp_path), device="cpu")


# --- original checkpoints ---------------------------------------------------------------


def original_names(model: Any) -> dict[str, Any]:
    """Write a model's tensors under the names of LAION's training code, fused again."""
    renamed: dict[str, Any] = {}
    state = model.state_dict()
    for name, tensor in state.items():
        new = name.replace("text_model.", "text_branch.").replace(
            "audio_model.audio_encoder.", "audio_branch."
        )
        for ours, theirs in {
            "batch_norm": "bn0",
            "linear1": "0",
            "linear2": "2",
        }.items():
            new = new.replace(f".{ours}.", f".{theirs}.")
        if new.startswith("audio_branch.layers."):
            if ".key." in new or ".value." in new:
                continue
            if ".query." in new:
                parts = [state[name.replace("query", part)] for part in ("query", "key", "value")]
                tensor = torch.cat(parts)
                new = new.replace("attention.self.query", "attn.qkv")
            for ours, theirs in {
                "layernorm_before": "norm1",
                "layernorm_after": "norm2",
                "attention.output.dense": "attn.proj",
                "attention.self": "attn",
                "intermediate.dense": "mlp.fc1",
                "output.dense": "mlp.fc2",
            }.items():
                new = new.replace(f".{ours}.", f".{theirs}.")
        renamed[new] = tensor.clone()
    return renamed


def save_original(path: Path, *, fused: bool, change: Callable[[Any], None] | None = None) -> Path:
    """Save a training checkpoint as the project's own code does, with all that lies beside."""
    state = original_names(random_model(fused=fused))
    state["audio_branch.logmel_extractor.melW"] = torch.zeros(513, 64)
    state["audio_branch.spectrogram_extractor.stft.conv_real.weight"] = torch.zeros(2, 1, 4)
    state["audio_branch.layers.0.blocks.1.attn_mask"] = torch.zeros(64, 64, 64)
    state["audio_branch.tscam_conv.weight"] = torch.zeros(5, 32, 2, 3)
    state["audio_branch.head.weight"] = torch.zeros(5, 5)
    state["text_transform.sequential.0.weight"] = torch.zeros(32, 32)
    if change:
        change(state)
    torch.save(
        {
            "epoch": 15,
            "name": "run",
            "best": {"top1": np.float64(0.9), "n": np.int64(7)},
            "state_dict": {f"module.{name}": tensor for name, tensor in state.items()},
            "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": []},
        },
        path,
    )
    return path


@pytest.mark.parametrize("fused", [False, True], ids=["unfused", "fused"])
def test_an_original_checkpoint_gives_the_vectors_of_its_hub_folder(
    tmp_path: Path, fused: bool
) -> None:
    folder = load_clap(str(save_folder(tmp_path / "hub", fused=fused)), device="cpu")
    path = save_original(tmp_path / "630k.pt", fused=fused)
    byte_tokenizer().save_pretrained(tmp_path / "roberta-base")
    report = convert_clap(str(path), tmp_path / "converted")
    assert report.embeds_text
    with pytest.raises(ModelError, match=r"630k\.pt: is a file.*earful models convert-clap"):
        load_clap(str(path), device="cpu")
    original = load_clap(str(tmp_path / "converted"), device="cpu")
    # Where a tensor lies in its file decides how its products are summed up.
    for ours, theirs in (
        (original.embed([noise(2)]), folder.embed([noise(2)])),
        (original.embed_text(SENTENCES), folder.embed_text(SENTENCES)),
    ):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)
    assert original.fingerprint.windowing == folder.fingerprint.windowing
    assert original.fingerprint.name == str((tmp_path / "converted").resolve())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda state: state.pop("audio_branch.norm.weight"),
            r"1 tensors do not fit .*: missing audio_model\.audio_encoder\.norm\.weight",
        ),
        (
            lambda state: state.update({"audio_branch.surprise": torch.zeros(1)}),
            r"1 tensors do not fit .*: unexpected audio_model\.audio_encoder\.surprise",
        ),
        (
            lambda state: state.update({"audio_branch.norm.weight": torch.zeros(7)}),
            r"norm\.weight has shape \(7,\), want \(32,\)",
        ),
        (
            lambda state: state.pop("text_branch.embeddings.word_embeddings.weight"),
            r"not a LAION-CLAP checkpoint with HTSAT and RoBERTa towers",
        ),
    ],
    ids=["missing", "unexpected", "shape", "other text tower"],
)
def test_an_original_checkpoint_must_fit_exactly(
    tmp_path: Path, change: Callable[[Any], None], message: str
) -> None:
    path = save_original(tmp_path / "odd.pt", fused=False, change=change)
    with pytest.raises(ModelError, match=message):
        convert_clap(str(path), tmp_path / "converted")
    assert not (tmp_path / "converted").exists()


def test_position_ids_may_be_there_or_not(tmp_path: Path) -> None:
    def without(state: Any) -> None:
        state.pop("text_branch.embeddings.position_ids")
        state.pop("text_branch.embeddings.token_type_ids")

    def with_more(state: Any) -> None:
        state["text_branch.embeddings.position_ids"] = torch.arange(512)[None]

    for number, change in enumerate((without, with_more)):
        path = save_original(tmp_path / f"{number}.pt", fused=False, change=change)
        convert_clap(str(path), tmp_path / f"{number}")
        model: Any = checkpoint.load_hub_folder(tmp_path / f"{number}")
        assert model.text_model.embeddings.position_ids.tolist() == [list(range(130))]


def test_code_in_a_checkpoint_is_never_run(tmp_path: Path) -> None:
    import pickle

    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "boom",))

    torch.save({"state_dict": {}, "name": Bomb()}, tmp_path / "bomb.pt")
    (tmp_path / "old.pt").write_bytes(pickle.dumps(Bomb(), protocol=2))
    (tmp_path / "text.pt").write_text("<html>not found</html>")
    for name in ("bomb.pt", "old.pt", "text.pt"):
        with pytest.raises(ModelError, match=rf"{name}: cannot be opened as weights"):
            convert_clap(str(tmp_path / name), tmp_path / "converted")
    assert not (tmp_path / "boom").exists()


def test_without_a_tokenizer_audio_works_and_text_says_what_is_missing(tmp_path: Path) -> None:
    path = save_original(tmp_path / "630k.pt", fused=False)
    report = convert_clap(str(path), tmp_path / "converted")
    assert not report.embeds_text
    embedder = load_clap(report.folder, device="cpu")
    assert embedder.embed([noise(1)]).shape == (1, 32)
    with pytest.raises(ModelError, match=r"converted: no tokenizer .*vocab\.json and merges\.txt"):
        embedder.embed_text(["dog"])


def test_a_foreign_tokenizer_is_refused(unfused: Path, tmp_path: Path) -> None:
    tokenizer = byte_tokenizer()
    tokenizer.add_tokens([f"word{number}" for number in range(100)])
    folder = shutil.copytree(unfused, tmp_path / "clap")
    tokenizer.save_pretrained(folder)
    with pytest.raises(ModelError, match=r"knows 363 words, but the text tower of .* has 300"):
        load_clap(str(folder), device="cpu").embed_text(["dog"])


def test_a_tokenizer_that_looks_for_tokens_in_every_text_is_refused(
    unfused: Path, tmp_path: Path
) -> None:
    tokenizer = byte_tokenizer()
    tokenizer.add_tokens(["siren"])  # added, yet not special: it cannot be kept out of a text
    folder = shutil.copytree(unfused, tmp_path / "clap")
    tokenizer.save_pretrained(folder)
    with pytest.raises(ModelError, match="looks for 'siren' inside every text"):
        load_clap(str(folder), device="cpu").embed_text(["a siren"])


def test_the_tokenizers_two_files_give_the_ids_of_its_one(unfused: Path, tmp_path: Path) -> None:
    told = json.loads((unfused / "tokenizer.json").read_text())["model"]
    (tmp_path / "vocab.json").write_text(json.dumps(told["vocab"]))
    merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in told["merges"]]
    (tmp_path / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    whole = ClapTokenizer.open(unfused, n_words=300, model="clap")
    parts = ClapTokenizer.open(tmp_path, n_words=300, model="clap")
    texts = [*SENTENCES, "a <mask> do", "dog" * 60]
    for ours, theirs in zip(whole.encode(texts), parts.encode(texts), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_converted_folder_is_checked_against_its_digests(tmp_path: Path) -> None:
    path = save_original(tmp_path / "630k.pt", fused=False)
    byte_tokenizer().save_pretrained(tmp_path / "roberta-base")
    folder = Path(convert_clap(str(path), tmp_path / "converted").folder)
    digests = json.loads((folder / "digests.json").read_text())
    assert set(digests) == {file.name for file in folder.iterdir()} - {"digests.json"}
    for name in digests:
        whole = (folder / name).read_bytes()
        changed = bytearray(whole)
        changed[len(changed) // 2] ^= 1
        (folder / name).write_bytes(changed)
        with pytest.raises(ModelError, match=rf"{name}: is not what it was .*convert"):
            load_clap(str(folder), device="cpu")
        (folder / name).write_bytes(whole)
    load_clap(str(folder), device="cpu")
    with pytest.raises(ModelError, match="converted: holds something already"):
        convert_clap(str(path), folder)


def test_a_conversion_is_on_the_disk_before_it_counts_and_alone(
    tmp_path: Path, watch_disk: Callable[[], list[str]]
) -> None:
    path = save_original(tmp_path / "630k.pt", fused=False)
    byte_tokenizer().save_pretrained(tmp_path / "roberta-base")
    folder = tmp_path / "models" / "clap"
    partial = folder.with_name(".clap.partial")
    held = hold_partial(partial, folder)
    with pytest.raises(ModelError, match=r"clap: another process is writing it; wait"):
        convert_clap(str(path), folder)
    assert partial.is_dir()
    os.close(held)
    (partial / "left.bin").write_bytes(b"by a killed one")

    events = watch_disk()
    convert_clap(str(path), folder)
    written = {file.name for file in folder.iterdir()}
    assert "left.bin" not in written
    assert events[-3:] == ["sync .clap.partial", "rename clap", "sync models"]
    assert set(events[:-3]) == {f"sync {name}" for name in written}
    assert os.listdir(folder.parent) == ["clap"]


def test_weights_may_be_larger_than_a_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    defaults = file_sha256.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "limits", AudioLimits(max_file_bytes=100))
    path = save_original(tmp_path / "630k.pt", fused=False)
    byte_tokenizer().save_pretrained(tmp_path / "roberta-base")
    folder = Path(convert_clap(str(path), tmp_path / "converted").folder)
    load_clap(str(folder), device="cpu")
    (folder / "digests.json").unlink()
    load_clap(str(folder), device="cpu")


def test_a_folder_that_brings_code_runs_none(
    unfused: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(unfused, tmp_path / "clap")
    mark = tmp_path / "it ran"
    (folder / "evil.py").write_text(f"open({str(mark)!r}, 'w').close()\nclass Evil: ...\n")
    evil = {"AutoConfig": "evil.Evil", "AutoModel": "evil.Evil", "AutoTokenizer": ["evil.Evil"] * 2}
    # transformers asks whether to run it; here everybody would say yes.
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    monkeypatch.setattr("signal.alarm", lambda *_: 0)
    kernel = {"_attn_implementation": "evil/kernel", "attn_implementation": "evil/kernel"}
    config = json.loads((unfused / "config.json").read_text()) | {"auto_map": evil} | kernel
    for part in ("audio_config", "text_config"):
        config[part] |= {"auto_map": evil} | kernel
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer_config.json").write_text(json.dumps({"auto_map": evil}))
    embedder = load_clap(str(folder), device="cpu")
    assert embedder.embed_text(["dog"]).shape == (1, 32)
    assert "attn_implementation" not in checkpoint.read_sizes(folder)["text_config"]
    convert_clap(str(folder), tmp_path / "converted")
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "evil"}))
    for load in (load_clap, load_embedder, load_language_model):
        with pytest.raises(ModelError):
            load(str(folder), device="cpu")
    assert not mark.exists()


# --- names, hub and extras --------------------------------------------------------------


def test_an_unreachable_hub_names_the_id_the_cache_and_the_way_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ModelError) as caught:
        load_clap("laion/clap-htsat-unfused", revision="abc")
    message = str(caught.value)
    for part in ("laion/clap-htsat-unfused at abc", str(tmp_path / "cache"), "earful-tiny"):
        assert part in message


def test_a_cached_hub_id_is_found_offline_and_its_commit_recorded(
    unfused: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub
    from huggingface_hub import constants

    commit = "0123456789abcdef0123456789abcdef01234567"
    cached = tmp_path / "models--laion--clap-htsat-unfused"
    snapshot = cached / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(commit)
    for file in unfused.iterdir():
        (snapshot / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert huggingface_hub.constants.HF_HUB_OFFLINE
    embedder = load_clap("laion/clap-htsat-unfused", device="cpu")
    assert embedder.fingerprint.name == "laion/clap-htsat-unfused"
    assert embedder.fingerprint.revision == commit
    again = load_clap("laion/clap-htsat-unfused", revision=commit, device="cpu")
    assert again.fingerprint == embedder.fingerprint
    assert embedder.embed_text(["dog"]).shape == (1, 32)
    # With a pickle only, it is converted from the cache.
    model = transformers.ClapModel.from_pretrained(unfused)
    torch.save(model.state_dict(), snapshot / "pytorch_model.bin")
    (snapshot / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="models convert-clap laion/clap-htsat-unfused --out"):
        load_clap("laion/clap-htsat-unfused", device="cpu")
    report = convert_clap("laion/clap-htsat-unfused", tmp_path / "safe", revision=commit)
    np.testing.assert_allclose(
        load_clap(report.folder, device="cpu").embed([noise(1)]),
        embedder.embed([noise(1)]),
        rtol=0,
        atol=1e-6,
    )


def test_without_transformers_the_extra_is_named(
    unfused: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'earful\[clap\]'"):
        load_clap(str(unfused))


def test_wrong_paths_and_devices_are_named(unfused: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"gone\.pt: cannot be had from the hub"):
        load_clap(str(tmp_path / "gone.pt"))
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match=r"config\.json is missing"):
        load_clap(str(tmp_path))
    with pytest.raises(ValueError, match="only a hub id has revisions"):
        load_clap(str(unfused), revision="main")
    with pytest.raises(ModelError, match="device 'warp9' cannot be used"):
        load_clap(str(unfused), device="warp9")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ModelError, match="describes 'bert', want 'clap'"):
        load_clap(str(tmp_path))
    (tmp_path / "config.json").write_bytes((unfused / "config.json").read_bytes())
    with pytest.raises(ModelError, match=r"cannot be opened as weights"):
        load_clap(str(tmp_path))
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no weights found, want model\.safetensors"):
        load_clap(str(tmp_path))


# --- windows and spectrograms -----------------------------------------------------------


@given(n=st.integers(1, 10_000), window=st.integers(1, 400), stride=st.integers(1, 400))
def test_windows_cover_every_sample_and_end_with_the_recording(
    n: int, window: int, stride: int
) -> None:
    stride = min(stride, window)
    starts = window_starts(n, window, stride)
    covered = np.zeros(n, bool)
    for start in starts:
        covered[start : start + window] = True
    assert covered.all()
    assert starts == sorted(set(starts))
    assert n <= window or starts[-1] + window == n


@given(n=st.integers(1, 300), window=st.integers(1, 300))
def test_repeat_padding_repeats_whole_copies_only(n: int, window: int) -> None:
    samples = np.arange(1, min(n, window) + 1, dtype=np.float32)
    filled = repeat_pad(samples, window)
    copies = window // len(samples)
    assert len(filled) == window
    assert filled.sum() == pytest.approx(copies * samples.sum())
    assert (filled[copies * len(samples) :] == 0).all()


@pytest.mark.parametrize("fused", [False, True], ids=["slaney", "htk"])
def test_log_mels_equal_the_published_extractors(fused: bool) -> None:
    extractor = transformers.ClapFeatureExtractor(
        frequency_min=50, truncation="fusion" if fused else "rand_trunc"
    )
    clip = noise(10, seed=4)
    reference = extractor(clip.samples, sampling_rate=RATE)["input_features"][0][0]
    log_mel = LogMel(published_front_end(fused=fused).mel)
    ours = log_mel(torch.from_numpy(clip.samples)[None])[0].numpy()
    assert ours.shape == (1001, 64)
    np.testing.assert_allclose(ours, reference, rtol=0, atol=1e-3)


def test_a_tone_lights_its_own_band_and_silence_none() -> None:
    log_mel = LogMel(published_front_end(fused=False).mel)
    time_s = torch.arange(RATE) / RATE
    tone = torch.sin(2 * torch.pi * 1000 * time_s)
    bands = log_mel(torch.stack([tone, torch.zeros(RATE)]))
    # Slaney's scale is linear to 1 kHz, which is its mel 15; 50 Hz is 0.75, 14 kHz 53.4.
    edges = np.linspace(0.75, 15 + np.log(14) / (np.log(6.4) / 27), 66)
    assert bands[0, 50].argmax() == np.abs(edges[1:-1] - 15).argmin()
    assert (bands[1] == -100).all()
