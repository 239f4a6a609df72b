"""The released files, in full-length names and small sizes, through the converter."""

import json
import pickle
import shutil
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

from earful.errors import ModelError
from earful.model.flamingo.checkpoint import (
    ConversionReport,
    convert_flamingo,
    open_flamingo_folder,
    verify_flamingo_folder,
)
from earful.testing import write_flamingo, write_hub_checkpoint

MSCLAP = "clapcap_weights_2023.pth"


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hub_checkpoint(tmp_path_factory.mktemp("released"))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two layers instead of 24, for what does not depend on the number of names."""
    return write_hub_checkpoint(tmp_path_factory.mktemp("small"), n_layers=2, parts=1)


@pytest.fixture
def copy(small: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small, tmp_path / "copy"))


def convert(source: Path, folder: Path, **options: Any) -> ConversionReport:
    options = {"checkpoint": source, "dtype": "float32", "tokenizer": source, **options}
    return convert_flamingo(msclap=options.pop("msclap", source / MSCLAP), folder=folder, **options)


def edit(path: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    loaded = torch.load(path, weights_only=True)
    change(loaded["model_state_dict"])
    torch.save(loaded, path)


def digests(folder: Path) -> dict[str, str]:
    """What makes a folder the same model: all but where it came from."""
    told = dict(open_flamingo_folder(folder).digests)
    del told["config.json"]
    return told


def test_five_parts_become_one_folder(released: Path, tmp_path: Path) -> None:
    told: list[str] = []
    report = convert(released, tmp_path / "out", progress=told.append)
    assert (report.variant, report.n_tensors, report.n_copies) == ("foundation", 690, 649)
    assert report.notes == ()
    assert [source.file for source in report.sources] == [
        *(f"foundation_part{n}.pt" for n in range(1, 6)),
        MSCLAP,
    ]
    assert "converting foundation_part5.pt" in told
    assert verify_flamingo_folder(tmp_path / "out") == ()
    # The same weights, written without the detour.
    direct = write_flamingo(tmp_path / "direct", n_layers=24)
    assert digests(tmp_path / "out") == digests(direct)


@pytest.mark.slow
@settings(max_examples=5)
@given(cuts=st.lists(st.integers(1, 1339), max_size=6, unique=True), seed=st.randoms())
def test_any_split_in_any_order_gives_the_same_bytes(
    released: Path, tmp_path_factory: pytest.TempPathFactory, cuts: list[int], seed: Any
) -> None:
    state: dict[str, Tensor] = {}
    for n in range(1, 6):
        part = torch.load(released / f"foundation_part{n}.pt", weights_only=True)
        state |= part["model_state_dict"]
    folder = tmp_path_factory.mktemp("split")
    names = list(state)
    bounds = [0, *sorted(cuts), len(names)]
    paths = []
    for number, (start, stop) in enumerate(pairwise(bounds)):
        paths.append(folder / f"piece{number}.pt")
        chosen = {name: state[name].clone() for name in names[start:stop]}
        torch.save({"model_state_dict": chosen}, paths[-1])
    seed.shuffle(paths)
    convert(released, folder / "out", checkpoint=paths, variant="foundation", tokenizer=released)
    direct = write_flamingo(folder / "direct", n_layers=24)
    assert digests(folder / "out") == digests(direct)


def test_wrappers_in_names_are_taken_off(copy: Path, small: Path, tmp_path: Path) -> None:
    def wrap(state: dict[str, Tensor]) -> None:
        for name in list(state):
            state[name.replace("lang_encoder.", "lang_encoder.module.")] = state.pop(name)

    edit(copy / "foundation.pt", wrap)
    convert(copy, tmp_path / "wrapped")
    convert(small, tmp_path / "plain")
    assert digests(tmp_path / "wrapped") == digests(tmp_path / "plain")


def saved_by_training(state: dict[str, Tensor], path: Path) -> None:
    """Parameters with attributes, in a dict that carries versions, as sharded training saves."""
    mapping: OrderedDict[str, Tensor] = OrderedDict()
    for name, tensor in state.items():
        mapping[name] = torch.nn.Parameter(tensor.clone()) if "fc1" in name else tensor.clone()
        setattr(mapping[name], "shard", 0)  # noqa: B010 - a tensor declares no such attribute
    setattr(mapping, "_metadata", {"": {"version": 1}})  # noqa: B010
    torch.save({"model_state_dict": mapping}, path)


def saved_long_ago(state: dict[str, Tensor], path: Path) -> None:
    torch.save({"model_state_dict": state}, path, _use_new_zipfile_serialization=False)


@pytest.mark.slow
@pytest.mark.parametrize("save", [saved_by_training, saved_long_ago])
def test_other_ways_to_save_are_read(
    copy: Path, small: Path, tmp_path: Path, save: Callable[[dict[str, Tensor], Path], None]
) -> None:
    path = copy / "foundation.pt"
    save(torch.load(path, weights_only=True)["model_state_dict"], path)
    convert(copy, tmp_path / "saved")
    convert(small, tmp_path / "plain")
    assert digests(tmp_path / "saved") == digests(tmp_path / "plain")


def test_half_the_precision_half_the_size(small: Path, tmp_path: Path) -> None:
    convert(small, tmp_path / "half", dtype="bfloat16")
    opened = open_flamingo_folder(tmp_path / "half")
    assert opened.dtype == "bfloat16"
    assert opened.load_model(device="cpu").dtype == torch.bfloat16
    assert opened.load_model(device="cpu", dtype="float32").dtype == torch.float32
    assert opened.load_encoder(device="cpu").norm.weight.dtype == torch.float32
    with pytest.raises(ModelError, match="dtype 'int8'"):
        opened.load_model(dtype="int8")


# --- copies -----------------------------------------------------------------------------


def test_the_copies_win_where_they_differ_and_it_is_said(copy: Path, tmp_path: Path) -> None:
    name = "lang_encoder.old_decoder_blocks.1.fc1.weight"
    edit(copy / "foundation.pt", lambda state: state[name].fill_(3.0))
    report = convert(copy, tmp_path / "out")
    (note,) = report.notes
    assert note.startswith("1 tensors differ from their copies")
    assert "layers.1.decoder_layer.fc1.weight" in note
    model = open_flamingo_folder(tmp_path / "out").load_model(device="cpu")
    assert bool((model.state_dict()["decoder.layers.1.feed_forward.0.weight"] == 3.0).all())


def test_the_output_table_serves_both_unless_asked(copy: Path, tmp_path: Path) -> None:
    name = "lang_encoder.model.decoder.embed_tokens.weight"
    edit(copy / "foundation.pt", lambda state: state[name].fill_(0.5))
    tied = convert(copy, tmp_path / "tied")
    assert tied.notes == (
        "input and output tables differ; the output table serves both, as in the release",
    )
    model = open_flamingo_folder(tmp_path / "tied").load_model(device="cpu")
    assert not bool((model.decoder.embed_tokens.weight == 0.5).any())
    untied = convert(copy, tmp_path / "untied", untied=True)
    assert "both are kept" in untied.notes[0]
    model = open_flamingo_folder(tmp_path / "untied").load_model(device="cpu")
    assert bool((model.decoder.embed_tokens.weight == 0.5).all())
    assert not bool((model.lm_head.weight == 0.5).any())
    assert untied.n_tensors == tied.n_tensors + 1


def test_numbers_too_large_for_the_dtype_are_said(copy: Path, tmp_path: Path) -> None:
    name = "lang_encoder.lm_head.weight"
    edit(copy / "foundation.pt", lambda state: state[name].mul_(1e6))
    *_, note = convert(copy, tmp_path / "half", dtype="float16").notes
    assert note == "1 tensors hold values that are no finite float16: decoder.embed_tokens.weight"
    assert len(convert(copy, tmp_path / "wide", dtype="bfloat16").notes) == 1


def test_another_table_of_positions_is_said(copy: Path, tmp_path: Path) -> None:
    name = "audio_transformer.position_enc.pos_table"
    edit(copy / "foundation.pt", lambda state: state[name].add_(0.01))
    (note,) = convert(copy, tmp_path / "out").notes
    assert "differs from the published formula by 1.0e-02" in note


# --- what is refused --------------------------------------------------------------------


def refuse(source: Path, folder: Path, match: str, **options: Any) -> None:
    with pytest.raises(ModelError, match=match):
        convert(source, folder, **options)
    assert not folder.exists()
    assert not list(folder.parent.glob(".*partial"))


@pytest.mark.parametrize("missing", [1, 3, 5])
def test_a_missing_part_is_named(released: Path, tmp_path: Path, missing: int) -> None:
    parts = [released / f"foundation_part{n}.pt" for n in range(1, 6) if n != missing]
    wanted = rf"1 of 5 parts are missing: foundation_part{missing}.pt"
    refuse(released, tmp_path / "out", wanted, checkpoint=parts)


def test_a_part_given_twice_is_refused(released: Path, tmp_path: Path) -> None:
    part = released / "foundation_part2.pt"
    refuse(released, tmp_path / "out", "given twice", checkpoint=[part, part])
    other = Path(shutil.copy(part, tmp_path / "again.pt"))
    wanted = r"both hold lang_encoder\.model.*expected each part once"
    refuse(released, tmp_path / "out", wanted, checkpoint=[part, other], variant="foundation")


def damaged(path: Path) -> Iterator[tuple[str, str]]:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    yield "truncated", "is cut short or damaged"
    path.write_bytes(b"")
    yield "empty", "is empty"
    path.write_bytes(b"<!DOCTYPE html><html>404</html>")
    yield "page", "is a web page"
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    yield "pointer", "is a Git LFS pointer"
    path.write_bytes(b"\x00\x01\x02\x03" * 100)
    yield "noise", "is no torch checkpoint"
    save_file({"model": torch.zeros(1)}, path)
    yield "safetensors", "is no torch checkpoint"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "no tensors")
    yield "archive", "is cut short or damaged"
    torch.save({"state": {}}, path)
    yield "foreign", "has no 'model"
    path.write_bytes(pickle.dumps({"model_state_dict": Path("x")}))
    yield "pickle", "is no torch checkpoint"
    torch.save({"model_state_dict": Path("x"), "model": Path("x")}, path)
    yield "code", "holds more than tensors and is not opened"


@pytest.mark.parametrize("file", ["foundation.pt", MSCLAP])
def test_a_wrong_truncated_or_foreign_file_is_told_apart(
    copy: Path, tmp_path: Path, file: str
) -> None:
    for _, match in damaged(copy / file):
        refuse(copy, tmp_path / "out", rf"{file}: ({match})")


def test_another_models_names_are_listed(copy: Path, tmp_path: Path) -> None:
    llama = {f"model.layers.{n}.self_attn.q_proj.weight": torch.zeros(2, 2) for n in range(3)}
    torch.save({"model_state_dict": llama}, copy / "foundation.pt")
    refuse(copy, tmp_path / "out", "not an Audio Flamingo v1.*it has 0.*it lacks audio_tr")


def test_missing_and_unexpected_names_are_listed(copy: Path, tmp_path: Path) -> None:
    def change(state: dict[str, Tensor]) -> None:
        del state["audio_transformer.layer_norm.bias"]
        state["clap.extra"] = torch.zeros(1)

    edit(copy / "foundation.pt", change)
    wanted = (
        r"1 names are missing: audio_transformer\.layer_norm\.bias; "
        r"1 names are unexpected: clap\.extra"
    )
    refuse(copy, tmp_path / "out", wanted)


def test_quantised_weights_are_refused(copy: Path, tmp_path: Path) -> None:
    name = "lang_encoder.old_decoder_blocks.0.fc2.weight"
    edit(copy / "foundation.pt", lambda state: state.update({name: state[name].to(torch.int8)}))
    refuse(copy, tmp_path / "out", r"0\.fc2\.weight is no floating-point tensor")


def test_parts_of_two_checkpoints_are_not_mixed(released: Path, tmp_path: Path) -> None:
    """Their names and shapes are the same: only the files' names tell."""
    parts = [released / f"foundation_part{n}.pt" for n in range(1, 5)]
    parts.append(Path(shutil.copy(released / "foundation_part5.pt", tmp_path / "chat_part5.pt")))
    for variant in (None, "foundation", "chat"):
        wanted = r"part4\.pt and chat_part5\.pt belong to two checkpoints"
        refuse(released, tmp_path / "out", wanted, checkpoint=parts, variant=variant)
    wanted = r"foundation_part4\.pt is not chat by its name"
    refuse(released, tmp_path / "out", wanted, checkpoint=parts[:4], variant="chat")


