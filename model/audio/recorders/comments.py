"""Comments of FLAC and Ogg files: ``DATE``, ``LOCATION``, and those of Frontier Labs.

Read block by block and page by page, within limits. A FLAC file made of a WAV by ``flac
--keep-foreign-metadata`` keeps its chunks, which are returned as chunks.
"""

from __future__ import annotations

from io import BufferedIOBase
from typing import Final

from earful.model.audio.decoders import read_at
from earful.model.audio.recorders.metadata import (
    RecorderMetadata,
    bounded_extra,
    clean_text,
    find_place,
)
from earful.model.audio.recorders.stamps import parse_stamp

SOURCE: Final = "comment"
_MOST_BLOCKS: Final = 64
_MOST_PAGES: Final = 64
_MOST_COMMENTS: Final = 1024
_APPLICATION, _COMMENT = 2, 4
_STARTS: Final = ("RECORDINGSTART", "DATE")
_READ: Final = frozenset({*_STARTS, "LOCATION", "SENSORLOCATION", "SENSORUID"})


def flac_blocks(
    file: BufferedIOBase, size_bytes: int, wanted: frozenset[bytes], most_bytes: int
) -> tuple[bytes, dict[bytes, bytes]]:
    """Return the comments of a FLAC file, and the chunks of the WAV that it was made of.

    Args:
        file: Seekable.
        size_bytes: Length of the whole file.
        wanted: Names of chunks, in lower case.
        most_bytes: Most bytes of a block to read.
    """
    comments, chunks, at = b"", dict[bytes, bytes](), 4
    for _ in range(_MOST_BLOCKS):
        head = read_at(file, at, 4)
        if len(head) < 4:
            break
        kind, n_bytes = head[0] & 0x7F, int.from_bytes(head[1:], "big")
        if at + 4 + n_bytes > size_bytes:
            break
        if kind == _COMMENT and not comments:
            comments = read_at(file, at + 4, min(n_bytes, most_bytes))
        elif kind == _APPLICATION:
            about = read_at(file, at + 4, 16)
            name = about[4:8].lower()
            is_other_list = about[4:8] == b"LIST" and about[12:] != b"INFO"
            if about[:4] == b"riff" and name in wanted.difference(chunks) and not is_other_list:
                n_chunk = min(int.from_bytes(about[8:12], "little"), n_bytes - 12, most_bytes)
                chunks[name] = read_at(file, at + 16, max(0, n_chunk))
        at += 4 + n_bytes
        if head[0] & 0x80:
            break
    return comments, chunks


def ogg_comments(file: BufferedIOBase, most_bytes: int) -> bytes:
    """Return the comments of an Ogg file's first stream: its second packet.

    Args:
        file: Seekable.
        most_bytes: Most bytes of pages to read.
    """
    at, serial, n_ended = 0, b"", 0
    packet = bytearray()
    for _ in range(_MOST_PAGES):
        head = read_at(file, at, 27)
        if len(head) < 27 or head[:4] != b"OggS" or at > most_bytes:
            break
        lengths = read_at(file, at + 27, head[26])
        content_at = at + 27 + head[26]
        at = content_at + sum(lengths)
        serial = serial or head[14:18]
        if head[14:18] != serial:
            continue
        for length in lengths:
            if n_ended == 1:
                packet += read_at(file, content_at, length)
            content_at += length
            n_ended += length < 255
            if n_ended == 2:
                break
        if n_ended == 2:
            break
    for mark in (b"\x03vorbis", b"OpusTags"):
        if packet.startswith(mark):
            return bytes(packet[len(mark) :])
    # FLAC in Ogg has a block of comments, Speex nothing before them.
    return bytes(packet[4:] if packet[:1] and packet[0] & 0x7F == _COMMENT else packet)


def read_comments(content: bytes) -> tuple[dict[str, str], RecorderMetadata]:
    """Read Vorbis comments.

    Args:
        content: From the vendor on.

    Returns:
        All comments by their names in capitals, and what they say.
    """
    at = 4 + int.from_bytes(content[:4], "little") + 4
    comments: dict[str, str] = {}
    for _ in range(_MOST_COMMENTS):
        n_bytes = int.from_bytes(content[at : at + 4], "little")
        at += 4
        if at > len(content) or n_bytes > len(content) - at:
            break
        name, _, value = content[at : at + n_bytes].decode("utf-8", "replace").partition("=")
        at += n_bytes
        if value.strip():
            comments.setdefault(name.upper(), value.strip())
    starts = [moment for name in _STARTS if (moment := parse_stamp(comments.get(name, "")))]
    place = comments.get("SENSORLOCATION") or comments.get("LOCATION", "")
    north, east = find_place(place)
    site = comments.get("LOCATION", "")
    # A year alone, as music has it, is kept as it is.
    extra, notes = bounded_extra(
        (f"comment|{name}", value)
        for name, value in comments.items()
        if name not in _READ or (name in _STARTS and not parse_stamp(value))
    )
    return comments, RecorderMetadata(
        starts_at=starts[0] if starts else None,
        time_source=SOURCE,
        site="" if find_place(site) != (None, None) else clean_text(site),
        latitude=north,
        longitude=east,
        device=clean_text(comments.get("SENSORUID", "")),
        extra=extra,
        notes=notes,
    )
