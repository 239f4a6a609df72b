"""Files made of chunks: what they say of their samples, and how much of it is there.

libsndfile believes headers: a WAV or AIFF file cut off by a broken download is shorter than
recorded, one whose recorder lost power before it wrote a length is empty. Layouts: Microsoft's
RIFF, EBU Tech 3306 (RF64), Sony's Wave64, Apple's AIFF and CAF, Sun's AU.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BufferedIOBase
from typing import Final, Literal

from earful.model.audio.decoders.stream_length import TooManyPacketsError, read_at

_MOST_CHUNKS: Final = 1 << 22
_Order = Literal["little", "big"]

# Wave64 names chunks by GUID.
_W64_RIFF: Final = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_W64_TAIL: Final = bytes.fromhex("f3acd3118cd100c04f8edb8a")
_DS64_DATA_AT: Final = 28  # where RF64 keeps the size of its samples
_AU_SIZE_AT: Final = 8
_HEAD_BYTES: Final = 40
# Where the format chunk of a coding in blocks keeps the samples of one, and what it is without.
_BLOCK_SAMPLES_AT: Final = 18
_MOST_BLOCK_SAMPLES: Final = 320
# Less than this behind the samples may be anything; more is audio or a chunk.
_WORTH_A_NOTE_BYTES: Final = 4096
_TAGS: Final = (b"TAG", b"APETAGEX", b"ID3", b"LYRICSBEGIN")
# Chunks that may follow one of odd length whose pad byte is missing.
_KNOWN: Final = frozenset(
    {b"data", b"fmt ", b"fact", b"LIST", b"bext", b"guan", b"iXML", b"JUNK", b"cue ", b"id3 "}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSize:
    """Size of a file's samples, as its header gives it.

    Attributes:
        claimed: In bytes; what a program leaves that cannot go back to fill it in, too.
        present: Bytes from the first sample to the end of the file.
        start: Where the samples begin, in bytes.
        field_at: Where the size stands in the file, in bytes.
        field_bytes: Length of that field.
        order: Its byte order.
        added: What the field counts beyond the chunk's content, in bytes.
        overhead: What it counts of the content that is no samples, in bytes.
        layout: How the chunks behind the samples are laid out; ``None`` where none can be.
    """

    claimed: int
    present: int
    start: int
    field_at: int
    field_bytes: int
    order: _Order
    added: int = 0
    overhead: int = 0
    layout: _ChunkLayout | None = None

    @property
    def is_open(self) -> bool:
        """Whether the writing program could not go back to fill the size in.

        Such programs leave anything from 0x7FFFFFFF less a header up to 0xFFFFFFFF, in 64 bits
        as well.
        """
        return self.claimed >= 0x7FFF_0000 << 8 * (self.field_bytes - 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class _ChunkLayout:
    """Layout of names and sizes in a format made of chunks."""

    data: bytes  # the name of the chunk that holds the samples
    fact: bytes = b""  # the name of the one that counts them; empty where there is none
    first: int = 12
    name_bytes: int = 4
    head_bytes: int = 8  # name and size
    order: _Order = "little"
    counts_head: bool = False
    align: int = 2
    overhead: int = 0  # bytes of the data chunk before its samples


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk of a file.

    Attributes:
        name: Its name, as its format writes it.
        content_at: Where its content begins, in bytes.
        n_bytes: How long that is, as its header says.
    """

    name: bytes
    content_at: int
    n_bytes: int


def find_data(file: BufferedIOBase, size_bytes: int) -> DataSize | None:
    """Find the size of a file's samples.

    Knows WAV, RF64, W64, AIFF, CAF and AU, and AVI as a whole.

    Args:
        file: Seekable; left wherever the walk ended.
        size_bytes: Length of the whole file.

    Returns:
        The size, or ``None`` for another kind of file and one without samples.

    Raises:
        TooManyPacketsError: The file has millions of chunks.
    """
    head = read_at(file, 0, _HEAD_BYTES)
    if head[:4] == b".snd":
        start, n_bytes = (int.from_bytes(head[at : at + 4], "big") for at in (4, _AU_SIZE_AT))
        return DataSize(
            claimed=n_bytes, present=size_bytes - start, start=start, field_at=_AU_SIZE_AT,
            field_bytes=4, order="big",
        )  # fmt: skip
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        n_bytes = int.from_bytes(head[4:8], "little")
        return DataSize(
            claimed=n_bytes, present=size_bytes - 8, start=8, field_at=4, field_bytes=4,
            order="little", overhead=size_bytes,  # its frames are found by themselves
        )  # fmt: skip
    layout = _chunk_layout(head)
    if layout is None:
        return None
    chunk = next((c for c in _chunks(file, size_bytes, layout) if c.name == layout.data), None)
    if chunk is None:
        return None
    present = size_bytes - chunk.content_at
    if head[:4] in (b"RF64", b"BW64") and head[12:16] == b"ds64":
        at, width, claimed = _DS64_DATA_AT, 8, int.from_bytes(head[28:36], "little")
    else:
        width = layout.head_bytes - layout.name_bytes
        at, claimed = chunk.content_at - width, chunk.n_bytes
    return DataSize(
        claimed=claimed, present=present, start=chunk.content_at, field_at=at, field_bytes=width,
        order=layout.order, added=layout.head_bytes if layout.counts_head else 0,
        overhead=layout.overhead, layout=layout,
    )  # fmt: skip


