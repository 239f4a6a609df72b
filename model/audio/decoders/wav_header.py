"""Headers of WAV files that break the rules: read where that can be done exactly, else explained.

Chunks of odd length are to be followed by a pad byte. Some field recorders leave it out (behind
GUANO notes, mostly), and libsndfile and FFmpeg then look for the samples one byte too late.
A recorder that loses power leaves the size that it meant to fill in at the end, often 0, which
libsndfile takes for an empty file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from io import BufferedIOBase
from typing import Final, Literal

from earful.model.audio.decoders.chunks import (
    bytes_behind,
    find_data,
    has_pad_byte,
    is_chunk_name,
)
from earful.model.audio.decoders.file_view import FileView
from earful.model.audio.decoders.stream_length import read_at
from earful.model.audio.source import OpenSource

_Order = Literal["little", "big"]
_ORDERS: Final[dict[bytes, _Order]] = {b"RIFF": "little", b"RIFX": "big"}
_MOST_CHUNKS: Final = 4096
_LEAST_FORMAT_BYTES: Final = 16
_HEAD_BYTES: Final = 12
_AT_ONCE: Final = 1 << 20
_WRAP: Final = 1 << 32
_MOST_BEHIND: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class _Walk:
    """What a walk over the chunks found: where contents begin, and their lengths."""

    order: _Order
    format: tuple[int, int] | None = None
    fact: tuple[int, int] | None = None
    data: tuple[int, int] | None = None
    overrun: str = ""


def with_pad_bytes(source: OpenSource) -> OpenSource:
    """Present a WAV file whose odd chunks lack their pad bytes as one that has a plain header.

    Args:
        source: The open file, at its beginning; left there.

    Returns:
        The recording with nothing before its samples but what describes them; the recording
        itself where nothing is wrong, or more than that.

    Raises:
        TooManyPacketsError: The file has millions of chunks.
    """
    order = _wav_order(source.file)
    if order is None or find_data(source.file, source.size_bytes) is not None:
        source.file.seek(0)
        return source
    walk = _walk(source.file, source.size_bytes, order)
    source.file.seek(0)
    if walk.format is None or walk.data is None:
        return source
    chunks = b""
    for name, place in ((b"fmt ", walk.format), (b"fact", walk.fact)):
        if place is not None:
            n_bytes = place[1] - place[1] % 2  # what is left out is a byte that nothing counts on
            chunks += name + n_bytes.to_bytes(4, order) + read_at(source.file, place[0], n_bytes)
    source.file.seek(0)
    start = walk.data[0] - 8 - len(chunks) - _HEAD_BYTES
    if start < 0:
        return source
    size = source.size_bytes - start
    header = read_at(source.file, 0, 4) + min(size - 8, 0xFFFF_FFFF).to_bytes(4, order) + b"WAVE"
    view = FileView(source.file, start=start, stop=source.size_bytes, patch=header + chunks)
    source.file.seek(0)
    return replace(source, file=view, size_bytes=size)


def header_fault(source: OpenSource) -> str:
    """Return what is wrong with a file that holds no sound for any decoder, and what to do.

    Args:
        source: The open file.

    Returns:
        A clause whose subject is the file; ``""`` for what another decoder may know.
    """
    if source.size_bytes > _HEAD_BYTES and (byte := _only_byte(source.file)) is not None:
        value = "zero bytes" if byte == 0 else f"bytes of one value (0x{byte:02X})"
        return f"holds only {value}: the recorder wrote nothing; copy it from the recorder again"
    order = _wav_order(source.file)
    if order is None:
        return ""
    walk = _walk(source.file, source.size_bytes, order)
    fault = walk.overrun
    if walk.format is None:
        fault = fault or "it has no chunk 'fmt ', which describes its samples"
    elif walk.format[1] < _LEAST_FORMAT_BYTES:
        fault = f"its chunk 'fmt ' has {walk.format[1]} bytes, expected 16 or more"
    elif walk.data is None:
        fault = fault or "it has no chunk 'data', where its samples would be"
    else:
        about = read_at(source.file, walk.format[0], 8)
        channels, rate = int.from_bytes(about[2:4], order), int.from_bytes(about[4:8], order)
        if not channels or not rate:
            fault = f"it says that it has {channels} channels at {rate} Hz"
    return f"is a WAV file with a damaged header ({fault}); repair its header" if fault else ""


def _wav_order(file: BufferedIOBase) -> _Order | None:
    head = read_at(file, 0, _HEAD_BYTES)
    return _ORDERS.get(head[:4]) if head[8:12] == b"WAVE" else None


def _walk(file: BufferedIOBase, size_bytes: int, order: _Order) -> _Walk:
    """Walk over the chunks up to the samples and their format, with or without pad bytes."""
    found = _Walk(order=order)
    position = _HEAD_BYTES
    for _ in range(_MOST_CHUNKS):
        head = read_at(file, position, 8)
        if len(head) < 8 or not is_chunk_name(head[:4]):
            return found
        name, n_bytes, content_at = head[:4], int.from_bytes(head[4:], order), position + 8
        if name == b"data":
            found = replace(found, data=(content_at, n_bytes))
            if found.format is not None:
                return found
        end = content_at + n_bytes
        if end > size_bytes:
            return (
                found
                if name == b"data"
                else replace(
                    found,
                    overrun=(
                        f"its chunk {name.decode('ascii')!r} claims {n_bytes} bytes, and "
                        f"{size_bytes - content_at} are left"
                    ),
                )
            )
        if name == b"fmt " and found.format is None:
            found = replace(found, format=(content_at, n_bytes))
        elif name == b"fact" and found.fact is None:
            found = replace(found, fact=(content_at, n_bytes))
        position = end + (
            n_bytes % 2 and has_pad_byte(read_at(file, end, 9), order, size_bytes - end)
        )
    return found


def _only_byte(file: BufferedIOBase) -> int | None:
    """Return the value that all bytes of a file have; ``None`` where they differ."""
    first = read_at(file, 0, 1)
    file.seek(0)
    while first and (piece := file.read(_AT_ONCE)):
        if piece.count(first) < len(piece):
            return None
    return first[0] if first else None


def with_real_size(source: OpenSource) -> tuple[OpenSource, str]:
    """Fill in the size of samples that a header gives as 0, and say so.

    Args:
        source: The open file, at its beginning; left there.

    Returns:
        The recording with a true size in its header, and a note; the recording itself and ``""``
        where nothing is wrong.

    Raises:
        TooManyPacketsError: The file has millions of chunks.
    """
    data = find_data(source.file, source.size_bytes)
    source.file.seek(0)
    if data is None or data.claimed > data.overhead or data.present <= data.overhead:
        return source, ""
    # An empty recording may have other chunks behind the samples that it lacks.
    n_unknown = bytes_behind(source.file, source.size_bytes, data)
    source.file.seek(0)
    if not n_unknown:
        return source, ""
    largest = (1 << 8 * data.field_bytes) - 1
    size = min(data.present + data.added, largest - 1)
    view = FileView(
        source.file,
        stop=source.size_bytes,
        patch_at=data.field_at,
        patch=size.to_bytes(data.field_bytes, data.order),
    )
    note = (
        f"its header says that it holds no samples, and {data.present - data.overhead} bytes "
        "follow: they were read to the end of the file"
    )
    return replace(source, file=view), note


def end_of_wrapped(source: OpenSource) -> tuple[int, int] | None:
    """Find the samples of a WAV file that grew beyond what its 32-bit size can say.

    Recorders go on writing past 4 GiB, and their counter begins again at 0.

    Args:
        source: The open file; its position changes.

    Returns:
        Where the samples begin and end, in bytes; ``None`` for any other file.

    Raises:
        TooManyPacketsError: The file has millions of chunks.
    """
    if source.size_bytes <= _WRAP or _wav_order(source.file) is None:
        return None
    data = find_data(source.file, source.size_bytes)
    if data is None or data.present < _WRAP:
        return None
    # What follows is whole turns of the counter and perhaps other chunks, which are small.
    n_behind = (data.present - data.claimed) % _WRAP
    is_open = data.is_open or data.claimed == 0 or n_behind > _MOST_BEHIND
    return data.start, source.size_bytes - (0 if is_open else n_behind)
