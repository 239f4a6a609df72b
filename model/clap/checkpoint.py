"""LAION-CLAP weights in the hub's layout, as one strictly checked model.

A folder holds ``config.json`` and ``model.safetensors``, under the names of
``transformers``' ``ClapModel``. Nothing in it is code and nothing is unpickled: the
project's own ``.pt`` files, and folders with a ``pytorch_model.bin``, are converted once
(``clap_convert``). ``docs/clap-checkpoints.md`` tells which file is which hub id.
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
from earful.model.runtime import find_changed_files, read_json, sha256_of
from earful.wording import as_argument

if TYPE_CHECKING:
    import torch

    from earful.model.clap.towers import ClapTowers

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"
DIGESTS_NAME = "digests.json"
PICKLED_NAME = "pytorch_model.bin"
HUB_FILES = (CONFIG_NAME, "preprocessor_config.json", "processor_config.json", *TOKENIZER_FILES)
"""What a hub folder is read for besides its weights."""

# Built from the configuration, not learned: files have them or not, depending on the
# version that saved them, and their content is the same in all.
DERIVED = re.compile(r"\.(position_ids|token_type_ids|relative_position_index)$")

# All of a configuration that says anything about the towers. The rest (which kernels to
# fetch, which module to import, how to quantise) is not for a file to say.
_SIZES = frozenset({"projection_dim", "projection_hidden_act"})
_AUDIO_SIZES = frozenset(
    {
        "window_size",
        "num_mel_bins",
        "spec_size",
        "hidden_act",
        "patch_size",
        "patch_stride",
        "num_classes",
        "hidden_size",
        "projection_dim",
        "depths",
        "num_attention_heads",
        "enable_fusion",
        "fusion_type",
        "patch_embed_input_channels",
        "flatten_patch_embeds",
        "patch_embeds_hidden_size",
        "enable_patch_layer_norm",
        "qkv_bias",
        "mlp_ratio",
        "aff_block_r",
        "num_hidden_layers",
        "projection_hidden_act",
        "layer_norm_eps",
    }
)
_TEXT_SIZES = frozenset(
    {
        "vocab_size",
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "hidden_act",
        "max_position_embeddings",
        "type_vocab_size",
        "layer_norm_eps",
        "projection_dim",
        "pad_token_id",
        "bos_token_id",
        "eos_token_id",
        "projection_hidden_act",
    }
)


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


def weights_digest(folder: Path) -> str:
    """Return the hex SHA-256 of a folder's weights, having compared what has a digest with it.

    A folder that ``convert_clap`` wrote has digests of all its files; one from the hub has
    none, and the index remembers that of its weights.

    Raises:
        ModelError: There are no weights that can be read without unpickling, or a file is
            not what it was when the folder was written.
    """
    if not (folder / WEIGHTS_NAME).is_file():
        raise ModelError(_no_weights(folder))
    told = read_json(folder / DIGESTS_NAME) if (folder / DIGESTS_NAME).is_file() else {}
    digests = {name: str(digest) for name, digest in told.items()}
    for name, what in find_changed_files(folder, digests).items():
        raise ModelError(
            f"{folder / name}: is not what it was when the folder was written (it {what}); "
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
    """Read what a folder's configuration says of its towers' sizes, and nothing else of it.

    Raises:
        ModelError: It is missing, cannot be read, or is another model's.
    """
    path = folder / CONFIG_NAME
    if not path.is_file():
        raise ModelError(f"{folder}: {CONFIG_NAME} is missing, want a CLAP folder of the hub")
    told = read_json(path)
    if told.get("model_type") != "clap":
        raise ModelError(f"{folder}: config.json describes {told.get('model_type')!r}, want 'clap'")
    sizes: dict[str, Any] = {name: told[name] for name in _SIZES & told.keys()}
    for name, known in (("audio_config", _AUDIO_SIZES), ("text_config", _TEXT_SIZES)):
        part = told.get(name) or {}
        if not isinstance(part, dict):
            raise ModelError(f"{path}: {name} is {type(part).__name__}, want a table")
        sizes[name] = {key: part[key] for key in known & part.keys()}
    return sizes


def make_config(sizes: Mapping[str, Any], *, origin: Path) -> Any:
    """Make a ``ClapConfig``.

    Raises:
        ModelError: A value is none that it takes.
        MissingExtraError: The extra ``clap`` is not installed.
    """
    transformers = import_transformers()
    try:
        return transformers.ClapConfig(**sizes)
    except Exception as error:  # its validation raises a kind of its own, which has changed
        reason = " ".join(str(error).split())
        raise ModelError(f"{origin}: cannot be read: {reason}") from error


def build_towers(config: Any, state: Mapping[str, torch.Tensor], *, origin: Path) -> ClapTowers:
    """Build the towers and fill them; every tensor must have one place in a ``ClapModel``.

    Args:
        config: A ``ClapConfig``.
        state: Tensors by the names of ``ClapModel``.
        origin: Where they came from, for errors.

    Returns:
        The towers in evaluation mode, float32, on the CPU.

    Raises:
        ModelError: A tensor is missing, left over or of another shape.
    """
    import torch

    from earful.model.clap.towers import ClapTowers
    from earful.model.runtime import without_weights

    transformers = import_transformers()
    # Random initial weights would cost seconds and the caller's random state.
    with without_weights():
        published = transformers.ClapModel(config)
        try:
            towers = ClapTowers(published)
        except ModelError as error:
            raise ModelError(f"{origin}: {error}") from error
    wanted = published.state_dict()
    learned = {name for name in wanted if not DERIVED.search(name)}
    given = {name: tensor for name, tensor in state.items() if not DERIVED.search(name)}
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


def read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """Read tensors by name.

    Raises:
        ModelError: The file cannot be read, or is no such file.
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
            f"{folder}: its weights are a pickle ({PICKLED_NAME}), which is not opened here; "
            f"convert it: `earful models convert-clap {as_argument(folder)} --out DIR`"
        )
    return f"{folder}: no weights found, want {WEIGHTS_NAME}; download the folder again, whole"
