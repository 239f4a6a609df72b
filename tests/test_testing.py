"""What earful offers to other people's tests."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from earful import testing
from earful.model import ClipRef, GenerationOptions, Prompt, Text, load_language_model
from earful.model.audio import Clip
from earful.model.encoders import published_names
from earful.model.flamingo import Control, FlamingoTokenizer, Variant
from earful.model.flamingo.checkpoint import (
    official_shapes,
    open_flamingo_folder,
    our_name,
    overriding_name,
    verify_flamingo_folder,
)
from earful.testing import (
    ScriptedLanguageModel,
    tiny_encoder_config,
    tiny_flamingo_config,
    write_flamingo,
    write_hub_checkpoint,
    write_tokenizer_files,
)


def read(path: Path, entry: str = "model_state_dict") -> dict[str, Tensor]:
    loaded: dict[str, dict[str, Tensor]] = torch.load(path, weights_only=True)
    return loaded[entry]


def ask(seed: int) -> Prompt:
    samples = np.random.default_rng(seed).normal(size=4000).astype(np.float32) * 0.1
    clip = ClipRef(audio=Clip(samples=samples, sample_rate=8000))
    return Prompt(parts=(clip, Text(kind="user", text="What is it?")))


def test_what_is_offered_is_there_and_documented() -> None:
    assert testing.__all__ == sorted(testing.__all__)
    for name in testing.__all__:
        assert getattr(testing, name).__doc__, name


def test_a_script_needs_no_torch() -> None:
    code = (
        "import sys; from earful.testing import ScriptedLanguageModel; "
        "ScriptedLanguageModel(); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_scripted_model_says_its_lines_and_remembers() -> None:
    model = ScriptedLanguageModel(
        replies=["a dog", "a cat on a roof"], log_probability=lambda _, answer: -len(answer)
    )
    told: list[str] = []
    first = model.generate(ask(1), on_text=told.append)
    options = GenerationOptions(max_new_tokens=2)
    others = [model.generate(ask(2), options) for _ in range(2)]
    assert (first.text, first.stopped, told) == ("a dog", "end", ["a dog"])
    assert [(x.text, x.stopped) for x in others] == [("a cat", "length")] * 2
    assert [float(x.sum()) for x in model.score(ask(3), ["dog", "mouse"])] == [-3.0, -5.0]
    assert [prompt.digest for prompt in model.prompts] == [ask(n).digest for n in (1, 2, 2, 3)]


def test_a_small_flamingo_hears_and_answers_the_same_every_time(tmp_path: Path) -> None:
    def scores(folder: Path, seed: int) -> list[float]:
        model = load_language_model(str(folder), device="cpu")
        return [float(x.sum()) for x in model.score(ask(seed), ["dog", "cat"])]

    folder = write_flamingo(tmp_path / "flamingo")
    again = write_flamingo(str(tmp_path / "again"))
    other = write_flamingo(tmp_path / "other", seed=1)
    assert verify_flamingo_folder(folder) == ()
    heard = scores(folder, 1)
    assert scores(again, 1) == heard
    # Gates are open: another recording, and other weights, give other answers.
    for different in (scores(folder, 2), scores(other, 1)):
        assert np.abs(np.subtract(different, heard)).max() > 1e-4
    assert np.isfinite(heard).all()


def test_the_variants_and_sizes_asked_for_are_written(tmp_path: Path) -> None:
    opened = open_flamingo_folder(write_flamingo(tmp_path / "a", variant="chat", n_layers=3))
    assert opened.variant == "chat"
    assert opened.config == tiny_flamingo_config(n_layers=3)
    assert opened.encoder_config == tiny_encoder_config()
    assert opened.load_tokenizer().vocab_size == opened.config.vocab_size
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_the_release_in_small_has_every_name_where_the_real_one_has_it(tmp_path: Path) -> None:
    folder = write_hub_checkpoint(tmp_path / "hub")
    parts = [read(folder / f"foundation_part{n}.pt") for n in range(1, 6)]
    assert [len(part) for part in parts] == [268] * 5
    state = {name: tensor for part in parts for name, tensor in part.items()}
    shapes = official_shapes(tiny_flamingo_config(n_layers=24), n_positions=128)
    assert list(state) == list(shapes)
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == shapes
    # As the published parts are cut.
    cross, copy = "gated_cross_attn_layer", "lang_encoder.old_decoder_blocks"
    assert [(next(iter(part)), next(reversed(part))) for part in parts] == [
        (
            "audio_transformer.position_enc.pos_table",
            f"lang_encoder.model.decoder.layers.8.{cross}.ff.0.bias",
        ),
        (
            f"lang_encoder.model.decoder.layers.8.{cross}.ff.1.weight",
            f"lang_encoder.model.decoder.layers.18.{cross}.attn.to_out.weight",
        ),
        (
            f"lang_encoder.model.decoder.layers.18.{cross}.ff.0.weight",
            f"{copy}.6.final_layer_norm.bias",
        ),
        (f"{copy}.7.self_attn.k_proj.weight", f"{copy}.23.fc1.bias"),
        (f"{copy}.23.fc2.weight", "lang_encoder.gated_cross_attn_layers.23.ff.3.weight"),
    ]
    for name, tensor in state.items():
        assert not (winner := overriding_name(name)) or torch.equal(tensor, state[winner]), name
    encoder = read(folder / "clapcap_weights_2023.pth", "model")
    wanted = published_names(tiny_encoder_config())
    assert {n: tuple(t.shape) for n, t in encoder.items() if n.startswith("clap.")} == {
        f"clap.{name}": shape for name, shape in wanted.items()
    }
    assert {name.partition(".")[0] for name in encoder} == {"clap", "clap_project", "gpt"}


@pytest.mark.parametrize("variant", ["foundation", "chat"])
def test_one_file_or_five_hold_the_weights_of_a_written_flamingo(
    tmp_path: Path, variant: Variant
) -> None:
    one = write_hub_checkpoint(tmp_path / "one", seed=3, n_layers=2, parts=1, variant=variant)
    five = write_hub_checkpoint(tmp_path / "five", seed=3, n_layers=2, variant=variant)
    names = {x.name for x in one.iterdir()} - {x.name for x in five.iterdir()}
    assert names == {f"{variant}.pt"}
    whole = read(one / f"{variant}.pt")
    parts = [read(five / f"{variant}_part{n}.pt") for n in range(1, 6)]
    joined = {name: tensor for part in parts for name, tensor in part.items()}
    assert list(joined) == list(whole)
    folder = write_flamingo(tmp_path / "written", seed=3)
    kept = open_flamingo_folder(folder).load_model(device="cpu").state_dict()
    for name, tensor in whole.items():
        assert torch.equal(tensor, joined[name]), name
        if ours := our_name(name):
            assert torch.equal(tensor, kept[ours]), name


def test_the_vocabulary_is_one_of_bytes(tmp_path: Path) -> None:
    write_tokenizer_files(tmp_path)
    vocabulary = json.loads((tmp_path / "vocab.json").read_text())
    assert vocabulary["<pad>"] == 1
    assert vocabulary["</s>"] == 2
    tokenizer = FlamingoTokenizer.from_opt_files(tmp_path / "vocab.json", tmp_path / "merges.txt")
    config = tiny_flamingo_config()
    assert tokenizer.vocab_size == config.vocab_size == 4 + 256 + 3
    ids = tokenizer.encode(["ä ", Control.AUDIO, "<audio>"])
    assert ids.count(config.audio_id) == 1
    assert len(ids) == 1 + 3 + 1 + len("<audio>")
