"""Conversion of the released checkpoints of Audio Flamingo v1, once, into a folder of ours.

It reads ``foundation.pt`` or ``chat.pt``, whole or in the five parts of the code repository;
MS-CLAP's ``clapcap_weights_2023.pth``; and the tokenizer files of
``facebook/opt-iml-max-1.3b``, whose weights are not needed. Nowhere else in this package's
Flamingo are pickles opened; here it is done with torch's weights-only loader, memory-mapped
and one file at a time.
"""

from __future__ import annotations

import hashlib
import pickle
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from earful.errors import ModelError
from earful.model.encoders import MsClapConfig, from_published_names, read_config
from earful.model.flamingo.checkpoint.parameter_names import (
    INPUT_TABLE,
    POSITIONS,
    our_name,
    overriding_name,
    read_flamingo_config,
)
from earful.model.flamingo.checkpoint.writer import Dtype, FolderWriter, Source
from earful.model.flamingo.config import FlamingoConfig
from earful.model.flamingo.language_model import Variant
from earful.model.flamingo.network import position_table
from earful.model.flamingo.tokenizer import FlamingoTokenizer
from earful.model.runtime import sha256_of
from earful.plain import plain_fields

LICENCE = (
    "non-commercial research (NVIDIA's licence of Audio Flamingo, Meta's of OPT-IML, and the "
    "terms of the training data)"
)

_PART = re.compile(r"(?P<variant>foundation|chat)(_part(?P<part>\d+))?\.pt")
_N_PARTS = 5
_CLAP_PREFIX = "clap."
# Names of the captioner around MS-CLAP's encoder, which is not needed.
_CAPTIONER = ("gpt.", "clap_project.")
_LISTED = 5
_POSITION_ERROR = 1e-5
# The first bytes of files that torch wrote before 1.6; they cannot be memory-mapped.
_OLD_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    """Sizes that no tensor's shape shows; the defaults are the release's.

    Attributes:
        audio_heads: Attention heads of the audio transformer.
        n_heads: Attention heads of the decoder; ``None`` for as many as are 64 wide.
        cross_heads: Attention heads of the gated blocks.
        windows_per_audio: Windows in a slot.
    """

    audio_heads: int = 8
    n_heads: int | None = None
    cross_heads: int = 8
    windows_per_audio: int = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionReport:
    """Result of a conversion.

    Attributes:
        folder: The folder that was written.
        variant: Which of the two checkpoints it is.
        n_tensors: Tensors of the language model that were written.
        n_copies: Names of the released file that held copies of other tensors.
        notes: Remarks for the user, such as on copies that differ.
        sources: Files that were read.
        seconds: Duration of the conversion.
    """

    folder: Path
    variant: Variant
    n_tensors: int
    n_copies: int
    notes: tuple[str, ...]
    sources: tuple[Source, ...]
    seconds: float

    def to_dict(self) -> dict[str, object]:
        """Return the fields as plain JSON values."""
        return plain_fields(self)


def convert_flamingo(
    checkpoint: Path | Sequence[Path],
    *,
    msclap: Path,
    tokenizer: Path,
    folder: Path,
    variant: Variant | None = None,
    dtype: Dtype = "bfloat16",
    untied: bool = False,
    heads: Heads = Heads(),
    progress: Progress | None = None,
) -> ConversionReport:
    """Convert the released files into one folder; memory for one shard is enough.

    Args:
        checkpoint: The ``.pt`` file, all its parts, or a folder with either.
        msclap: ``clapcap_weights_2023.pth``.
        tokenizer: A folder with ``vocab.json`` and ``merges.txt``.
        folder: Folder to write.
        variant: Which checkpoint it is; ``None`` to go by the file's name.
        dtype: Type of the language model's weights; the encoder stays float32.
        untied: Whether to keep the input table apart from the output table. The release
            loads both into one weight, the output table last.
        heads: Sizes that the files do not show.
        progress: Called with a line for each step.

    Raises:
        ModelError: A file is missing, damaged, foreign or given twice, or names or shapes
            are not those of the release; they are listed.
    """
    start = time.perf_counter()
    say = progress or (lambda _line: None)
    # Check all inputs before anything is written.
    files = _parts(checkpoint, variant)
    chosen = _variant_of(files, variant)
    say(f"reading the names in {len(files)} files")
    shapes = _shapes(files)
    config = read_flamingo_config(shapes, **asdict(heads))
    words = FlamingoTokenizer.from_opt_files(tokenizer / "vocab.json", tokenizer / "merges.txt")
    say(f"reading {msclap.name}")
    encoder_config, encoder = _read_msclap(msclap)
    if encoder_config.projection_dim != config.audio_dim:
        raise ModelError(
            f"{msclap}: features of {encoder_config.projection_dim}, but the checkpoint takes "
            f"{config.audio_dim}; expected clapcap_weights_2023.pth"
        )
    if untied:
        config = FlamingoConfig.from_dict({**config.to_dict(), "tied_embeddings": False})
    # Write every tensor that counts, and compare the copies with it.
    digests: dict[str, str] = {}
    notes: list[str] = []
    with FolderWriter(folder, dtype=dtype) as writer:
        for path in files:
            say(f"converting {path.name}")
            for name, tensor in _tensors(path):
                _convert(name, tensor, writer, digests, notes, untied=untied)
        notes += _differences(digests, untied=untied)
        if writer.not_finite:
            notes.append(
                f"{len(writer.not_finite)} tensors hold values that are no finite {dtype}: "
                f"{_list(writer.not_finite)}"
            )
        say("writing digests")
        sources = tuple(
            Source(file=path.name, sha256=sha256_of(path), n_bytes=path.stat().st_size)
            for path in (*files, msclap)
        )
        writer.finish(
            config=config,
            encoder_config=encoder_config,
            encoder=encoder,
            tokenizer=words,
            variant=chosen,
            licence=LICENCE,
            sources=sources,
        )
    n_copies = sum(bool(overriding_name(name)) for name in shapes)
    return ConversionReport(
        folder=folder,
        variant=chosen,
        n_tensors=len(shapes) - n_copies - 1 + untied,
        n_copies=n_copies,
        notes=tuple(notes),
        sources=sources,
        seconds=time.perf_counter() - start,
    )