def test_a_wrong_shape_is_named_with_the_right_one(copy: Path, tmp_path: Path) -> None:
    name = "lang_encoder.gated_cross_attn_layers.0.attn.to_kv.weight"
    edit(copy / "foundation.pt", lambda state: state.update({name: torch.zeros(3, 16)}))
    refuse(copy, tmp_path / "out", r"to_kv\.weight is \(3, 16\), expected \(64, 16\)")


def test_msclap_of_another_kind_is_refused(copy: Path, tmp_path: Path) -> None:
    loaded = torch.load(copy / MSCLAP, weights_only=True)
    loaded["model"]["audio_encoder.weight"] = torch.zeros(1)
    torch.save(loaded, copy / MSCLAP)
    refuse(copy, tmp_path / "out", r"audio_encoder\.weight does not belong to MS-CLAP's captioning")
    refuse(copy, tmp_path / "out", "no such file; expected clapcap", msclap=tmp_path / "none.pth")


def test_a_folder_says_what_it_lacks(small: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refuse(small, tmp_path / "out", "holds no checkpoint", checkpoint=tmp_path / "empty")
    for name in ("foundation.pt", "chat.pt"):
        shutil.copy(small / "foundation.pt", tmp_path / "empty" / name)
    wanted = "holds foundation and chat; give the variant"
    refuse(small, tmp_path / "out", wanted, checkpoint=tmp_path / "empty")
    report = convert(
        small, tmp_path / "chat", checkpoint=tmp_path / "empty", variant="chat", tokenizer=small
    )
    assert report.variant == "chat"
    refuse(small, tmp_path / "out", "no such file", checkpoint=tmp_path / "none.pt")
    renamed = Path(shutil.copy(small / "foundation.pt", tmp_path / "mine.pt"))
    refuse(small, tmp_path / "out", "does not tell foundation from chat", checkpoint=renamed)


def test_a_tokenizer_of_another_model_is_refused(copy: Path, tmp_path: Path) -> None:
    vocabulary = copy / "vocab.json"
    vocabulary.write_text(json.dumps({**json.loads(vocabulary.read_text()), "more": 260}))
    refuse(copy, tmp_path / "out", "the tokenizer does not fit the weights")
    vocabulary.write_text("{}")
    refuse(copy, tmp_path / "out", "tokenizer")
    vocabulary.unlink()
    refuse(copy, tmp_path / "out", r"expected vocab\.json and merges\.txt")


def test_somebody_elses_folder_is_left_alone(small: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    with pytest.raises(ModelError, match="holds something else"):
        convert(small, tmp_path / "out")
    assert (tmp_path / "out" / "thesis.txt").read_text() == "years of work"
    convert(small, tmp_path / "mine")
    convert(small, tmp_path / "mine", dtype="bfloat16")
    assert open_flamingo_folder(tmp_path / "mine").dtype == "bfloat16"
