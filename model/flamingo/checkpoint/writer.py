"""Writer of a converted Audio Flamingo: tensor by tensor, whole or not at all.

::

    models/flamingo             the old folder, until the new one is whole and on the disk
    models/.flamingo.partial    the new one while it grows, locked by its writer
    models/.flamingo.old        the old folder, whole, for the moment between two renames

If the process is killed between those renames, no folder has the name: the next conversion
begins by putting the old folder back.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Self, get_args

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from earful.errors import ModelError
from earful.files import empty_folder, hold_partial
from earful.model.encoders import MsClapConfig
from earful.model.flamingo.checkpoint.folder import (
    CONFIG_NAME,
    DIGESTS_NAME,
    DTYPES,
    ENCODER_NAME,
    FORMAT,
    FORMAT_VERSION,
    SHARDS_NAME,
    TOKENIZER_NAME,
    check_tokenizer,
    old_folder,
)
from earful.model.flamingo.config import FlamingoConfig
from earful.model.flamingo.language_model import Variant
from earful.model.flamingo.tokenizer import FlamingoTokenizer
from earful.model.runtime import read_json, sha256_of, write_json
from earful.system import FileLock, replace_file, replace_folder, sync_file, sync_folder

Dtype = Literal["float32", "bfloat16", "float16"]
DTYPE_NAMES: tuple[Dtype, ...] = get_args(Dtype)

_SHARD_BYTES = 1 << 30
_OURS = re.compile(
    rf"{CONFIG_NAME}|{DIGESTS_NAME}|{ENCODER_NAME}|{TOKENIZER_NAME}|{SHARDS_NAME}|model-.*\.safetensors"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Name, digest and size of a file from which a folder was made."""

    file: str
    sha256: str
    n_bytes: int


class FolderWriter:
    """Writer of a folder, tensor by tensor, holding one shard in memory at a time.

    Args:
        folder: Folder to write; an old conversion there is replaced.
        dtype: Type of the language model's weights.

    Attributes:
        not_finite: Names of tensors that hold an infinity or NaN, in that dtype.

    Raises:
        ModelError: The dtype is unknown. On entering: the folder holds something else, cannot
            be written, or is being written by another process.
    """

    def __init__(self, folder: Path, *, dtype: Dtype) -> None:
        if dtype not in DTYPES:
            raise ModelError(f"dtype {dtype!r}, expected {', '.join(DTYPES)}")
        self._folder = folder.resolve()  # a resolved path has a name even if "." was given
        self._partial = self._folder.with_name(f".{self._folder.name}.partial")
        self._old = old_folder(self._folder)
        self._lock: FileLock | None = None
        self.not_finite: list[str] = []
        self._dtype = dtype
        self._shard: dict[str, Tensor] = {}
        self._shards: list[dict[str, int]] = []

    def __enter__(self) -> Self:
        """Begin; at the end, an unfinished folder is removed."""
        _refuse_foreign(self._folder)
        with self._writing():
            self._lock = hold_partial(self._partial, self._folder)
            if self._old.exists():
                # A writer was killed after the first rename, or after the second.
                is_gone = self._folder.exists()
                replace_folder(self._old, self._partial / "old" if is_gone else self._folder)
                empty_folder(self._partial)
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._partial, ignore_errors=True)
        if self._lock is not None:
            self._lock.release()

    def add(self, name: str, tensor: Tensor) -> None:
        """Add a tensor under one of our names; it is copied in the folder's dtype.

        Raises:
            ModelError: The shard cannot be written.
        """
        kept = tensor.detach().to(DTYPES[self._dtype]).contiguous().clone()
        if not bool(torch.isfinite(kept).all()):
            self.not_finite.append(name)
        self._shard[name] = kept
        if sum(part.numel() * part.element_size() for part in self._shard.values()) >= _SHARD_BYTES:
            with self._writing():
                self._flush()

    def finish(
        self,
        *,
        config: FlamingoConfig,
        encoder_config: MsClapConfig,
        encoder: Mapping[str, Tensor],
        tokenizer: FlamingoTokenizer,
        variant: Variant,
        licence: str,
        sources: tuple[Source, ...],
    ) -> None:
        """Write the rest, and move the folder to its place.

        Raises:
            ModelError: The tokenizer does not fit the model, or the folder cannot be written.
        """
        check_tokenizer(tokenizer, config)
        with self._writing():
            self._flush()
            self._name_shards()
            save_file(
                {name: tensor.contiguous() for name, tensor in encoder.items()},
                self._partial / ENCODER_NAME,
            )
            tokenizer.save(self._partial / TOKENIZER_NAME)
            write_json(
                self._partial / CONFIG_NAME,
                {
                    "format": FORMAT,
                    "format_version": FORMAT_VERSION,
                    "variant": variant,
                    "dtype": self._dtype,
                    "flamingo": config.to_dict(),
                    "encoder": encoder_config.to_dict(),
                    "licence": licence,
                    "sources": [asdict(source) for source in sources],
                },
            )
            digests = {p.name: sha256_of(p) for p in sorted(self._partial.iterdir())}
            write_json(self._partial / DIGESTS_NAME, digests)
            for name in (*digests, DIGESTS_NAME):
                sync_file(self._partial / name)
            sync_folder(self._partial)
            self._put_in_place()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, SafetensorError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ModelError(f"{self._folder}: cannot be written ({reason})") from error

    def _put_in_place(self) -> None:
        """Rename the folder, so that its name means a whole model or, for a moment, nothing."""
        if self._folder.exists():
            replace_folder(self._folder, self._old)
        try:
            replace_folder(self._partial, self._folder)
        except OSError:
            if self._old.exists():
                replace_folder(self._old, self._folder)
            raise
        if self._old.exists():
            # It is removed under the partial name: a folder called old is always whole.
            replace_folder(self._old, self._partial)
        sync_folder(self._folder.parent)

    def _flush(self) -> None:
        if self._shard:
            save_file(self._shard, self._partial / f"shard-{len(self._shards):05d}")
            self._shards.append({n: t.numel() * t.element_size() for n, t in self._shard.items()})
            self._shard = {}

    def _name_shards(self) -> None:
        """Rename the shards as a hub names them, once their number is known."""
        weight_map: dict[str, str] = {}
        for number, sizes in enumerate(self._shards):
            name = f"model-{number + 1:05d}-of-{len(self._shards):05d}.safetensors"
            replace_file(self._partial / f"shard-{number:05d}", self._partial / name)
            weight_map |= dict.fromkeys(sizes, name)
        total = sum(sum(sizes.values()) for sizes in self._shards)
        write_json(
            self._partial / SHARDS_NAME,
            {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))},
        )


def _refuse_foreign(folder: Path) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    try:
        ours = read_json(folder / CONFIG_NAME).get("format") == FORMAT
    except ModelError:
        ours = False
    if not ours:
        raise ModelError(
            f"{folder}: holds something else, expected a new folder or an old conversion"
        )
    if foreign := sorted(x.name for x in folder.iterdir() if not _OURS.fullmatch(x.name)):
        raise ModelError(
            f"{folder}: is an old conversion that also holds {foreign[0]!r}, which would be lost; "
            "move it away, or choose a new folder"
        )