def _convert(
    name: str,
    tensor: Tensor,
    writer: FolderWriter,
    digests: dict[str, str],
    notes: list[str],
    *,
    untied: bool,
) -> None:
    """Write a tensor unless another one overrides it, and keep the digest of its content."""
    if name == POSITIONS:
        # Computed when it is needed, for any number of slots.
        difference = float((tensor[0] - position_table(*tensor.shape[1:])).abs().max())
        if difference > _POSITION_ERROR:
            notes.append(f"{name} differs from the published formula by {difference:.1e}; not kept")
        return
    if ours := our_name(name):
        is_output = untied and ours == "decoder.embed_tokens.weight"
        writer.add("lm_head.weight" if is_output else ours, tensor)
    elif untied and name == INPUT_TABLE:
        writer.add("decoder.embed_tokens.weight", tensor)
    content = tensor.detach().contiguous().view(torch.uint8).numpy()
    digests[name] = hashlib.sha256(content.data).hexdigest()


def _differences(digests: Mapping[str, str], *, untied: bool) -> list[str]:
    """Describe the copies that differ from the tensor that overrides them."""
    differing = [
        name
        for name in digests
        if (winner := overriding_name(name)) and digests[name] != digests[winner]
    ]
    notes: list[str] = []
    if INPUT_TABLE in differing:
        differing.remove(INPUT_TABLE)
        which = "both are kept" if untied else "the output table serves both, as in the release"
        notes.append(f"input and output tables differ; {which}")
    if differing:
        notes.append(
            f"{len(differing)} tensors differ from their copies, which the release loads last and "
            f"which were kept: {_list(differing)}"
        )
    return notes


def _parts(checkpoint: Path | Sequence[Path], variant: Variant | None) -> list[Path]:
    """Return the files in order, given as a folder, one file or several."""
    given = [checkpoint] if isinstance(checkpoint, Path) else list(checkpoint)
    if len(given) == 1 and given[0].is_dir():
        given = _in_folder(given[0], variant)
    for path in given:
        if not path.is_file():
            raise ModelError(f"{path}: no such file; expected foundation.pt, chat.pt or its parts")
    files = sorted(given, key=lambda path: (_part_number(path), path.name))
    for one, other in pairwise(files):
        if one.resolve() == other.resolve():
            raise ModelError(f"{one}: given twice; expected each part once")
    return files


