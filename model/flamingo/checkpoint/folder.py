"""The folder of a converted Audio Flamingo: opened, verified and loaded.

::

    flamingo/
        config.json                     sizes, variant, licence, source files
        model-00001-of-00003.safetensors  …  with model.safetensors.index.json beside
        encoder.safetensors             MS-CLAP's audio encoder, float32
        tokenizer.json
        digests.json                    SHA-256 of every file above

``writer`` writes it; it is read memory-mapped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from earful.errors import ModelError
from earful.model.encoders import MsClapConfig, MsClapEncoder
from earful.model.flamingo.config import FlamingoConfig
from earful.model.flamingo.decoding import Mode
from earful.model.flamingo.language_model import VARIANTS, FlamingoLanguageModel, Variant
from earful.model.flamingo.network import Flamingo
from earful.model.flamingo.tokenizer import Control, FlamingoTokenizer
from earful.model.flamingo.torch_decoding import TorchFlamingo
from earful.model.flamingo.window_encoders import MsClapWindows
from earful.model.runtime import (
    find_changed_files,
    find_tensor_faults,
    models_home,
    pick_device,
    read_json,
    shapes_of,
    without_weights,
)
from earful.wording import as_argument

FORMAT = "earful-flamingo"
FORMAT_VERSION = 1
CONFIG_NAME = "config.json"
DIGESTS_NAME = "digests.json"
MODEL_NAMES = ("audio-flamingo-foundation", "audio-flamingo-chat")

ENCODER_NAME = "encoder.safetensors"
TOKENIZER_NAME = "tokenizer.json"
SHARDS_NAME = "model.safetensors.index.json"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, slots=True, kw_only=True)
class FlamingoFolder:
    """A converted model's folder, opened for reading.

    Attributes:
        path: The folder.
        config: Sizes of the language model.
        encoder_config: Sizes of the window encoder.
        variant: Which of the two checkpoints it is.
        dtype: Type of the stored weights.
        licence: Permitted use of the weights.
        digests: SHA-256 of every file.
    """

    path: Path
    config: FlamingoConfig
    encoder_config: MsClapConfig
    variant: Variant
    dtype: str
    licence: str
    digests: Mapping[str, str]

    @property
    def weights_sha256(self) -> str:
        """Hex SHA-256 over the digests of all files."""
        encoded = json.dumps(dict(sorted(self.digests.items())), separators=(",", ":"))
        return hashlib.sha256(encoded.encode()).hexdigest()

    def changes(self, progress: Callable[[str], None] | None = None) -> list[str]:
        """Compare every file with its digest; describe those that differ.

        Args:
            progress: Called with each file's name, in order, before waiting for it.
        """
        changes = find_changed_files(self.path, self.digests, progress=progress)
        return [f"{name} {change}" for name, change in changes.items()]

    def load_model(self, *, device: str = "auto", dtype: str = "auto") -> Flamingo:
        """Load the language model, one copy of the weights at a time.

        Raises:
            ModelError: A shard is missing or damaged, or holds the wrong tensors.
        """
        target = _dtype(self.dtype if dtype == "auto" else dtype)
        with without_weights():
            model = Flamingo(self.config)
        place = pick_device(device)
        state: dict[str, Tensor] = {}
        for shard in sorted(set(self._weight_map().values())):
            for name, tensor in _read(self.path / shard, str(place)):
                state[name] = tensor.to(target)
        _assign(model, state, self.path)
        return model.eval().requires_grad_(False)

    def load_encoder(self, *, device: str = "auto") -> MsClapEncoder:
        """Load the window encoder, in float32, packed for its device.

        Raises:
            ModelError: Its file is missing or damaged, or holds the wrong tensors.
        """
        with without_weights():
            encoder = MsClapEncoder(self.encoder_config)
        _assign(encoder, dict(_read(self.path / ENCODER_NAME, "cpu")), self.path)
        encoder.to(pick_device(device)).eval().requires_grad_(False)
        encoder.pack()
        return encoder

    def load_tokenizer(self) -> FlamingoTokenizer:
        """Load the tokenizer.

        Raises:
            ModelError: It is missing, damaged, or does not fit the model.
        """
        tokenizer = FlamingoTokenizer.load(self.path / TOKENIZER_NAME)
        check_tokenizer(tokenizer, self.config)
        return tokenizer

    def _weight_map(self) -> dict[str, str]:
        table = read_json(self.path / SHARDS_NAME).get("weight_map")
        if not isinstance(table, dict) or not table:
            raise ModelError(f"{self.path / SHARDS_NAME}: has no weight_map; convert it again")
        return {str(name): Path(str(shard)).name for name, shard in table.items()}


def open_flamingo_folder(folder: Path) -> FlamingoFolder:
    """Read a folder's description, without its weights.

    Raises:
        ModelError: The folder is missing, something else, damaged, or of a newer format.
    """
    path = folder / CONFIG_NAME
    if not path.is_file():
        if old_folder(folder).is_dir():
            raise ModelError(
                f"{folder}: a conversion was stopped while it was replacing this folder; run it "
                f"again, or rename {old_folder(folder)}, which is the old folder"
            )
        raise ModelError(
            f"{folder}: has no {CONFIG_NAME}; expected a folder made by `earful models convert` or "
            "`earful models pull`"
        )
    values = read_json(path)
    if values.get("format") != FORMAT:
        raise ModelError(
            f"{path}: format is {values.get('format')!r}, expected {FORMAT!r}: a folder made by "
            "`earful models convert`"
        )
    version = values.get("format_version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise ModelError(
            f"{path}: format_version is {version}, expected at most {FORMAT_VERSION}; upgrade "
            "earful"
        )
    variant = values.get("variant")
    if variant not in VARIANTS:
        raise ModelError(f"{path}: variant is {variant!r}, expected {' or '.join(VARIANTS)}")
    dtype = values.get("dtype")
    if dtype not in DTYPES:
        raise ModelError(f"{path}: dtype is {dtype!r}, expected {', '.join(DTYPES)}")
    try:
        config = FlamingoConfig.from_dict(values.get("flamingo"))
        encoder_config = MsClapConfig.from_dict(values.get("encoder"))
    except ModelError as error:
        raise ModelError(f"{path}: {error}; convert the model again") from error
    return FlamingoFolder(
        path=folder,
        config=config,
        encoder_config=encoder_config,
        variant=variant,
        dtype=str(dtype),
        licence=str(values.get("licence", "")),
        digests={n: str(d) for n, d in read_json(folder / DIGESTS_NAME).items()},
    )


def verify_flamingo_folder(
    folder: Path, *, progress: Callable[[str], None] | None = None
) -> tuple[str, ...]:
    """Compare every file with its digest; describe files that differ or do not belong there.

    Args:
        folder: A converted model.
        progress: Called with each file's name, in order, before waiting for it.

    Raises:
        ModelError: The folder is not a converted model.
    """
    opened = open_flamingo_folder(folder)
    problems = opened.changes(progress)
    known = {*opened.digests, DIGESTS_NAME}
    problems += [
        f"{path.name} does not belong to it"
        for path in sorted(folder.iterdir())
        if path.name not in known
    ]
    return tuple(problems)


def old_folder(folder: Path) -> Path:
    """Return the name that a folder has for the moment in which another replaces it."""
    whole = folder.resolve()
    return whole.with_name(f".{whole.name}.old")


def find_flamingo(name: str) -> Path:
    """Return the folder that a name or a path refers to.

    Raises:
        ModelError: A name's folder has not been fetched.
    """
    if name not in MODEL_NAMES:
        return Path(name)
    folder = models_home() / name
    if not folder.is_dir() and not old_folder(folder).is_dir():
        raise ModelError(
            f"{name} is not in {models_home()}; fetch it with `earful models pull {name}`, or "
            "give the folder of a converted one"
        )
    return folder


def load_flamingo(
    name: str,
    *,
    device: str = "auto",
    dtype: str = "auto",
    decoding: str = "full",
    slots: int | None = None,
) -> FlamingoLanguageModel:
    """Load Audio Flamingo from a folder, or by the name under which it was fetched.

    Args:
        name: One of ``MODEL_NAMES``, or a folder.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
        dtype: ``"float32"``, ``"bfloat16"``, ``"float16"``, or ``"auto"`` as stored.
        decoding: ``"full"`` or ``"compat"``; see ``flamingo.decoding``.
        slots: Places for audio; see ``FlamingoLanguageModel``.

    Raises:
        ModelError: The folder is missing or damaged, or a choice is unknown.
    """
    if decoding not in get_args(Mode):
        raise ModelError(f"decoding {decoding!r}, expected {' or '.join(get_args(Mode))}")
    opened = open_flamingo_folder(find_flamingo(name))
    # Its features and scores are cached under these digests, so they must be right.
    if changes := opened.changes():
        raise ModelError(f"{opened.path}: {'; '.join(changes)}. Convert or fetch the model again")
    model = opened.load_model(device=device, dtype=dtype)
    weight = next(model.parameters())
    return FlamingoLanguageModel(
        network=TorchFlamingo(model),
        encoder=MsClapWindows(
            opened.load_encoder(device=device),
            sha256=opened.digests.get(ENCODER_NAME, ""),
            decoding=cast(Mode, decoding),
        ),
        tokenizer=opened.load_tokenizer(),
        name=name,
        variant=opened.variant,
        weights_sha256=opened.weights_sha256,
        arithmetic=f"{str(weight.dtype).removeprefix('torch.')}, {weight.device.type}",
        decoding=cast(Mode, decoding),
        slots=slots,
        licence=opened.licence,
    )


def _dtype(name: str) -> torch.dtype:
    if name not in DTYPES:
        raise ModelError(f"dtype {name!r}, expected auto, {', '.join(DTYPES)}")
    return DTYPES[name]


def _read(path: Path, device: str) -> list[tuple[str, Tensor]]:
    try:
        with safe_open(path, framework="pt", device=device) as file:
            return [(name, file.get_tensor(name)) for name in file.keys()]  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"{path}: cannot be read ({error}); `earful models verify "
            f"{as_argument(path.parent)}` lists all faults, and a new conversion repairs them"
        ) from error


def _assign(module: torch.nn.Module, state: dict[str, Tensor], folder: Path) -> None:
    if faults := find_tensor_faults(shapes_of(module.state_dict()), shapes_of(state)):
        raise ModelError(
            f"{folder}: {len(faults)} tensors are wrong, such as: {faults[0]}; convert it again"
        )
    module.load_state_dict(state, assign=True)


def check_tokenizer(tokenizer: FlamingoTokenizer, config: FlamingoConfig) -> None:
    """Refuse a tokenizer whose control tokens are not the model's.

    Raises:
        ModelError: A control token has another id.
    """
    found = {control: tokenizer.id_of(control) for control in Control}
    expected = {
        Control.PAD: config.pad_id,
        Control.END_OF_TEXT: config.bos_id,
        Control.AUDIO: config.audio_id,
        Control.END_OF_CHUNK: config.end_of_chunk_id,
        Control.SEPARATOR: config.separator_id,
    }
    wrong = [
        f"{control.value} is {found[control]}, expected {expected[control]}"
        for control in Control
        if found[control] != expected[control]
    ]
    if wrong:
        raise ModelError(
            f"the tokenizer does not fit the weights: {'; '.join(wrong)}. Use vocab.json and "
            "merges.txt of facebook/opt-iml-max-1.3b"
        )
