"""Conversion of pickled LAION-CLAP checkpoints, once, into a folder without pickles.

Two kinds exist. The project's own is a training checkpoint, one ``.pt`` file with names of
its own, in which only the shapes show the architecture. The hub's is a folder whose weights
are ``pytorch_model.bin``. Both are read by torch's safe loader, which builds tensors and
plain values and calls nothing; from then on ``model.safetensors`` is loaded, with the
digests of all files beside it.
"""

from __future__ import annotations

import pickle
import re
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earful.errors import ModelError
from earful.files import hold_partial
from earful.model.clap.checkpoint import (
    CONFIG_NAME,
    DERIVED,
    DIGESTS_NAME,
    HUB_FILES,
    PICKLED_NAME,
    WEIGHTS_NAME,
    build_towers,
    make_config,
    read_safetensors,
    read_sizes,
)
from earful.model.clap.front_end import ClapFrontEnd, published_front_end, read_front_end
from earful.model.clap.tokenizer import TOKENIZER_FILES, find_tokenizer
from earful.model.runtime import fetch_from_hub, sha256_of, write_json
from earful.system import replace_folder, sync_file, sync_folder

if TYPE_CHECKING:
    import torch

# Parts of a training checkpoint on which no embedding depends: constants of the front
# end, attention masks, the AudioSet classifier and the second heads of the training loss.
_UNUSED = re.compile(
    r"^(audio_branch\.(spectrogram_extractor|logmel_extractor|tscam_conv|head)\."
    r"|audio_branch\.layers\.\d+\.blocks\.\d+\.attn_mask$"
    r"|(audio|text)_transform\.)"
)

_RENAMED = (
    (r"^text_branch\.", "text_model."),
    (r"^audio_branch\.bn0\.", "audio_model.audio_encoder.batch_norm."),
    (r"^audio_branch\.", "audio_model.audio_encoder."),
    (r"^(audio|text)_projection\.0\.", r"\1_projection.linear1."),
    (r"^(audio|text)_projection\.2\.", r"\1_projection.linear2."),
    (r"(\.blocks\.\d+)\.norm1\.", r"\1.layernorm_before."),
    (r"(\.blocks\.\d+)\.norm2\.", r"\1.layernorm_after."),
    (r"(\.blocks\.\d+)\.attn\.proj\.", r"\1.attention.output.dense."),
    (r"(\.blocks\.\d+)\.attn\.", r"\1.attention.self."),
    (r"(\.blocks\.\d+)\.mlp\.fc1\.", r"\1.intermediate.dense."),
    (r"(\.blocks\.\d+)\.mlp\.fc2\.", r"\1.output.dense."),
)