def _in_folder(folder: Path, variant: Variant | None) -> list[Path]:
    found: dict[tuple[str, bool], list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if (match := _PART.fullmatch(path.name)) and variant in (None, match["variant"]):
            found.setdefault((match["variant"], match["part"] is not None), []).append(path)
    variants = {name for name, _ in found}
    if len(variants) > 1:
        raise ModelError(f"{folder}: holds foundation and chat; give the variant")
    if not found:
        stem = variant or "foundation"
        raise ModelError(
            f"{folder}: holds no checkpoint; expected {stem}.pt, or {stem}_part1.pt and so on"
        )
    (name,) = variants
    whole = found.get((name, False))
    return whole or found[name, True]


def _part_number(path: Path) -> int:
    match = _PART.fullmatch(path.name)
    return int(match["part"]) if match and match["part"] else 0


def _variant_of(files: Sequence[Path], variant: Variant | None) -> Variant:
    named = {found["variant"]: path for path in files if (found := _PART.fullmatch(path.name))}
    if len(named) > 1:
        names = " and ".join(path.name for path in named.values())
        raise ModelError(f"{names} belong to two checkpoints; expected the parts of one")
    for name, path in named.items():
        if variant not in (None, name):
            raise ModelError(f"{path.name} is not {variant} by its name; leave out the variant")
        return cast(Variant, name)
    if variant is not None:
        return variant
    raise ModelError(
        f"{files[0].name}: the name does not tell foundation from chat; give the variant"
    )


def _shapes(files: Sequence[Path]) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    owner: dict[str, Path] = {}
    for path in files:
        for name, tensor in _tensors(path):
            if name in owner:
                raise ModelError(
                    f"{path.name} and {owner[name].name} both hold {name}; expected each part once"
                )
            owner[name] = path
            shapes[name] = tuple(tensor.shape)
    numbers = {_part_number(path) for path in files} - {0}
    missing = sorted(set(range(1, _N_PARTS + 1)) - numbers)
    if numbers and missing and len(shapes) < 1340:
        names = ", ".join(files[-1].name.replace(str(max(numbers)), str(n)) for n in missing)
        raise ModelError(f"{len(missing)} of {_N_PARTS} parts are missing: {names}")
    return shapes


def _tensors(path: Path) -> Iterator[tuple[str, Tensor]]:
    """Yield a file's tensors, memory-mapped, by names without the wrappers' ``module.``."""
    with _opened(path) as loaded:
        state = loaded.get("model_state_dict") if isinstance(loaded, dict) else None
        if not isinstance(state, dict):
            raise ModelError(
                f"{path}: has no 'model_state_dict'; expected foundation.pt or chat.pt of "
                "nvidia/audio-flamingo, or a part of one"
            )
        for name, tensor in state.items():
            if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
                raise ModelError(
                    f"{path}: {name} is no floating-point tensor; expected an unchanged checkpoint"
                )
            yield str(name).replace("module.", ""), tensor


@contextmanager
def _opened(path: Path) -> Iterator[object]:
    """Open a pickle with the safe loader; the error for any other file says what it is."""
    try:
        with open(path, "rb") as file:
            is_old = file.read(len(_OLD_MAGIC)) == _OLD_MAGIC
        loaded: object = torch.load(path, map_location="cpu", weights_only=True, mmap=not is_old)
    except pickle.UnpicklingError as error:
        reason = str(error).strip().split("\n")[0]
        raise ModelError(
            f"{path}: holds more than tensors and is not opened ({reason}); expected an unchanged "
            "checkpoint"
        ) from error
    except (RuntimeError, OSError, EOFError, ValueError) as error:
        raise ModelError(f"{path}: {_what_is(path)}; fetch it again") from error
    yield loaded


def _what_is(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            head = file.read(64)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if not head:
        return "is empty, expected a torch checkpoint"
    if head.lstrip()[:1] == b"<":
        return "is a web page, expected a torch checkpoint"
    if head[:2] == b"PK":
        return "is cut short or damaged, expected a whole torch checkpoint"
    if head.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, expected the file it stands for"
    return "is no torch checkpoint"


def _read_msclap(path: Path) -> tuple[MsClapConfig, dict[str, Tensor]]:
    if not path.is_file():
        raise ModelError(
            f"{path}: no such file; expected clapcap_weights_2023.pth of microsoft/msclap"
        )
    with _opened(path) as loaded:
        state = loaded.get("model") if isinstance(loaded, dict) else None
        if not isinstance(state, dict):
            raise ModelError(f"{path}: has no 'model'; expected clapcap_weights_2023.pth")
        names = [str(name) for name in state]
        foreign = [n for n in names if not n.startswith((_CLAP_PREFIX, *_CAPTIONER))]
        if foreign or not any(name.startswith(_CLAP_PREFIX) for name in names):
            raise ModelError(
                f"{path}: {_list(foreign) or 'nothing'} does not belong to MS-CLAP's captioning "
                "model; expected clapcap_weights_2023.pth"
            )
        encoder = {
            name.removeprefix(_CLAP_PREFIX): tensor
            for name, tensor in state.items()
            if name.startswith(_CLAP_PREFIX)
        }
        config = read_config(encoder)
        return config, from_published_names(encoder, config)


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
