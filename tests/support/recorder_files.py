"""Files as field recorders write them: a second of silence, and chunks that say when and where."""

from __future__ import annotations

import struct

_W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_W64_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")
_FORMAT = struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16)
SAMPLES = bytes(1600)


def chunk(name: bytes, content: bytes, *, padded: bool = True) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2 and padded)


def wav(*chunks: bytes, before: bytes = b"", kind: bytes = b"RIFF") -> bytes:
    """A WAV file with chunks behind its samples, and others before them."""
    sizes = b""
    data = chunk(b"data", SAMPLES)
    if kind in (b"RF64", b"BW64"):
        sizes = chunk(b"ds64", struct.pack("<QQQI", 0, len(SAMPLES), len(SAMPLES) // 2, 0))
        data = b"data\xff\xff\xff\xff" + SAMPLES
    body = b"WAVE" + sizes + chunk(b"fmt ", _FORMAT) + before + data + b"".join(chunks)
    size = 0xFFFFFFFF if sizes else len(body)
    return kind + struct.pack("<I", size) + body


def w64(*chunks: tuple[bytes, bytes]) -> bytes:
    def of(name: bytes, content: bytes) -> bytes:
        head = name + _W64_TAIL + struct.pack("<Q", 24 + len(content))
        return head + content + bytes(-len(content) % 8)

    body = of(b"fmt ", _FORMAT) + of(b"data", SAMPLES) + b"".join(of(*each) for each in chunks)
    wave = b"wave" + _W64_TAIL
    return _W64_RIFF + struct.pack("<Q", 40 + len(body)) + wave + body


def guano(text: str, **options: bool) -> bytes:
    return chunk(b"guan", f"GUANO|Version: 1.0\n{text}".encode(), **options)


def wamd(*fields: tuple[int, bytes]) -> bytes:
    every = ((0, struct.pack("<H", 1)), *fields)
    content = b"".join(struct.pack("<HI", number, len(text)) + text for number, text in every)
    return chunk(b"wamd", content)


def info(**texts: str) -> bytes:
    # AudioMoth fills its texts up with zeros.
    return chunk(
        b"LIST",
        b"INFO" + b"".join(chunk(k.encode(), v.encode() + bytes(9)) for k, v in texts.items()),
    )


def moth(comment: str, artist: str = "AudioMoth 24F3190361DA3578") -> bytes:
    return info(ICMT=comment, IART=artist)


def bext(date: str, time: str, *, originator: str = "", description: str = "") -> bytes:
    content = description.encode().ljust(256, b"\0") + originator.encode().ljust(32, b"\0")
    return chunk(b"bext", content + bytes(32) + f"{date}{time}".encode().ljust(282, b"\0"))


def comments(*pairs: str) -> bytes:
    texts = [pair.encode() for pair in ("vendor", *pairs)]
    sized = [struct.pack("<I", len(text)) + text for text in texts]
    return sized[0] + struct.pack("<I", len(pairs)) + b"".join(sized[1:])


def flac(*pairs: str, chunks: tuple[bytes, ...] = ()) -> bytes:
    blocks = [(0, bytes(34)), *((2, b"riff" + each) for each in chunks), (4, comments(*pairs))]
    return b"fLaC" + b"".join(
        bytes([kind | (0x80 if number == len(blocks) else 0)])
        + len(content).to_bytes(3, "big")
        + content
        for number, (kind, content) in enumerate(blocks, start=1)
    )


def ogg(*pairs: str, mark: bytes = b"\x03vorbis", first: bytes = b"\x01vorbis") -> bytes:
    """An Ogg file's first pages: a packet over as many as it takes."""

    def pages(packet: bytes) -> bytes:
        lengths = [255] * (len(packet) // 255) + [len(packet) % 255]
        written, at = b"", 0
        for start in range(0, len(lengths), 255):
            here = lengths[start : start + 255]
            written += b"OggS" + bytes(10) + b"\1\2\3\4" + bytes(8) + bytes([len(here), *here])
            written += packet[at : at + sum(here)]
            at += sum(here)
        return written

    return pages(first + bytes(23)) + pages(mark + comments(*pairs)) + pages(b"audio")
