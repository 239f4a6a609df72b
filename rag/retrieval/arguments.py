"""Arguments: what a program gives is made into what retrieval takes, or refused with advice."""

from __future__ import annotations

import math
import numbers
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from earful.model import ShotMode
from earful.model.audio import Clip, LevelMeter, check_rate, unfilled_note
from earful.rag.retrieval.query import AskOptions, Query, Readable
from earful.rag.task import Answerer
from earful.wording import quoted

_EXPECTED = "expected a path, a Clip, the bytes of an audio file, or (samples, sample_rate in Hz)"
_MOST_CHANNELS = 64


def to_one_or_several(
    audio: object, sample_rate: object = None
) -> tuple[list[Readable | Query], bool]:
    """Make recordings of what was given as one or as several, and tell whether it was several.

    Several are a list, or an array or a column of a data frame that holds texts or objects.

    Args:
        audio: What ``to_recording`` takes, or several of it.
        sample_rate: As for ``to_recording``.

    Raises:
        TypeError: As ``to_recording``.
        ValueError: As ``to_recording``.
    """
    if isinstance(audio, list):
        several = not audio or not all(map(_is_rate, audio))
    else:
        several = _is_array(audio) and getattr(getattr(audio, "dtype", None), "kind", "") in "OUT"
    if several:
        return to_recordings(list(cast(Iterable[object], audio)), sample_rate), True
    return [to_recording(audio, sample_rate)], False


def to_recording(audio: object, sample_rate: object = None) -> Readable | Query:
    """Make a recording of what was given.

    Args:
        audio: A path, a ``Clip``, a ``Query``, the bytes of a file or a file open for reading
            bytes; or samples and their rate in Hz, as ``(samples, rate)`` or as
            ``{"array": samples, "sampling_rate": rate}``. Samples are an array or a tensor of
            shape ``(n,)``, ``(n, channels)`` or ``(channels, n)``, floating with full scale 1.0,
            or signed integers; channels are averaged.
        sample_rate: Rate of samples that are given without theirs, in Hz.

    Raises:
        TypeError: It is none of these; the message says what to give.
        ValueError: The path is empty, or the samples cannot be heard.
    """
    if sample_rate is not None:
        if not _is_samples(audio):
            raise TypeError(
                f"sample_rate={quoted(sample_rate)} goes with samples alone, got {_named(audio)}, "
                "which brings its own: leave it out"
            )
        return _to_clip(audio, sample_rate)
    if isinstance(audio, Clip | Query | bytes):
        if isinstance(audio, Clip):
            check_rate(audio.sample_rate)
        if audio == b"":
            raise ValueError("the bytes are empty: expected those of a whole audio file")
        return audio
    if isinstance(audio, str | os.PathLike):
        path = os.fspath(audio)
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        if not path.strip():
            raise ValueError(f"the path {path!r} is empty: {_EXPECTED}")
        return path if isinstance(audio, str) else cast(os.PathLike[str], audio)
    if isinstance(audio, bytearray | memoryview):
        return to_recording(bytes(audio))
    if isinstance(audio, Mapping):
        rate = audio.get("sampling_rate", audio.get("sample_rate"))
        if audio.get("array") is None or rate is None:
            raise TypeError(
                f"a mapping with {', '.join(map(str, audio)) or 'no keys'}: expected 'array' and "
                "'sampling_rate', or a path"
            )
        return _to_clip(audio["array"], rate)
    if isinstance(audio, tuple) and len(audio) == 2:
        first, second = audio
        if _is_rate(second) and _is_samples(first):
            return _to_clip(first, second)
        if _is_rate(first) and _is_samples(second):
            return _to_clip(second, first)
    if _is_array(audio):
        raise TypeError(
            f"{type(audio).__name__} of shape {np.shape(cast(Any, audio))}: samples alone do not "
            "say their rate; give sample_rate=, or (samples, sample_rate), in Hz"
        )
    if callable(read := getattr(audio, "read", None)):
        return _read(audio, read())
    raise TypeError(_refusal(audio))


def to_recordings(audio: object, sample_rate: object = None) -> list[Readable | Query]:
    """Make recordings of what was given as several; see ``to_recording``.

    Raises:
        TypeError: It is a single one, or one of them is none; the message says which.
        ValueError: As ``to_recording``.
    """
    single = isinstance(audio, str | bytes | os.PathLike | Clip | Query | Mapping)
    if single or _is_array(audio) or not isinstance(audio, Iterable) or hasattr(audio, "read"):
        raise TypeError(
            f"{_named(audio)}: expected a list of recordings; classify takes a single one"
        )
    found = []
    for number, one in enumerate(audio, 1):
        try:
            found.append(to_recording(one, sample_rate))
        except (TypeError, ValueError) as error:
            raise type(error)(f"recording {number}: {error}") from None
    return found


def to_labels(labels: object) -> tuple[str, ...] | None:
    """Make candidate labels of what was given; ``None`` for no choice.

    Raises:
        TypeError: It is one text, or holds what is no text.
        ValueError: There is none at all.
    """
    if labels is None:
        return None
    if isinstance(labels, str | bytes) or not isinstance(labels, Iterable):
        given = labels if isinstance(labels, str) else str(labels)
        wanted = [part.strip() for part in given.split(",")]
        raise TypeError(f"labels={quoted(labels)}: expected a list of texts, such as {wanted}")
    # A set has no order of its own, and ties follow the order.
    found = sorted(labels) if isinstance(labels, set | frozenset) else list(labels)
    for label in found:
        if not isinstance(label, str):
            raise TypeError(
                f"labels hold {_named(label)}: expected texts as in the index, such as "
                f"{quoted(str(label))}"
            )
    if not found:
        raise ValueError("labels are empty: expected at least one, or None for all there are")
    return tuple(map(str, found))


