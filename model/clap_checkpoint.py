"""LAION-CLAP weights, whatever file they come in, as one strictly checked model.

Two layouts exist. The hub's is a folder: ``config.json`` plus ``model.safetensors`` or
``pytorch_model.bin``, under the names of ``transformers``' ``ClapModel``. The project's
own is a training checkpoint, one ``.pt`` file under other names, whose shapes are all
there is to say which architecture it holds. ``docs/clap-checkpoints.md`` tells which
file is which hub id.
"""

from __future__ import annotations

import importlib
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from earful.errors import MissingExtraError, ModelError

if TYPE_CHECKING:
    import torch

    from earful.model.clap_towers import ClapTowers

WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
"""Names of a hub folder's weights, the preferred one first."""

# Built from the configuration, not learned: files have them or not, depending on the
# version that saved them, and their content is the same in all.
_DERIVED = re.compile(r"\.(position_ids|token_type_ids|relative_position_index)$")

# Parts of a training checkpoint that no embedding depends on: constants of the front
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
_ROBERTA_HEAD_DIM = 64  # of every published RoBERTa, and nothing a file would tell
_ROBERTA_LAYER_NORM_EPS = 1e-5  # roberta-base; the hub's CLAP folders say 1e-12
_PATCH_STRIDE = (4, 4)


def import_transformers() -> ModuleType:
    """Import ``transformers``, or say which extra brings it.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return importlib.import_module("transformers")
    except ImportError as error:
        raise MissingExtraError(
            f"LAION-CLAP needs {error.name or 'transformers'!r}: pip install 'earful[clap]'"
        ) from error


def find_weights(folder: Path) -> Path:
    """Return the weight file of a folder in the hub's layout, safetensors before pickle.

    Raises:
        ModelError: There is none.
    """
    for name in WEIGHT_FILES:
        if (folder / name).is_file():
            return folder / name
    raise ModelError(
        f"{folder}: no weights found, want {' or '.join(WEIGHT_FILES)}; "
        "download the folder again, whole"
    )


def load_hub_folder(folder: Path) -> ClapTowers:
    """Build the towers from a folder in the hub's layout.

    Args:
        folder: Holds ``config.json`` and one of ``WEIGHT_FILES``.

    Returns:
        The towers in evaluation mode, float32, on the CPU.

    Raises:
        ModelError: A file is missing, unreadable or does not fit the configuration.
        MissingExtraError: The extra ``clap`` is not installed.
    """
    transformers = import_transformers()
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder}: config.json is missing, want a CLAP folder of the hub")
    try:
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{folder / 'config.json'}: cannot be read: {error}") from error
    if config.model_type != "clap":
        raise ModelError(f"{folder}: config.json describes {config.model_type!r}, want 'clap'")
    weights = find_weights(folder)
    return _build(config, _read_tensors(weights), origin=weights)


def load_original(path: Path) -> ClapTowers:
    """Build the towers from one of the project's ``.pt`` files.

    The architecture (HTSAT size, fused or not, text tower) is read off the shapes.

    Args:
        path: A training checkpoint or a bare dictionary of tensors.

    Returns:
        The towers in evaluation mode, float32, on the CPU.

    Raises:
        ModelError: The file cannot be opened safely, or its tensors are not those of
            an HTSAT audio tower with a RoBERTa text tower.
        MissingExtraError: The extra ``clap`` is not installed.
    """
    transformers = import_transformers()
    original = _read_tensors(path)
    try:
        state = rename(original)
        config = transformers.ClapConfig(**_infer_config(state))
    except (KeyError, IndexError, ValueError) as error:
        raise ModelError(
            f"{path}: not a LAION-CLAP checkpoint with HTSAT and RoBERTa towers "
            f"({error}); its {len(original)} tensors begin with {', '.join(sorted(original)[:5])}"
        ) from error
    return _build(config, state, origin=path)


def rename(original: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Translate a training checkpoint's names into those of ``ClapModel``.

    Fused query-key-value matrices are split in three, parts no embedding depends on are
    dropped, and a name no rule knows is passed on, for the strict check to report.

    Args:
        original: Names, with or without a leading ``module.``, to tensors.

    Returns:
        New names to tensors.
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


def _infer_config(state: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """Read the architecture off renamed tensors: every number is a shape or a count."""

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


def _build(config: Any, state: Mapping[str, torch.Tensor], *, origin: Path) -> ClapTowers:
    """Build the towers and fill them; every tensor must have one place in a ``ClapModel``."""
    import torch

    from earful.model.clap_towers import ClapTowers
    from earful.model.unfilled import unfilled

    transformers = import_transformers()
    # Random initial weights would cost seconds and the caller's random state.
    with unfilled():
        published = transformers.ClapModel(config)
        try:
            towers = ClapTowers(published)
        except ModelError as error:
            raise ModelError(f"{origin}: {error}") from error
    wanted = published.state_dict()
    learned = {name for name in wanted if not _DERIVED.search(name)}
    given = {name: tensor for name, tensor in state.items() if not _DERIVED.search(name)}
    # torch below 0.4.1 saved no batch counter, and evaluation does not read it.
    for name in learned - given.keys():
        if name.endswith(".num_batches_tracked"):
            given[name] = torch.zeros((), dtype=torch.int64)
    problems = [f"missing {name}" for name in sorted(learned - given.keys())]
    problems += [f"unexpected {name}" for name in sorted(given.keys() - learned)]
    problems += [
        f"{name} has shape {tuple(given[name].shape)}, want {tuple(wanted[name].shape)}"
        for name in sorted(learned & given.keys())
        if given[name].shape != wanted[name].shape
    ]
    if problems:
        raise ModelError(
            f"{origin}: {len(problems)} tensors do not fit its LAION-CLAP architecture: "
            f"{'; '.join(problems)}. Use a file of HTSAT and RoBERTa towers, unchanged"
        )
    given = {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in given.items()
    }
    towers.load(given)
    embeddings = towers.text_model.embeddings
    n_positions = config.text_config.max_position_embeddings
    embeddings.position_ids = torch.arange(n_positions).expand(1, -1)
    embeddings.token_type_ids = torch.zeros((1, n_positions), dtype=torch.int64)
    return towers.eval().requires_grad_(False)


def _read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read a weight file without running anything that stands in it."""
    import torch

    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        with torch.serialization.safe_globals(_numpy_globals()):
            # Mapped, an optimiser's state beside the weights is never read.
            content = torch.load(
                path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
            )
    except (OSError, EOFError, ValueError, RuntimeError, pickle.UnpicklingError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ModelError(
            f"{path}: cannot be opened as weights: {reason}. Only tensors and plain values "
            "are read, never code; download the file again, or convert it to safetensors"
        ) from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in content.items()
    ):
        raise ModelError(f"{path}: found {type(content).__name__}, want a table of named tensors")
    return content


def _numpy_globals() -> list[Any]:
    """List what the checkpoints' training statistics need: NumPy's plain scalars.

    A file names NumPy's functions by where they stood when it was written, so both the
    place before NumPy 2 and the one since are allowed.
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