_FUSED_QKV = re.compile(r"^(.*\.attention\.self\.)qkv\.(weight|bias)$")
_ROBERTA_HEAD_DIM = 64  # of every published RoBERTa; the file does not show it
_ROBERTA_LAYER_NORM_EPS = 1e-5  # roberta-base; the hub's CLAP folders say 1e-12
_PATCH_STRIDE = (4, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClapConversion:
    """Result of a conversion.

    Attributes:
        folder: The folder that was written.
        source: The checkpoint that was converted.
        n_tensors: Number of tensors in the folder.
        embeds_text: Whether a tokenizer was found and copied into the folder.
    """

    folder: str
    source: str
    n_tensors: int
    embeds_text: bool

    def to_dict(self) -> dict[str, object]:
        """Return the fields as plain JSON values."""
        return asdict(self)


def convert_clap(source: str, folder: Path, *, revision: str = "") -> ClapConversion:
    """Write a checkpoint as a folder in the hub's layout, with safetensors and digests.

    Args:
        source: One of the project's ``.pt`` files, a folder in the hub's layout, or a hub
            id.
        folder: Folder to write; new, or empty.
        revision: Branch, tag or commit of a hub id; empty for its main branch.

    Raises:
        ModelError: The source cannot be found or opened safely, or is not a LAION-CLAP with
            HTSAT and RoBERTa towers; or the folder is not empty, cannot be written, or is
            being written by another process.
        MissingExtraError: The extra ``clap`` is not installed.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ModelError(f"{folder}: holds something already, expected a new folder")
    # Read the source.
    path = Path(source)
    if path.is_file():
        sizes, state = _read_original(path)
        front_end = published_front_end(fused=sizes["audio_config"]["enable_fusion"])
    else:
        if not path.is_dir():
            path = fetch_from_hub(
                source, revision=revision, files=HUB_FILES, one_of=(WEIGHTS_NAME, PICKLED_NAME)
            )
        sizes = read_sizes(path)
        state = _read_folder_weights(path)
        front_end = read_front_end(path, fused=bool(sizes["audio_config"].get("enable_fusion")))
    # Build the towers once, so that a fault is reported now rather than at first use.
    build_towers(make_config(sizes, origin=path), state, origin=path)
    kept = {name: tensor for name, tensor in state.items() if not DERIVED.search(name)}
    tokenizer = find_tokenizer(path)
    try:
        _write(folder, sizes, front_end, kept, tokenizer)
    except OSError as error:
        raise ModelError(f"{folder}: cannot be written ({error.strerror})") from error
    return ClapConversion(
        folder=str(folder),
        source=source,
        n_tensors=len(kept),
        embeds_text=tokenizer is not None,
    )


def to_hub_names(original: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Translate a training checkpoint's names into those of ``ClapModel``.

    Fused query-key-value matrices are split in three, parts on which no embedding depends
    are dropped, and a name that no rule matches is kept, for the strict check to report.

    Args:
        original: Tensors by their names, with or without a leading ``module.``.

    Returns:
        Tensors by their new names.
    """
    renamed: dict[str, torch.Tensor] = {}
    for name, tensor in original.items():
        new = name.removeprefix("module.")
        if _UNUSED.search(new):
            continue
        for pattern, replacement in _RENAMED:
            new = re.sub(pattern, replacement, new)
        if match := _FUSED_QKV.match(new):
            prefix, kind = match.groups()
            for part, value in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                renamed[f"{prefix}{part}.{kind}"] = value
        else:
            renamed[new] = tensor
    return renamed


def _infer_sizes(state: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """Read the architecture from renamed tensors: every size is a shape or a count."""

    def shape(name: str) -> tuple[int, ...]:
        return tuple(state[name].shape)

    def count(pattern: str) -> int:
        return len({found[0] for name in state if (found := re.match(pattern, name))})

    audio = "audio_model.audio_encoder."
    depths = [
        count(rf"{audio}layers\.{stage}\.blocks\.\d+\.")
        for stage in range(count(rf"{audio}layers\.\d+\."))
    ]
    bias_tables = [
        shape(f"{audio}layers.{stage}.blocks.0.attention.self.relative_position_bias_table")
        for stage in range(len(depths))
    ]
    patch = shape(audio + "patch_embed.proj.weight")
    fused = any(name.startswith(audio + "patch_embed.fusion_model.") for name in state)
    n_mels = shape(audio + "batch_norm.weight")[0]
    vocabulary, text_hidden = shape("text_model.embeddings.word_embeddings.weight")
    first_layer = "text_model.encoder.layer.0."
    return {
        "projection_dim": shape("audio_projection.linear2.weight")[0],
        "audio_config": {
            "patch_embeds_hidden_size": patch[0],
            "patch_size": patch[-1],
            "patch_stride": _PATCH_STRIDE,
            "depths": depths,
            "num_attention_heads": [table[1] for table in bias_tables],
            # A table holds (2w - 1) squared offsets between the cells of a w by w window.
            "window_size": (round(bias_tables[0][0] ** 0.5) + 1) // 2,
            "hidden_size": shape("audio_projection.linear1.weight")[1],
            "num_mel_bins": n_mels,
            "spec_size": 4 * n_mels,
            "enable_fusion": fused,
            "fusion_type": "aff_2d" if fused else None,
        },
        "text_config": {
            "vocab_size": vocabulary,
            "hidden_size": text_hidden,
            "num_hidden_layers": count(r"text_model\.encoder\.layer\.\d+\."),
            "num_attention_heads": max(1, text_hidden // _ROBERTA_HEAD_DIM),
            "intermediate_size": shape(first_layer + "intermediate.dense.weight")[0],
            "max_position_embeddings": shape("text_model.embeddings.position_embeddings.weight")[0],
            "type_vocab_size": shape("text_model.embeddings.token_type_embeddings.weight")[0],
            "layer_norm_eps": _ROBERTA_LAYER_NORM_EPS,
        },
    }


def _read_original(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return a training checkpoint's sizes, and its tensors by the names of ``ClapModel``."""
    original = read_pickle(path)
    try:
        state = to_hub_names(original)
        return _infer_sizes(state), state
    except (KeyError, IndexError, ValueError) as error:
        raise ModelError(
            f"{path}: is not a LAION-CLAP checkpoint with HTSAT and RoBERTa towers "
            f"({error}); its {len(original)} tensors begin with {', '.join(sorted(original)[:5])}"
        ) from error


def _read_folder_weights(folder: Path) -> dict[str, torch.Tensor]:
    if (folder / WEIGHTS_NAME).is_file():
        return read_safetensors(folder / WEIGHTS_NAME)
    if (folder / PICKLED_NAME).is_file():
        return read_pickle(folder / PICKLED_NAME)
    raise ModelError(f"{folder}: no weights found, expected {WEIGHTS_NAME} or {PICKLED_NAME}")


def _write(
    folder: Path,
    sizes: Mapping[str, Any],
    front_end: ClapFrontEnd,
    state: Mapping[str, torch.Tensor],
    tokenizer: Path | None,
) -> None:
    """Write a folder under another name and rename it, so that it is whole or not there."""
    from safetensors.torch import save_file

    folder = folder.resolve()  # a resolved path has a name even if "." was given
    partial = folder.with_name(f".{folder.name}.partial")
    lock = hold_partial(partial, folder)
    try:
        write_json(partial / CONFIG_NAME, {"model_type": "clap", **sizes}, sort_keys=True)
        write_json(partial / "preprocessor_config.json", front_end.to_dict(), sort_keys=True)
        # Copied, because a checkpoint's tensors may share memory.
        save_file({n: t.contiguous().clone() for n, t in state.items()}, partial / WEIGHTS_NAME)
        if tokenizer is not None:
            for name in TOKENIZER_FILES:
                if (tokenizer / name).is_file():
                    shutil.copyfile(tokenizer / name, partial / name)
        digests = {file.name: sha256_of(file) for file in sorted(partial.iterdir())}
        write_json(partial / DIGESTS_NAME, digests, sort_keys=True)
        for file in partial.iterdir():
            sync_file(file)
        sync_folder(partial)
        replace_folder(partial, folder)  # an existing folder is empty
        sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    finally:
        lock.release()


def read_pickle(path: Path) -> dict[str, torch.Tensor]:
    """Read a pickle's tensors without running any code in it.

    Raises:
        ModelError: It holds more than tensors and plain values, or is damaged.
    """
    import torch

    try:
        with torch.serialization.safe_globals(_numpy_globals()):
            # Memory-mapped, so that an optimiser's state beside the weights is never read.
            content = torch.load(
                path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
            )
    except (OSError, EOFError, ValueError, RuntimeError, pickle.UnpicklingError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ModelError(
            f"{path}: cannot be opened as weights: {reason}. Only tensors and plain values "
            "are read, never code; download the file again"
        ) from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in content.items()
    ):
        raise ModelError(f"{path}: expected a table of named tensors, got {type(content).__name__}")
    return content


def _numpy_globals() -> list[Any]:
    """List the types that checkpoints' training statistics need: NumPy's plain scalars.

    A file names NumPy's functions by the module that held them when it was written, so both
    the module before NumPy 2 and the present one are allowed.
    """
    import numpy as np
    from numpy._core.multiarray import scalar

    plain = (np.float64, np.float32, np.int64, np.int32, np.bool_)
    return [
        (scalar, "numpy.core.multiarray.scalar"),
        (scalar, "numpy._core.multiarray.scalar"),
        np.dtype,
        *(type(np.dtype(kind)) for kind in plain),
    ]