def to_text(name: str, text: object) -> str:
    """Return a text that was given, without spaces around it.

    Raises:
        TypeError: It is none.
    """
    if not isinstance(text, str):
        raise TypeError(f"{name}: expected text, got {_named(text)}")
    return text.strip()


def check_options(ask: AskOptions) -> None:
    """Check the options of a question, and make plain numbers of NumPy's.

    Raises:
        TypeError: There is no such option, or one is of another type.
        ValueError: A number or a choice is none of those allowed.
    """
    if unknown := sorted(ask.keys() - AskOptions.__annotations__.keys()):
        raise TypeError(
            f"unexpected {', '.join(unknown)}; a question may choose "
            f"{', '.join(AskOptions.__annotations__)}"
        )
    given = cast(dict[str, Any], ask)
    for name in given:
        value = given[name]
        if name in ("shots", "seed"):
            given[name] = None if value is None and name == "shots" else to_count(name, value)
        elif name == "start_s" or (name == "end_s" and value is not None):
            given[name] = _to_seconds(name, value)
        elif name in ("free_text", "always_answer"):
            if not isinstance(value, bool | np.bool_):
                raise TypeError(f"{name}={quoted(value)}: expected True or False")
        elif name == "group" or (name == "strategy" and value is not None):
            given[name] = to_text(name, value)
    for name, choices in (("shot_mode", get_args(ShotMode)), ("arm", get_args(Answerer))):
        value = given.get(name)
        if name in given and value is not None and value not in choices:
            raise ValueError(f"{name}={quoted(value)}: expected {' or '.join(map(repr, choices))}")
    start_s, end_s = ask.get("start_s", 0.0), ask.get("end_s")
    if end_s is not None and end_s <= start_s:
        raise ValueError(f"end_s={end_s:g}: expected more than start_s={start_s:g}, in seconds")


def to_count(name: str, value: object, least: int = 0) -> int:
    """Return a whole number.

    Raises:
        TypeError: It is none.
        ValueError: It is below ``least``.
    """
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise TypeError(f"{name}={quoted(value)}: expected a whole number")
    if value < least:
        raise ValueError(f"{name}={value}: expected {least} or more")
    return int(value)


def _to_seconds(name: str, value: object) -> float:
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise TypeError(f"{name}={quoted(value)}: expected seconds, as a number")
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{name}={value}: expected 0 or more seconds")
    return float(value)


def _read(file: object, data: object) -> bytes:
    if not isinstance(data, bytes):
        raise TypeError(
            f"{_named(file)} is open for text: open it with mode 'rb', or give its path"
        )
    if not data:
        raise ValueError("the open file has nothing left to read: give its path, or seek(0) first")
    return data


def _is_array(value: object) -> bool:
    """Tell arrays, tensors and series, which have a shape and can become an array."""
    return hasattr(value, "__array__") and hasattr(value, "shape")


def _is_samples(value: object) -> bool:
    return _is_array(value) or (
        isinstance(value, list) and bool(value) and not isinstance(value[0], str | bytes)
    )


def _is_rate(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _to_clip(samples: Any, rate: Any) -> Clip:
    rate = check_rate(rate)
    if callable(detach := getattr(samples, "detach", None)):
        samples = detach().cpu()
        if "bfloat16" in str(samples.dtype):
            samples = samples.float()
    found = np.asarray(samples)
    note = ""
    if found.dtype.kind == "i":
        note = unfilled_note(found)
        found = found / -float(np.iinfo(found.dtype).min)
    elif found.dtype.kind != "f":
        raise TypeError(
            f"samples of dtype {found.dtype}: expected floating ones with full scale 1.0, or "
            "signed integers"
        )
    meter = LevelMeter()
    if found.ndim == 2 and found.size and min(found.shape) <= _MOST_CHANNELS:
        # Channels that cancel each other are told by what they were before the mean.
        channels = found if found.shape[0] >= found.shape[1] else found.T
        meter.add(np.asarray(channels, dtype=np.float32))
        found = channels.mean(axis=1)
    if found.ndim != 1 or not found.size:
        raise ValueError(
            f"samples of shape {np.shape(samples)}: expected (n,), (n, channels) or (channels, n), "
            "n > 0"
        )
    plain: NDArray[np.float32] = np.ascontiguousarray(found, dtype=np.float32)
    levels = meter.levels(rate, plain) if np.ndim(samples) == 2 else None
    return Clip(samples=plain, sample_rate=rate, levels=levels, notes=(note,) if note else ())


def _named(value: object) -> str:
    if value is None:
        return "None"
    return f"{quoted(value)} ({type(value).__name__})"


def _refusal(audio: object) -> str:
    if isinstance(audio, Sequence | set | frozenset) and audio:
        if all(map(_is_rate, audio)):
            return "a list of numbers: samples alone do not say their rate; give (samples, rate)"
        return (
            f"a {type(audio).__name__} of {len(audio)}: expected one recording; for several give "
            "classify, ask, caption or search a list"
        )
    return f"{_named(audio)}: {_EXPECTED}"
