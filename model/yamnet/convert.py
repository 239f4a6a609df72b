"""The published ``yamnet.h5``, turned once into a folder in the layout of what ships.

The file was never at hand when this was written: it was tried only on files made in its
layout, with random numbers. What comes out is compared with the weights that ship, which
came here another way.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from earful.errors import ModelError
from earful.files import hold_partial
from earful.model.runtime import (
    read_part,
    require_shapes,
    sha256_of,
    write_json,
)
from earful.model.yamnet.keras_file import fold, read_h5
from earful.model.yamnet.network import tensor_shapes
from earful.model.yamnet.weights import DESCRIPTION, NAME, read_yamnet_release
from earful.system import replace_folder, sync_file, sync_folder

WEIGHTS_NAME: Final = "yamnet.safetensors"
CLASS_MAP_NAME: Final = "yamnet_class_map.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class YamnetConversion:
    """Report of a conversion.

    Attributes:
        folder: The folder that was written.
        source_sha256: Hex SHA-256 of the file that it was made from.
        n_tensors: How many tensors it holds.
        same_as_shipped: Whether all of them are those that ship, to the last bit.
        largest_difference: The most that a number differs from the one that ships, in parts
            of its tensor's largest number.
    """

    folder: str
    source_sha256: str
    n_tensors: int
    same_as_shipped: bool
    largest_difference: float

    def to_dict(self) -> dict[str, object]:
        """Return the fields as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A table of words as a part of a release.

    Attributes:
        data: The file's bytes.
        about: What the release says of it, file name and digest among it.
    """

    data: bytes
    about: Mapping[str, object] = field(hash=False)


def shipped_words() -> Words:
    """Return the table of words that ships, for a folder of other weights.

    Raises:
        ModelError: It is missing, or not what it was at the release.
    """
    shipped = read_yamnet_release()
    return Words(data=read_part(shipped, "words", NAME), about=shipped.parts["words"])


def convert_yamnet(file: Path, folder: Path) -> YamnetConversion:
    """Fold the batch normalisation of ``yamnet.h5`` and write what ``load_yamnet`` reads.

    Args:
        file: The published file, or one in its layout.
        folder: Where to; new, or empty.

    Raises:
        ModelError: The file cannot be read, or lacks an array of YAMNet's, has another or one
            of another shape; or the folder holds something, cannot be written, or is being
            written by another process.
        MissingExtraError: The extra ``hdf5`` is not installed.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ModelError(f"{folder}: holds something already; expected a new folder")
    try:
        digest = sha256_of(file)
    except OSError as error:
        raise ModelError(f"{file}: cannot be read: {error.strerror}") from error
    tensors = fold(read_h5(file))
    shipped = read_yamnet_release()
    about = {
        "source": f"yamnet.h5 of the TensorFlow model garden, or its like, sha256 {digest}",
        "changes": "batch normalisation folded",
    }
    write_yamnet_folder(
        folder,
        tensors,
        class_map=read_part(shipped, "classes", NAME),
        release=f"h5-{digest[:12]}",
        about=about,
        words=shipped_words(),
    )
    known = load(read_part(shipped, "network", NAME))
    return YamnetConversion(
        folder=str(folder),
        source_sha256=digest,
        n_tensors=len(tensors),
        same_as_shipped=all(np.array_equal(tensors[name], known[name]) for name in known),
        largest_difference=max(_difference(tensors[name], known[name]) for name in known),
    )


def write_yamnet_folder(
    folder: Path,
    tensors: Mapping[str, NDArray[np.float32]],
    *,
    class_map: bytes,
    release: str,
    about: Mapping[str, object],
    words: Words | None = None,
) -> None:
    """Write weights, class map, words and description, as a whole or not at all.

    Equal tensors give equal bytes.

    Args:
        folder: Where to; new, or empty.
        tensors: Those of ``Network``, in float32.
        class_map: The published list of classes.
        release: What an index is told that it was made by.
        about: What else to say of the weights, such as where they come from.
        words: A table of words; without one, what is made of the folder embeds no text.

    Raises:
        ModelError: The tensors are not those of ``Network``, or the folder cannot be written or
            is being written by another process.
    """
    require_shapes(tensors, tensor_shapes(), str(folder))
    folder = folder.resolve()  # which has a name even if "." was given
    partial = folder.with_name(f".{folder.name}.partial")
    try:
        lock = hold_partial(partial, folder)
        try:
            (partial / WEIGHTS_NAME).write_bytes(save(dict(tensors)))
            (partial / CLASS_MAP_NAME).write_bytes(class_map)
            told_of_words: dict[str, object] = {}
            if words is not None:
                (partial / str(words.about["file"])).write_bytes(words.data)
                told_of_words = {"words": dict(words.about)}
            write_json(
                partial / DESCRIPTION,
                {
                    "name": NAME,
                    "release": release,
                    "licence": "Apache-2.0",
                    "parts": {
                        "network": {
                            "file": WEIGHTS_NAME,
                            "sha256": sha256_of(partial / WEIGHTS_NAME),
                            "parameters": sum(tensor.size for tensor in tensors.values()),
                            **about,
                        },
                        "classes": {
                            "file": CLASS_MAP_NAME,
                            "sha256": hashlib.sha256(class_map).hexdigest(),
                        },
                        **told_of_words,
                    },
                },
            )
            for file in partial.iterdir():
                sync_file(file)
            sync_folder(partial)
            replace_folder(partial, folder)  # if there is a folder, it is empty
            sync_folder(folder.parent)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        finally:
            lock.release()
    except OSError as error:
        raise ModelError(f"{folder}: cannot be written ({error.strerror})") from error


def _difference(found: NDArray[np.float32], known: NDArray[np.float32]) -> float:
    """Return the largest difference in parts of the largest number."""
    return float(np.abs(found - known).max() / np.abs(known).max())
