"""What a path may lead to besides audio: other formats, other kinds of file, odd names."""

from __future__ import annotations

import io
import os
import pickle
import stat
import struct
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.support.audio_formats import CannotWriteError
from tests.support.audio_verdicts import Accepted, Case, Refused, case
from tests.support.nasty_audio import pcm, riff

UNREADABLE = Refused("libsndfile cannot read it")
# What files that are no audio are called, before any decoder sees them.
CALLED = {
    **dict.fromkeys(("hls", "ffconcat", "sdp", "dash", "svg", "json", "csv"), "is text"),
    "html": "is a web page (HTML)",
    "zip": "is a ZIP archive",
    "pdf": "is a document (PDF)",
    "png": "is a picture (PNG)",
    "elf": "is a program",
    "gzip": "is an archive (gzip)",
}


def zipped() -> bytes:
    """An archive with a recording in it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.wav", riff(1, 1, 8000, 16, pcm(800)))
    return buffer.getvalue()


def other_formats() -> list[Case]:
    """Files of other kinds under a sound's name, playlists that point elsewhere among them."""
    secret = "/etc/passwd"  # never opened: FFmpeg is not allowed any file but the one it got
    texts = {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{secret}\n#EXT-X-ENDLIST\n",
        "ffconcat": f"ffconcat version 1.0\nfile {secret}\n",
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        "m=audio 5004 RTP/AVP 0\n",
        "dash": '<?xml version="1.0"?><MPD><Period><BaseURL>http://127.0.0.1/</BaseURL></Period>'
        "</MPD>",
        "svg": f'<svg xmlns="http://www.w3.org/2000/svg"><image href="file://{secret}"/></svg>',
        "html": "<!DOCTYPE html><title>404 Not Found</title>",
        "json": '{"error": "sign in to download"}',
        "csv": "file_name,label\na.wav,dog\n",
    }
    files: dict[str, Callable[[], bytes]] = {name: text.encode for name, text in texts.items()} | {
        "zip": zipped,
        "pdf": lambda: b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n%%EOF\n",
        "png": lambda: bytes.fromhex("89504e470d0a1a0a0000000d49484452") + bytes(64),
        "safetensors": lambda: struct.pack("<Q", 2) + b"{}",
        "pickle": lambda: pickle.dumps({"a": 1}),
        "elf": lambda: b"\x7fELF\2\1\1" + bytes(64),
        "gzip": lambda: bytes.fromhex("1f8b0800000000000003") + bytes(64),
    }
    blank = {"zeros": bytes(100_000), "ones": b"\xff" * 100_000}
    raw = case("headerless", lambda: bytes(range(256)) * 40, UNREADABLE, "a.raw")
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    return [
        *(
            case(
                f"{name}-named-wav",
                data,
                Refused(f"{CALLED[name]}, expected audio") if name in CALLED else UNREADABLE,
            )
            for name, data in files.items()
        ),
        *(
            case(f"{name}-named-wav", partial(bytes, data), Refused("the recorder wrote nothing"))
            for name, data in blank.items()
        ),
        raw,
        case("git-lfs-pointer", lambda: pointer, Refused("git lfs pull")),
    ]


def kinds_of_file() -> list[Case]:
    """What is not a regular, readable file of a sensible size."""

    def at(make: Callable[[Path], object]) -> Callable[[Path], Path]:
        def place(folder: Path) -> Path:
            make(folder / "a.wav")
            return folder / "a.wav"

        return place

    def locked(path: Path) -> None:
        if os.geteuid() == 0:
            raise CannotWriteError("root may read every file")
        path.write_bytes(riff(1, 1, 8000, 16, pcm(800)))
        path.chmod(0)

    def sparse(path: Path) -> None:
        path.write_bytes(riff(1, 1, 8000, 16, b"", data_size=0xFFFFFFFF))
        os.truncate(path, 5 << 30)

    socket = stat.S_IFSOCK | 0o600
    return [
        Case("fifo", at(os.mkfifo), Refused("is a named pipe")),
        Case("directory", at(Path.mkdir), Refused("is a directory")),
        Case("socket", at(lambda path: os.mknod(path, socket)), Refused("is a socket")),
        Case("device", lambda _: Path("/dev/zero"), Refused("is a device")),
        Case("link-to-a-device", at(lambda p: p.symlink_to("/dev/full")), Refused("is a device")),
        Case("dangling-link", at(lambda p: p.symlink_to("gone.wav")), Refused("does not exist")),
        Case("loop", at(lambda p: p.symlink_to(p)), Refused("leads back to itself")),
        Case("nothing", lambda folder: folder / "a.wav", Refused("no such file")),
        Case("below-a-file", lambda _: Path(__file__, "a.wav"), Refused("no such file")),
        Case("not-for-us", at(locked), Refused("may not be read by this user")),
        Case("five-gigabytes", at(sparse), Refused("has 5368709120 bytes")),
        Case("name-of-5-kB", lambda folder: folder / ("x" * 5000), Refused("cannot be opened")),
        Case("name-with-nul", lambda folder: folder / "a\0.wav", Refused("no file can have this")),
    ]


def odd_names() -> list[Case]:
    """A good recording under every name a file system allows."""

    def place(folder: Path, name: str) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(riff(1, 1, 8000, 16, pcm(800)))
        return path

    names = {
        "line-break": "a\nb\r.wav", "tab": "a\tb.wav", "escape": "\x1b[31mred\x1b[0m.wav",
        "not-utf8": os.fsdecode(b"\xff\xfe.wav"), "right-to-left": "\u202egnp.wav",
        "emoji": "\U0001f600.wav", "composed": "e\u0301.wav", "dash": "--help", "blank": " ",
        "quotes": "'\"`$(x);.wav", "255-bytes": "x" * 251 + ".wav", "backslash": "a\\b.wav",
        "path-of-1-kB": "/".join(["d" * 200] * 6) + "/a.wav", "url": "https:/a.wav",
        "glob": "*[a].wav", "no-name": ".wav",
    }  # fmt: skip
    return [
        Case(f"name-{what}", partial(place, name=name), Accepted(800, 8000))
        for what, name in names.items()
    ]
