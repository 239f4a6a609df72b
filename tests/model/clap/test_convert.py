"""Conversion of LAION-CLAP checkpoints that are pickles."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from earful.errors import ModelError
from earful.files import hold_partial
from earful.model.audio import AudioLimits, file_sha256
from earful.model.clap import checkpoint, convert_clap, load_clap
from tests.support.clap_folders import SENTENCES, byte_tokenizer, noise, save_folder, save_original

pytest.importorskip("transformers")
# Importing transformers takes longer than most tests.
pytestmark = pytest.mark.slow


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
            r"norm\.weight has shape \(7,\), expected \(32,\)",
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
    held.release()
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
