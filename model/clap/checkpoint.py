"""LAION-CLAP checkpoints: folders in the hub's layout, loaded as one strictly checked model.

A folder holds ``config.json`` and ``model.safetensors``, under the names of
``transformers``' ``ClapModel``. Nothing in it is code and nothing is unpickled: the
project's own ``.pt`` files, and folders with a ``pytorch_model.bin``, are converted once
(``convert``). ``docs/clap-checkpoints.md`` lists which file is which hub id.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from earful.errors import MissingExtraError, ModelError
from earful.model.clap.tokenizer import TOKENIZER_FILES
from earful.model.runtime import find_changed_files, read_json, sha256_of, shapes_of
from earful.wording import as_argument

if TYPE_CHECKING:
    import torch

    from earful.model.clap.towers import ClapTowers

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"
DIGESTS_NAME = "digests.json"
PICKLED_NAME = "pytorch_model.bin"
HUB_FILES = (CONFIG_NAME, "preprocessor_config.json", "processor_config.json", *TOKENIZER_FILES)
"""Files that are read from a hub folder, besides its weights."""

# Built from the configuration, not learned: a file has them or not, depending on the
# version that saved it, and their content is always the same.
DERIVED = re.compile(r"\.(position_ids|token_type_ids|relative_position_index)$")

# The fields of a configuration that describe the towers. The others (which kernels to
# fetch, which module to import, how to quantise) are not for a file to decide.
_SIZES = frozenset({"projection_dim", "projection_hidden_act"})
_AUDIO_SIZES = frozenset({
    "window_size", "num_mel_bins", "spec_size", "hidden_act", "patch_size", "patch_stride",
    "num_classes", "hidden_size", "projection_dim", "depths", "num_attention_heads",
    "enable_fusion", "fusion_type", "patch_embed_input_channels", "flatten_patch_embeds",
    "patch_embeds_hidden_size", "enable_patch_layer_norm", "qkv_bias", "mlp_ratio",
    "aff_block_r", "num_hidden_layers", "projection_hidden_act", "layer_norm_eps",
})  # fmt: skip
_TEXT_SIZES = frozenset({
    "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
    "intermediate_size", "hidden_act", "max_position_embeddings", "type_vocab_size",
    "layer_norm_eps", "projection_dim", "pad_token_id", "bos_token_id", "eos_token_id",
    "projection_hidden_act",
})  # fmt: skip


def import_transformers() -> ModuleType:
    """Import ``transformers``, or name the extra that provides it.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return importlib.import_module("transformers")
    except ImportError as error:
        raise MissingExtraError(
            f"LAION-CLAP needs {error.name or 'transformers'!r}: pip install 'earful[clap]'"
        ) from error


def weights_digest(folder: Path) -> str:
    """Return the hex SHA-256 of a folder's weights, after verifying the folder's own digests.

    A folder that ``convert_clap`` wrote has digests of all its files; one from the hub has
    none, and the index remembers the digest of its weights.

    Raises:
        ModelError: There are no weights that can be read without unpickling, or a file has
            changed since the folder was written.
    """
    if not (folder / WEIGHTS_NAME).is_file():
        raise ModelError(_no_weights(folder))
    stored = read_json(folder / DIGESTS_NAME) if (folder / DIGESTS_NAME).is_file() else {}
    digests = {name: str(digest) for name, digest in stored.items()}
    for name, change in find_changed_files(folder, digests).items():
        raise ModelError(
            f"{folder / name}: is not what it was when the folder was written (it {change}); "
            "convert the checkpoint again"
        )
    try:
        return digests.get(WEIGHTS_NAME) or sha256_of(folder / WEIGHTS_NAME)
    except OSError as error:
        raise ModelError(
            f"{folder / WEIGHTS_NAME}: cannot be read ({error.strerror}); download the folder again"
        ) from error


def load_hub_folder(folder: Path) -> ClapTowers:
    """Build the towers from a folder in the hub's layout.

    Args:
        folder: Holds ``config.json`` and ``model.safetensors``.

    Returns:
        The towers in evaluation mode, float32, on the CPU.

    Raises:
        ModelError: A file is missing, unreadable or does not fit the configuration.
        MissingExtraError: The extra ``clap`` is not installed.
    """
    config = make_config(read_sizes(folder), origin=folder / CONFIG_NAME)
    path = folder / WEIGHTS_NAME
    if not path.is_file():
        raise ModelError(_no_weights(folder))
    return build_towers(config, read_safetensors(path), origin=path)


