"""ID3v2 tags before containers that have no place for them.

Taggers and recorders put an ID3v2 tag before any file. Behind one libsndfile finds RIFF and AIFF,
and then counts all places from the beginning of the tag: it reads too little, without an error.
So decoders are shown a file from behind its tags.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from earful.model.audio.decoders.file_view import FileView
from earful.model.audio.decoders.stream_length import after_id3, is_mpeg_frame, read_at
from earful.model.audio.source import OpenSource

# Some taggers leave more room than they say.
_MOST_PADDING: Final = 1 << 20
_BEGINNINGS: Final = (
    b"RIFF", b"RIFX", b"RF64", b"BW64", b"riff", b"FORM", b"fLaC", b"OggS", b"caff", b".snd",
    b"NIST_1A", b"MPCK", b"MP+", b"wvpk", b"TTA1", b"TTA2", b"tBaK", b"MAC ", b"ajkg", b"#!AMR",
    b"Creative Voice File", b"\x1a\x45\xdf\xa3", b"\x30\x26\xb2\x75", b"FLV", b"\x0b\x77",
)  # fmt: skip


def without_leading_tag(source: OpenSource) -> tuple[OpenSource, bool]:
    """Return a recording from behind its leading ID3v2 tags, and whether it surely begins there.

    Args:
        source: The open file, at its beginning; left there.

    Returns:
        The recording itself, and true, where it has no tag.
    """
    file = source.file
    start, is_sure = after_id3(file), True
    if 0 < start < source.size_bytes:
        head = read_at(file, start, _MOST_PADDING)
        content = head.lstrip(b"\0")
        if (box := head.find(b"ftyp", 0, len(head) - len(content) + 8)) >= 4:
            start += box - 4  # the size before it begins with zeros
        elif content.startswith(_BEGINNINGS) or is_mpeg_frame(content):
            start += len(head) - len(content)
        else:
            is_sure = False
        view = FileView(file, start=start, stop=source.size_bytes)
        source = replace(source, file=view, size_bytes=source.size_bytes - start)
    source.file.seek(0)
    return source, is_sure
