"""How a model is found and loaded: folders, names, and what is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from earful.errors import MissingExtraError, ModelError, PromptError, UnknownNameError
from earful.model import ClipRef, load_language_model
from earful.model.hub_models import HubLanguageModel, load_hub_model, open_hub_folder
from earful.testing.hub_models import as_full_omni
from tests.model.hub_models.conftest import ask, noise


@pytest.fixture
def folder(folder_of: Callable[[str], Path], tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(folder_of("audioflamingo3"), tmp_path / "model"))


def rewrite(folder: Path, **fields: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **fields}), "utf-8")


@pytest.mark.slow
def test_the_registry_takes_a_folder(folder: Path) -> None:
    model = load_language_model(folder, device="cpu")
    assert isinstance(model, HubLanguageModel)
    assert model.capabilities.name == str(folder)
    assert model.self_test.error < 1e-5
    # Answers and features of other arithmetic are others, whatever the weights.
    assert model.capabilities.arithmetic == "float32, cpu"
    quantised = HubLanguageModel(model.renderer, model.network, name="x", quantised="int4")
    assert quantised.capabilities.arithmetic == "float32, int4, cpu"


@pytest.mark.slow
def test_dtypes_and_identity(folder: Path) -> None:
    model = load_language_model(folder, device="cpu", dtype="bfloat16")
    assert isinstance(model, HubLanguageModel)
    assert str(model.network.dtype) == "torch.bfloat16"
    scores = model.score(ask(noise(0.5), noise(0.5, 1)), ["a dog", "a cat"])
    assert all(np.isfinite(own).all() for own in scores)
    before = open_hub_folder(str(folder)).weights_sha256()
    assert model.capabilities.weights_sha256 == before
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    assert open_hub_folder(str(folder)).weights_sha256() != before


@pytest.mark.slow
def test_a_whole_omni_is_loaded_without_its_talker(
    folder_of: Callable[[str], Path], tmp_path: Path
) -> None:
    whole = Path(shutil.copytree(folder_of("qwen2_5_omni"), tmp_path / "whole"))
    as_full_omni(whole)
    thinker, omni = (
        load_hub_model(str(x), device="cpu") for x in (folder_of("qwen2_5_omni"), whole)
    )
    prompt = ask(noise(0.5), noise(0.5, 1))
    for a, b in zip(thinker.score(prompt, ["x"]), omni.score(prompt, ["x"]), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"model_type": "whisper"}, "it only writes down speech"),
        ({"model_type": "clap"}, "it is for --embedder"),
        ({"model_type": "muse_spark"}, "earful was not tried with it"),
        ({"model_type": "kimi_audio", "auto_map": {}}, "needs code of its own, which is never run"),
        ({"model_type": "llama"}, "none of the families.*Qwen2-Audio"),
    ],
)
def test_refuses_models_by_name(folder: Path, fields: dict[str, object], expected: str) -> None:
    rewrite(folder, **fields)
    with pytest.raises(ModelError, match=expected):
        load_language_model(folder)


def test_refuses_what_it_cannot_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for options, expected in (
        ({"dtype": "float8"}, "expected auto, float32"),
        ({"decoding": "compat"}, "leave --decoding out"),
        ({"slots": 4}, "leave --slots out"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
    ):
        with pytest.raises((ModelError, UnknownNameError), match=expected):
            load_hub_model(str(folder), **options)
    monkeypatch.setenv("EARFUL_DEVICE_MAP", "everywhere")
    with pytest.raises(ModelError, match="expected auto, balanced"):
        load_hub_model(str(folder))


@pytest.mark.parametrize(
    "fields",
    [
        {"text_config": {"_attn_implementation": "someone/kernel"}},
        {"attn_implementation": "kernels-community/flash-attn"},
        {"vision_config": {"architecture": "hf-hub:someone/tower"}},
    ],
)
def test_a_config_that_fetches_code_is_refused(folder: Path, fields: dict[str, object]) -> None:
    rewrite(folder, **fields)
    with pytest.raises(ModelError, match="fetches code or weights"):
        load_language_model(folder)


def test_code_beside_a_model_is_never_run(folder: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    (folder / "evil.py").write_text(f"open({str(ran)!r}, 'w')\nclass Evil: pass\n", "utf-8")
    names = {"AutoConfig": "evil.Evil", "AutoProcessor": "evil.Evil", "AutoModel": "evil.Evil"}
    rewrite(folder, auto_map=names)
    path = folder / "processor_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), "auto_map": names}), "utf-8")
    assert isinstance(load_language_model(folder, device="cpu"), HubLanguageModel)
    assert not ran.exists()


@pytest.mark.parametrize("package", ["transformers", "torchvision", "timm"])
def test_a_missing_extra_is_one_line_with_its_command(
    folder: Path, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide(monkeypatch, package)
    with pytest.raises(MissingExtraError, match=r"pip install 'earful\[hub-models\]'") as caught:
        load_language_model(folder)
    assert repr(package) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_packages_beyond_the_extra_are_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "peft", "bitsandbytes", "mistral_common")
    with pytest.raises(MissingExtraError, match="pip install bitsandbytes"):
        load_language_model(folder, dtype="int4")
    (folder / "adapter_config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(MissingExtraError, match="pip install peft"):
        load_language_model(folder)
    rewrite(folder, model_type="voxtral")
    with pytest.raises(MissingExtraError, match="pip install mistral-common"):
        load_language_model(folder)


def hide(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *more: None if name in packages else find(name)
    )


def test_damaged_folders_are_refused(folder: Path) -> None:
    tensors = folder / "model.safetensors"
    whole = tensors.read_bytes()
    tensors.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="weights cannot be read"):
        load_language_model(folder)
    tensors.rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"no weights in \.safetensors"):
        load_language_model(folder)


def test_missing_tensors_are_refused(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    tensors = load_file(path)
    name = next(name for name in tensors if "q_proj" in name)
    del tensors[name]
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"1 tensors are missing.*q_proj"):
        load_language_model(folder)


def test_a_template_that_loses_recordings_is_refused(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("{{ messages[0]['role'] }}", encoding="utf-8")
    with pytest.raises(ModelError, match="loses recordings or words"):
        load_language_model(folder)


@pytest.mark.slow
def test_a_template_of_texts_alone_is_mended(folder: Path) -> None:
    template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    model = load_language_model(folder, device="cpu")
    assert isinstance(model, HubLanguageModel)
    assert model.capabilities.system_text


def test_an_exemplar_is_encoded_once(
    flamingo: HubLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[int] = []
    encode = flamingo.network.encode

    def count(inputs: dict[str, object]) -> object:
        heard.append(1)
        return encode(inputs)

    monkeypatch.setattr(flamingo.network, "encode", count)
    shots = [noise(1.0, seed) for seed in range(50, 53)]
    kept: dict[str, np.ndarray] = {}

    class Cache:
        get = staticmethod(kept.get)
        put = staticmethod(kept.__setitem__)

    flamingo.keep_features(Cache())
    first = flamingo.score(ask(*shots, noise(1.0, 60)), ["x"])
    flamingo.score(ask(*reversed(shots), noise(1.0, 61)), ["x", "y"])
    assert len(heard) == 5
    assert len(kept) == 3
    # Another session finds them on disk, and hears the query alone.
    flamingo.keep_features(Cache())
    again = flamingo.score(ask(*shots, noise(1.0, 60)), ["x"])
    assert len(heard) == 6
    np.testing.assert_array_equal(first[0], again[0])
    flamingo.encode_exemplar(ClipRef(audio=noise(1.0, 70)))
    assert len(kept) == 4


def test_answers_are_checked(flamingo: HubLanguageModel) -> None:
    prompt = ask(noise(0.5))
    with pytest.raises(PromptError, match="empty"):
        flamingo.score(prompt, ["dog", " "])
    with pytest.raises(PromptError, match="are the same"):
        flamingo.score(prompt, ["dog", "dog"])
    with pytest.raises(PromptError, match="expected at most 32768"):
        flamingo.score(ask(noise(0.5), question="long " * 7000), ["dog"])
