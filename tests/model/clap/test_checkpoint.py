"""Folders in the hub's layout: what is read of them, and what is refused."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from earful.errors import MissingExtraError, ModelError
from earful.model import load_embedder, load_language_model
from earful.model.clap import checkpoint, convert_clap, htsat_config, load_clap
from earful.model.encoders import Htsat
from tests.support.clap_folders import noise

transformers: Any = pytest.importorskip("transformers")
# Importing transformers takes longer than most tests.
pytestmark = pytest.mark.slow


def test_a_pickle_beside_safetensors_is_never_opened(unfused: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(unfused, tmp_path / "clap")
    (folder / "pytorch_model.bin").write_bytes(b"never opened")
    np.testing.assert_array_equal(
        load_clap(str(folder), device="cpu").embed([noise(1)]),
        load_clap(str(unfused), device="cpu").embed([noise(1)]),
    )


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


def test_an_unreachable_hub_names_the_id_the_cache_and_the_way_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ModelError) as caught:
        load_clap("laion/clap-htsat-unfused", revision="abc")
    message = str(caught.value)
    for part in ("laion/clap-htsat-unfused at abc", str(tmp_path / "cache"), "earful-small"):
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
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'earful\[clap\]'"):
        load_clap(str(unfused))


def test_wrong_paths_and_devices_are_named(unfused: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"gone\.pt: found neither on the hub"):
        load_clap(str(tmp_path / "gone.pt"))
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match=r"config\.json is missing"):
        load_clap(str(tmp_path))
    with pytest.raises(ValueError, match="only a hub id has revisions"):
        load_clap(str(unfused), revision="main")
    with pytest.raises(ModelError, match="unknown device 'warp9': expected auto, cpu, cuda"):
        load_clap(str(unfused), device="warp9")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ModelError, match="describes 'bert', expected 'clap'"):
        load_clap(str(tmp_path))
    (tmp_path / "config.json").write_bytes((unfused / "config.json").read_bytes())
    with pytest.raises(ModelError, match=r"cannot be opened as weights"):
        load_clap(str(tmp_path))
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no weights found, expected model\.safetensors"):
        load_clap(str(tmp_path))
