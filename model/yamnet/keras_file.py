"""The published ``yamnet.h5``: its arrays, and the tensors of ``Network`` made of them.

Keras wrote it (``research/audioset/yamnet`` of the TensorFlow model garden): an array of each
layer under the layer's name, batch normalisation beside the convolutions.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from earful.errors import MissingExtraError, ModelError
from earful.model.yamnet.network import EMBEDDING_DIM, N_CLASSES, Convolution, convolutions

if TYPE_CHECKING:
    import h5py

# Added to the variance by the original's batch normalisation, which has no gain.
EPSILON: Final = 1e-4
_LOGITS = "logits/logits"
_MOST_FAULTS = 5


def read_h5(path: Path) -> dict[str, NDArray[np.float64]]:
    """Read the arrays of a ``yamnet.h5``: exactly YAMNet's, in float64.

    Links that lead elsewhere, arrays stored in other files and compressed bombs are not
    followed: an array is read when its place, shape and type are those of YAMNet.

    Raises:
        ModelError: The file cannot be read, or its arrays are not YAMNet's.
        MissingExtraError: The extra ``hdf5`` is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError(
            "reading yamnet.h5 needs 'h5py': pip install 'earful[hdf5]'"
        ) from error
    expected = _shapes()
    try:
        with h5py.File(path, "r") as file:
            found = _arrays_of(file)
            faults = [f"missing {name}" for name in sorted(expected.keys() - found.keys())]
            faults += [f"unexpected {name}" for name in sorted(found.keys() - expected.keys())]
            faults += [
                f"{name} is {_told(found[name])}, expected numbers of shape {expected[name]}"
                for name in sorted(expected.keys() & found.keys())
                if not _is_plain(found[name], expected[name])
            ]
            if faults:
                left = len(faults) - _MOST_FAULTS
                told = faults[:_MOST_FAULTS] + ([f"{left} more"] if left > 0 else [])
                raise ModelError(f"{path}: not the published yamnet.h5: {'; '.join(told)}")
            return {name: found[name][()].astype(np.float64) for name in expected}
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ModelError(f"{path}: cannot be read as HDF5: {reason}") from error


def fold(arrays: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float32]]:
    """Return the tensors of ``Network``, in float32, batch normalisation folded in float64.

    Args:
        arrays: Those of the published file, in Keras's order of axes.

    Raises:
        ModelError: A number is not finite, or a variance below 0.
    """
    folded: dict[str, NDArray[np.float64]] = {}
    for convolution in convolutions():
        kernel, beta, mean, variance = (arrays[name] for name in _names(convolution))
        with np.errstate(invalid="ignore"):  # which is told of below
            scale = 1.0 / np.sqrt(variance + EPSILON)
        # Height, width, inputs, outputs become outputs, inputs, height, width; a depthwise
        # kernel has its channels among the inputs, and one output of each.
        axes = (2, 3, 0, 1) if convolution.is_depthwise else (3, 2, 0, 1)
        weight = kernel.transpose(axes) * scale[:, None, None, None]
        is_product = convolution.kernel_size == 1
        folded[f"{convolution.name}.weight"] = weight[:, :, 0, 0] if is_product else weight
        folded[f"{convolution.name}.bias"] = beta - mean * scale
    folded["classifier.weight"] = arrays[f"{_LOGITS}/kernel:0"].T
    folded["classifier.bias"] = arrays[f"{_LOGITS}/bias:0"]
    for name, tensor in folded.items():
        if not np.isfinite(tensor).all():
            raise ModelError(f"yamnet.h5: {name} holds NaN or infinity, expected finite numbers")
    return {name: np.ascontiguousarray(x, dtype=np.float32) for name, x in folded.items()}


def _names(convolution: Convolution) -> tuple[str, str, str, str]:
    """Return where kernel, shift, mean and variance of a convolution lie in the file."""
    kind, _, number = convolution.name.partition(".")
    # The first pair is layer 2.
    layer = "layer1/conv" if kind == "first" else f"layer{int(number) + 2}/{kind}_conv"
    kernel = "depthwise_kernel" if convolution.is_depthwise else "kernel"
    norm = f"{layer}/bn/{layer}/bn"
    return (
        f"{layer}/{layer}/{kernel}:0",
        f"{norm}/beta:0",
        f"{norm}/moving_mean:0",
        f"{norm}/moving_variance:0",
    )


def _shapes() -> dict[str, tuple[int, ...]]:
    """Return the shape of every array in the published file, by its place there."""
    shapes: dict[str, tuple[int, ...]] = {
        f"{_LOGITS}/kernel:0": (EMBEDDING_DIM, N_CLASSES),
        f"{_LOGITS}/bias:0": (N_CLASSES,),
    }
    for convolution in convolutions():
        kernel, *norm = _names(convolution)
        n_outputs = 1 if convolution.is_depthwise else convolution.n_outputs
        size = convolution.kernel_size
        shapes[kernel] = (size, size, convolution.n_inputs, n_outputs)
        shapes |= dict.fromkeys(norm, (convolution.n_outputs,))
    return shapes


def _arrays_of(file: h5py.File) -> dict[str, Any]:
    """List the datasets in a file by their paths; what links lead to elsewhere is left out."""
    import h5py

    found: dict[str, Any] = {}

    def note(name: str, thing: object) -> None:
        if isinstance(thing, h5py.Dataset):
            found[name] = thing

    file.visititems(note)
    return found


def _is_plain(array: Any, shape: tuple[int, ...]) -> bool:
    is_inside = not array.is_virtual and not array.external
    return is_inside and array.shape == shape and array.dtype.kind == "f"


def _told(array: Any) -> str:
    outside = " stored in another file" if array.is_virtual or array.external else ""
    return f"{array.dtype} of shape {array.shape}{outside}"
