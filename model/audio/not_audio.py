"""What is not audio: text, pictures, archives and documents under the name of a recording.

A failed download leaves a web page, a wrong suffix a table. Told that its header is damaged,
one would look for a fault in the recorder; so such files are called what they are.
"""

from __future__ import annotations

import codecs
from typing import Final

HEAD_BYTES: Final = 4096
"""How much of a file is looked at."""
_FETCH: Final = "fetch it again, or give the recording itself"
_UNPACK: Final = "unpack it, and give the recordings in it"
# Audio whose header is text, as that of NIST SPHERE is, and beginnings of recordings that were cut.
_TEXT_OF_AUDIO: Final = (
    *(b"NIST_1A", b"#!AMR", b"RIFF", b"RIFX", b"RF64", b"FORM", b"OggS", b"fLaC", b"caff"),
    *(b".snd", b"ID3", b"wvpk"),
)
_CONTROLS_OF_TEXT: Final = frozenset(b"\t\n\v\f\r\x1b")
_FIRST_PRINTABLE: Final = 0x20
_DELETE: Final = 0x7F
_WEB_PAGES: Final = (b"<!doctype html", b"<html", b"<head")
_KINDS: Final[tuple[tuple[bytes, str, str], ...]] = (
    (b"\x89PNG\r\n\x1a\n", "a picture (PNG)", _FETCH),
    (b"\xff\xd8\xff", "a picture (JPEG)", _FETCH),
    (b"GIF8", "a picture (GIF)", _FETCH),
    (b"II*\0", "a picture (TIFF)", _FETCH),
    (b"MM\0*", "a picture (TIFF)", _FETCH),
    (b"%PDF", "a document (PDF)", _FETCH),
    (b"PK\x03\x04", "a ZIP archive", _UNPACK),
    (b"\x1f\x8b", "an archive (gzip)", _UNPACK),
    (b"BZh", "an archive (bzip2)", _UNPACK),
    (b"\xfd7zXZ\0", "an archive (xz)", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "an archive (zstd)", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "an archive (7z)", _UNPACK),
    (b"Rar!\x1a\x07", "an archive (RAR)", _UNPACK),
    (b"\x7fELF", "a program", _FETCH),
    (b"MZ\x90\0", "a program", _FETCH),
    (
        b"SQLite format 3\0",
        "a database (SQLite), as projects of Audacity are",
        "export the audio from the program that made it",
    ),
    (b"\x89HDF\r\n\x1a\n", "a file of HDF5", "export the audio in it as WAV with its rate"),
    (b"\x93NUMPY", "an array of NumPy", "in a program give (samples, rate in Hz)"),
    (b"PAR1", "a table (Parquet)", "give it as a corpus: `earful index build TABLE.parquet`"),
    (b"MThd", "MIDI, which is notes and no sound", "export it as audio with a synthesiser"),
)


def not_audio(head: bytes) -> str:
    """Return what a file is that is surely not audio, and what to do; ``""`` for any other.

    Args:
        head: Its first bytes, ``HEAD_BYTES`` or all there are.

    >>> not_audio(b"file_name,label")
    'is text, expected audio; fetch it again, or give the recording itself'
    >>> not_audio(b"OggS"), not_audio(b"R")
    ('', '')
    """
    for beginning, kind, way_out in _KINDS:
        if head.startswith(beginning):
            return f"is {kind}, expected audio; {way_out}"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return f"is a picture (WebP), expected audio; {_FETCH}"
    is_cut = any(beginning.startswith(head) for beginning in _TEXT_OF_AUDIO)
    if is_cut or head.startswith(_TEXT_OF_AUDIO) or not _is_text(head):
        return ""
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_WEB_PAGES):
        return (
            "is a web page (HTML), expected audio; the address that it was fetched from gives a "
            "page: fetch the recording itself"
        )
    return f"is text, expected audio; {_FETCH}"


def _is_text(head: bytes) -> bool:
    """Tell whether bytes are text in UTF-8, or in UTF-16 with its mark; the last may be cut."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        decoder = codecs.getincrementaldecoder("utf-16")()
    else:
        decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        text = decoder.decode(head)
    except UnicodeDecodeError:
        return False
    return len(text) > 0 and all(
        ord(letter) in _CONTROLS_OF_TEXT
        or (ord(letter) >= _FIRST_PRINTABLE and ord(letter) != _DELETE)
        for letter in text
    )
