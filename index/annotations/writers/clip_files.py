"""Files of clips: their names, and their samples at the rate and bit depth of the recording."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from earful.errors import CorpusError
from earful.files import temporary_name
from earful.index.annotations.writers.file_names import fitting_name
from earful.model.audio import AudioInfo, Clip
from earful.system import folded_name, replace_file
from earful.wording import quoted

_KEPT: Final = frozenset("-_ ")
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])", re.IGNORECASE)
_FLAC_MOST_HZ: Final = 655_350
_FLAC_ANY_HZ: Final = 65_535
_LIKE_SOURCE: Final = {
    **{"PCM_S8": "PCM_S8", "PCM_U8": "PCM_S8", "PCM_24": "PCM_24", "PCM_32": "PCM_32"},
    **{"FLOAT": "FLOAT", "DOUBLE": "FLOAT"},
}
_BITS: Final = {"PCM_S8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
_FLAC_MOST_BITS: Final = 24


def label_folders(labels: Iterable[str]) -> dict[str, str]:
    """Return the folder of each label's clips: letters, digits, ``-_ `` stay, others are ``%XX``.

    >>> label_folders(["wren", "a/b", "50 %"])
    {'wren': 'wren', 'a/b': 'a%2Fb', '50 %': '50 %25'}

    Raises:
        CorpusError: Two labels would share a folder on some computers.
    """
    found: dict[str, str] = {}
    first: dict[str, str] = {}
    for label in labels:
        name = _label_folder(label)
        if other := first.setdefault(folded_name(name), label):
            if other != label:
                raise CorpusError(
                    f"labels {quoted(other)} and {quoted(label)} would share a folder of clips; "
                    "write the clips of each into a folder of its own"
                )
            found[label] = name
    return found


def _label_folder(label: str) -> str:
    text = unicodedata.normalize("NFC", label)
    last = len(text) - 1
    kept = "".join(
        sign
        if sign.isalnum() or (sign in _KEPT and not (sign == " " and at in (0, last)))
        else _escaped(sign)
        for at, sign in enumerate(text)
    )
    if _RESERVED.fullmatch(kept):
        kept = _escaped(kept[0]) + kept[1:]
    return fitting_name(kept, label)


def _escaped(sign: str) -> str:
    return "".join(f"%{byte:02X}" for byte in sign.encode("utf-8", "surrogatepass"))


def clip_ending(info: AudioInfo, *, is_wav: bool) -> str:
    """Return ``".flac"``, or ``".wav"`` where FLAC has no such rate or bit depth."""
    rate = info.sample_rate
    has_rate = rate <= _FLAC_ANY_HZ or (rate <= _FLAC_MOST_HZ and rate % 10 == 0)
    has_depth = 0 < _BITS.get(_subtype(info), 0) <= _FLAC_MOST_BITS
    return ".flac" if has_rate and has_depth and not is_wav else ".wav"


def write_clip(path: Path, clip: Clip, info: AudioInfo) -> None:
    """Write a clip with the bit depth of its recording; lossy ones as 16 bits.

    Args:
        path: Ends in ``.flac`` or ``.wav``; what is there is replaced at once.
        clip: At the recording's own rate.
        info: Of the recording.

    Raises:
        OSError: It cannot be written.
        CorpusError: The encoder refuses it.
    """
    import soundfile

    subtype = _subtype(info)
    is_wav = path.suffix == ".wav"
    if is_wav and subtype == "PCM_S8":
        subtype = "PCM_16"  # WAV's 8 bits have no sign, and lose nothing in 16
    beside = path.with_name(temporary_name(path.name))
    try:
        soundfile.write(
            beside,
            _as_whole_numbers(clip.samples, _BITS.get(subtype, 0)),
            clip.sample_rate,
            subtype=subtype,
            format="WAV" if is_wav else "FLAC",
        )
        replace_file(beside, path)
    except soundfile.SoundFileError as error:
        raise CorpusError(f"{path}: cannot be written ({error})") from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def _subtype(info: AudioInfo) -> str:
    return _LIKE_SOURCE.get(info.subtype, "PCM_16")


def _as_whole_numbers(samples: NDArray[np.float32], bits: int) -> NDArray[np.generic]:
    """Return samples as the whole numbers that the recording holds; 0 bits for floats.

    libsndfile reads by 1 / 32768 and writes by 32767, so floats would come back changed.
    """
    if not bits:
        return samples
    most = 2.0 ** (bits - 1)
    whole = np.clip(np.rint(samples.astype(np.float64) * most), -most, most - 1)
    # libsndfile takes the highest bits of what it is given.
    if bits <= 16:
        return (whole.astype(np.int32) << (16 - bits)).astype(np.int16)
    return whole.astype(np.int64).astype(np.int32) << (32 - bits)