def read_sizes(folder: Path) -> dict[str, Any]:
    """Read the sizes of the towers from a folder's configuration, and nothing else of it.

    Raises:
        ModelError: The configuration is missing, cannot be read, or is another model's.
    """
    path = folder / CONFIG_NAME
    if not path.is_file():
        raise ModelError(f"{folder}: {CONFIG_NAME} is missing, expected a CLAP folder of the hub")
    config = read_json(path)
    if (kind := config.get("model_type")) != "clap":
        raise ModelError(f"{folder}: config.json describes {kind!r}, expected 'clap'")
    sizes: dict[str, Any] = {name: config[name] for name in _SIZES & config.keys()}
    for name, known in (("audio_config", _AUDIO_SIZES), ("text_config", _TEXT_SIZES)):
        part = config.get(name) or {}
        if not isinstance(part, dict):
            raise ModelError(f"{path}: {name} is {type(part).__name__}, expected a table")
        sizes[name] = {key: part[key] for key in known & part.keys()}
    return sizes


def make_config(sizes: Mapping[str, Any], *, origin: Path) -> Any:
    """Make a ``ClapConfig``.

    Raises:
        ModelError: It does not accept a value.
        MissingExtraError: The extra ``clap`` is not installed.
    """
    transformers = import_transformers()
    try:
        return transformers.ClapConfig(**sizes)
    except Exception as error:  # its validation raises its own type, which has changed before
        reason = " ".join(str(error).split())
        raise ModelError(f"{origin}: cannot be read: {reason}") from error


def build_towers(config: Any, state: Mapping[str, torch.Tensor], *, origin: Path) -> ClapTowers:
    """Build the towers from tensors that must match those of a ``ClapModel`` exactly.

    Args:
        config: A ``ClapConfig``.
        state: Tensors by the names of ``ClapModel``.
        origin: File or folder that they came from, for errors.

    Returns:
        The towers in evaluation mode, float32, on the CPU.

    Raises:
        ModelError: A tensor is missing, left over or of another shape.
    """
    import torch

    from earful.model.clap.towers import ClapTowers
    from earful.model.runtime import find_tensor_faults, without_weights

    transformers = import_transformers()
    # Build both models without weights: random ones would cost seconds and the caller's
    # random state.
    with without_weights():
        published = transformers.ClapModel(config)
        try:
            towers = ClapTowers(published)
        except ModelError as error:
            raise ModelError(f"{origin}: {error}") from error
    # Compare names and shapes.
    expected = published.state_dict()
    learned = {name for name in expected if not DERIVED.search(name)}
    given = {name: tensor for name, tensor in state.items() if not DERIVED.search(name)}
    # torch below 0.4.1 saved no batch counter, and evaluation does not read it.
    for name in learned - given.keys():
        if name.endswith(".num_batches_tracked"):
            given[name] = torch.zeros((), dtype=torch.int64)
    if problems := find_tensor_faults(
        shapes_of({name: expected[name] for name in learned}), shapes_of(given)
    ):
        raise ModelError(
            f"{origin}: {len(problems)} tensors do not fit its LAION-CLAP architecture: "
            f"{'; '.join(problems)}. Use a file of HTSAT and RoBERTa towers, unchanged"
        )
    # Load the tensors, and compute those that are not learned.
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


def read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """Read tensors by name.

    Raises:
        ModelError: The file cannot be read, or is not a safetensors file.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelError(
            f"{path}: cannot be opened as weights: {error}; download or convert it again"
        ) from error


def _no_weights(folder: Path) -> str:
    if (folder / PICKLED_NAME).is_file():
        return (
            f"{folder}: its weights are a pickle ({PICKLED_NAME}), which is never opened here; "
            f"convert it: `earful models convert-clap {as_argument(folder)} --out DIR`"
        )
    return f"{folder}: no weights found, expected {WEIGHTS_NAME}; download the whole folder again"