def measure_data(file: BufferedIOBase, size_bytes: int) -> tuple[int, int] | None:
    """Compare the sample bytes that a header claims with those that are there.

    Args:
        file: Seekable; left wherever the walk ended.
        size_bytes: Length of the whole file.

    Returns:
        ``(claimed, present)`` in bytes, or ``None`` without a claim: in another kind of
        file, or one written by a program that could not go back and fill in the length.

    Raises:
        TooManyPacketsError: The file has millions of chunks.
    """
    data = find_data(file, size_bytes)
    return None if data is None or data.is_open else (data.claimed, data.present)


def bytes_behind(file: BufferedIOBase, size_bytes: int, data: DataSize) -> int:
    """Return how many bytes behind the counted samples are neither a chunk nor a tag.

    Args:
        file: Seekable; left wherever the walk ended.
        size_bytes: Length of the whole file.
        data: As ``find_data`` returns it.

    Returns:
        0 where the file ends as its format wants it, or almost.
    """
    if data.layout is None:
        place, ends_well = data.start + data.claimed, False
    else:
        claimed = max(0, data.claimed)
        place = data.start + -(-claimed // data.layout.align) * data.layout.align
        for chunk in _chunks(file, size_bytes, data.layout, place):
            if not chunk.name[:4].isascii() or not chunk.name[:4].decode("ascii").isprintable():
                break
            after = chunk.content_at + -(-chunk.n_bytes // data.layout.align) * data.layout.align
            if after > size_bytes + data.layout.align:
                break
            place = after
        ends_well = place >= size_bytes
    n_left = size_bytes - place
    if ends_well or n_left <= 0 or read_at(file, place, 16).startswith(_TAGS):
        return 0
    return n_left


def unread_note(file: BufferedIOBase, size_bytes: int, data: DataSize) -> str:
    """Return a note on what lies behind the samples that a header counts; mostly ``""``."""
    if data.layout is None or not 0 < data.claimed < data.present:
        return ""
    n_left = bytes_behind(file, size_bytes, data)
    if n_left < _WORTH_A_NOTE_BYTES:
        return ""
    return (
        f"its header counts {data.claimed} bytes of samples, and {n_left} more follow that are no "
        "part of the format: they were not read"
    )


def stated_samples(
    file: BufferedIOBase, size_bytes: int, n_decoded: int, channels: int
) -> int | None:
    """Return how many samples a WAV or W64 file of coded blocks states, if it can be believed.

    The last block is filled up, or one more is written, and the ``fact`` chunk says where the
    recording ends. Some writers state bytes there, or divide by the channels (libsndfile 1.2.2
    does, in IMA ADPCM): such a number is not believed.

    Args:
        file: Seekable; left wherever the walk ended.
        size_bytes: Length of the whole file.
        n_decoded: Samples per channel that all blocks give.
        channels: How many there are.

    Returns:
        Samples per channel, fewer than ``n_decoded``; ``None`` to keep them all.

    Raises:
        TooManyPacketsError: The file has millions of chunks.
    """
    layout = _chunk_layout(read_at(file, 0, _HEAD_BYTES))
    if layout is None or not layout.fact:
        return None
    stated, n_block = 0, _MOST_BLOCK_SAMPLES
    for chunk in _chunks(file, size_bytes, layout):
        if chunk.name == layout.fact:
            # Wave64 writes 8 bytes, of which no honest length needs more than 4.
            stated = int.from_bytes(read_at(file, chunk.content_at, 4), layout.order)
        elif chunk.name.startswith(b"fmt "):
            size = read_at(file, chunk.content_at + _BLOCK_SAMPLES_AT, 2)
            n_block = int.from_bytes(size, layout.order) if chunk.n_bytes >= 20 else 0
            n_block = n_block or _MOST_BLOCK_SAMPLES
        elif chunk.name == layout.data:
            break
    is_divided = channels > 1 and stated == n_decoded // channels
    ends_late = max(0, n_decoded - 2 * n_block) < stated < n_decoded
    return stated if ends_late and not is_divided else None


def wav_chunks(file: BufferedIOBase, size_bytes: int, *, most: int) -> Iterator[Chunk]:
    """Yield the chunks of a WAV, RF64, BW64 or W64 file that lie in it as a whole.

    Samples whose size stands in ``ds64`` are passed over, a missing pad byte is noticed, and the
    walk ends where no chunk can be.

    Args:
        file: Seekable; left wherever the walk is.
        size_bytes: Length of the whole file.
        most: Most chunks to look at.

    Yields:
        The chunks, named by four bytes; none for another kind of file.
    """
    head = read_at(file, 0, _HEAD_BYTES)
    layout = _chunk_layout(head)
    if layout is None or not layout.fact:  # AIFF and CAF have other chunks
        return
    sizes = {}
    if head[:4] in (b"RF64", b"BW64") and head[12:16] == b"ds64":
        sizes[b"data"] = int.from_bytes(head[_DS64_DATA_AT : _DS64_DATA_AT + 8], "little")
    try:
        for chunk in _chunks(file, size_bytes, layout, most=most, sizes=sizes, may_lack_pads=True):
            name = chunk.name[:4]
            if not is_chunk_name(name):
                return
            if chunk.n_bytes >= 0 and chunk.content_at + chunk.n_bytes <= size_bytes:
                yield Chunk(name, chunk.content_at, chunk.n_bytes)
    except TooManyPacketsError:
        return


def is_chunk_name(name: bytes) -> bool:
    """Whether four bytes can be the name of a chunk."""
    return name.isascii() and name.decode("ascii").isprintable()


def has_pad_byte(after: bytes, order: _Order, n_left: int) -> bool:
    """Whether the pad byte of a chunk of odd length is there.

    Args:
        after: The nine bytes that follow its content.
        order: Byte order of the file.
        n_left: Bytes from there to its end.
    """
    if len(after) < 9 or not after[0] or after[1:5] in _KNOWN:
        return True
    n_bytes = int.from_bytes(after[4:8], order)
    fits = after[:4] == b"data" or n_bytes <= n_left - 8
    return not (is_chunk_name(after[:4]) and fits)


def _chunks(
    file: BufferedIOBase,
    size_bytes: int,
    layout: _ChunkLayout,
    first: int | None = None,
    *,
    most: int | None = None,
    sizes: Mapping[bytes, int] | None = None,
    may_lack_pads: bool = False,
) -> Iterator[Chunk]:
    """Yield a file's chunks, as far as the next one still begins in the file.

    Args:
        file: Seekable.
        size_bytes: Length of the whole file.
        layout: How its chunks are laid out.
        first: Where the first begins; ``None`` for where the layout says.
        most: Most chunks to look at; ``None`` for millions.
        sizes: Sizes by name, of chunks whose own headers do not give them.
        may_lack_pads: Whether pad bytes behind chunks of odd length may be missing.

    Raises:
        TooManyPacketsError: There are more chunks.
    """
    position, most = layout.first if first is None else first, most or _MOST_CHUNKS
    for _ in range(most):
        head = read_at(file, position, layout.head_bytes)
        if len(head) < layout.head_bytes:
            return
        name = head[: layout.name_bytes]
        n_bytes = int.from_bytes(head[layout.name_bytes :], layout.order)
        if layout.counts_head:
            n_bytes -= layout.head_bytes
        n_bytes = (sizes or {}).get(name, n_bytes)
        position += layout.head_bytes
        yield Chunk(name, position, n_bytes)
        end = position + n_bytes
        position += -(-n_bytes // layout.align) * layout.align
        if n_bytes < 0 or position > size_bytes:  # before a seek beyond what 64 bits hold
            return
        if may_lack_pads and layout.align == 2 and n_bytes % 2:
            position = end + has_pad_byte(read_at(file, end, 9), layout.order, size_bytes - end)
    raise TooManyPacketsError(most, "chunks")


def _chunk_layout(head: bytes) -> _ChunkLayout | None:
    kind, form = head[:4], head[8:12]
    if kind in (b"RIFF", b"RIFX", b"RF64", b"BW64") and form == b"WAVE":
        order: _Order = "big" if kind == b"RIFX" else "little"
        return _ChunkLayout(data=b"data", fact=b"fact", order=order)
    if kind == b"FORM" and form in (b"AIFF", b"AIFC"):
        return _ChunkLayout(data=b"SSND", order="big", overhead=8)
    if kind == b"caff":
        return _ChunkLayout(data=b"data", first=8, head_bytes=12, order="big", align=1, overhead=4)
    if head[:16] == _W64_RIFF:
        return _ChunkLayout(
            data=b"data" + _W64_TAIL, fact=b"fact" + _W64_TAIL, first=40, name_bytes=16,
            head_bytes=24, counts_head=True, align=8,
        )  # fmt: skip
    return None
