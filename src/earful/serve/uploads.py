"""Uploads: audio that a page sent, kept for a session in a folder that ends with it."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Self

from earful.errors import AudioError, UnknownSourceError
from earful.serve.faults import RequestError
from earful.serve.settings import ServeSettings
from earful.serve.sources import Source
from earful.system import FileLock, replace_file
from earful.values import short_repr
from earful.wording import printable, quoted

_PREFIX: Final = "earful-serve-"
_DIGITS: Final = 16
_MOST_NAME: Final = 200
_LOCK_FILE: Final = ".lock"
_STALE_S: Final = 24 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file that a page sent.

    Attributes:
        source: By which it is played and asked about.
        channels: Number of channels.
        size_bytes: Its size.
        at_s: When it came, in seconds of ``time.monotonic``.
    """

    source: Source
    channels: int
    size_bytes: int
    at_s: float

    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """Return what a page is told of it, as plain JSON values."""
        return {
            "id": self.source.id,
            "source": self.source.id,
            "name": self.source.name,
            "duration_s": self.source.duration_s,
            "sample_rate": self.source.sample_rate,
            "channels": self.channels,
        }


class Incoming:
    """An upload that is being received.

    Args:
        folder: Where uploads lie.
    """

    def __init__(self, folder: Path) -> None:
        descriptor, name = tempfile.mkstemp(prefix="incoming-", dir=folder)
        self.path = Path(name)
        self.size_bytes = 0
        self.digest = hashlib.sha256()
        self._file: BinaryIO = open(descriptor, "wb")  # noqa: SIM115 - closed on leaving

    def write(self, chunk: bytes) -> None:
        """Append a piece."""
        self._file.write(chunk)
        self.digest.update(chunk)
        self.size_bytes += len(chunk)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)

    def finish(self) -> None:
        """Write what is still buffered."""
        self._file.flush()

    def close(self) -> None:
        """Close the file, so that it can be renamed everywhere."""
        self._file.close()


class Uploads:
    """Uploads of a session; the oldest makes room for new ones.

    Args:
        settings: Limits on their number, size and age.
    """

    def __init__(self, settings: ServeSettings) -> None:
        remove_stale()
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        # Also where nobody closes them, as at the end of a program.
        lock = FileLock(self.folder / _LOCK_FILE)
        lock.acquire()
        self._remove_all = weakref.finalize(self, _remove, self.folder, lock)
        self._settings = settings
        self._lock = threading.Lock()
        self._kept: dict[str, Upload] = {}

    def receive(self) -> Incoming:
        """Begin an upload."""
        return Incoming(self.folder)

    def keep(self, incoming: Incoming, name: str) -> Upload:
        """Check what was received, and keep it.

        It is decoded once, in the sandbox and under limits.

        Args:
            incoming: All of it.
            name: Its file's name: a caption, and nothing more.

        Raises:
            AudioError: It is no audio that can be read.
            RequestError: It is empty or silent.
        """
        from earful.model.audio import AudioLimits, load_isolated, probe_isolated

        caption = clean_name(name)
        if not incoming.size_bytes:
            fault = f"{caption}: is empty, expected an audio file"
            raise RequestError(fault, code="silent", field="audio")
        incoming.finish()
        limits = AudioLimits(max_file_bytes=self._settings.max_upload_bytes)
        try:
            info = probe_isolated(incoming.path, limits=limits)
            clip = load_isolated(incoming.path, limits=limits)
        except AudioError as error:
            raise AudioError(str(error).replace(str(incoming.path), caption)) from None
        peak = clip.levels.peak if clip.levels is not None else float(abs(clip.samples).max())
        if peak == 0:
            fault = f"{caption}: is silent; choose another sound"
            raise RequestError(fault, code="silent", field="audio")
        id = f"u-{incoming.digest.hexdigest()[:_DIGITS]}"
        path = self.folder / f"{id}{_ending(caption)}"
        upload = Upload(
            source=Source(
                id=id,
                kind="upload",
                path=path,
                name=caption,
                duration_s=round(clip.duration_s, 6),
                sample_rate=info.sample_rate,
                sha256=incoming.digest.hexdigest(),
            ),
            channels=info.channels,
            size_bytes=incoming.size_bytes,
            at_s=time.monotonic(),
        )
        with self._lock:
            incoming.close()
            # Fails where its sender is gone: then nothing changes.
            replace_file(incoming.path, path)
            before = self._kept.pop(id, None)
            if before is not None and before.source.path != path:
                before.source.path.unlink(missing_ok=True)
            self._kept[id] = upload
            self._make_room()
        return upload

    def find(self, id: str) -> Upload:
        """Return the upload with an id.

        Raises:
            UnknownSourceError: There is none, or none any more.
        """
        with self._lock:
            self._make_room()
            found = self._kept.get(id)
        if found is None:
            settings = self._settings
            raise UnknownSourceError(
                f"upload {quoted(id)}: not kept, or not any more (the newest "
                f"{settings.max_uploads} are, for {settings.upload_hours:g} h); send it again"
            )
        return found

    def remove(self, id: str) -> None:
        """Remove an upload.

        Raises:
            UnknownSourceError: There is none.
        """
        found = self.find(id)
        with self._lock:
            self._kept.pop(id, None)
            found.source.path.unlink(missing_ok=True)

    def sources(self) -> list[Source]:
        """Return the sources that uploads are, the newest last."""
        with self._lock:
            return [upload.source for upload in self._kept.values()]

    def close(self) -> None:
        """Remove the folder with all that is in it."""
        with self._lock:
            self._kept.clear()
        self._remove_all()

    def _make_room(self) -> None:
        """Remove what is too old, and the oldest of what is too much."""
        settings = self._settings
        oldest_s = time.monotonic() - settings.upload_hours * 3600
        total = sum(upload.size_bytes for upload in self._kept.values())
        for id, upload in list(self._kept.items()):
            too_many = len(self._kept) > settings.max_uploads
            if not (too_many or total > settings.max_uploads_mib * (1 << 20)) and (
                upload.at_s >= oldest_s
            ):
                break
            del self._kept[id]
            total -= upload.size_bytes
            upload.source.path.unlink(missing_ok=True)


def clean_name(name: str) -> str:
    r"""Return the caption of an upload: its name without folders and unprintable characters.

    >>> clean_name("C:\\night\\owl\n.wav"), clean_name("../../etc/passwd"), clean_name("//")
    ('owl\\n.wav', 'passwd', 'upload')
    """
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return printable(last).strip()[:_MOST_NAME] or "upload"


def remove_stale() -> None:
    """Remove folders of sessions that were killed a day ago or longer."""
    for folder in _session_folders():
        with suppress(OSError):
            found = folder.lstat()
            # Where users have no numbers, each has a folder for temporary files.
            is_ours = not hasattr(os, "getuid") or found.st_uid == os.getuid()
            if not is_ours or not stat.S_ISDIR(found.st_mode):
                continue
            lock = FileLock(folder / _LOCK_FILE)
            if time.time() - found.st_mtime >= _STALE_S and lock.acquire():
                _remove(folder, lock)


def _remove(folder: Path, lock: FileLock) -> None:
    """Remove a session's folder, and the lock in it."""
    # Windows removes no folder in which a file is open.
    with suppress(OSError):
        lock.release()
    shutil.rmtree(folder, ignore_errors=True)


def _session_folders() -> Iterator[Path]:
    yield from Path(tempfile.gettempdir()).glob(f"{_PREFIX}*")


def _ending(name: str) -> str:
    """Return a plain ending of a name, for decoders that look at it; ``""`` for none."""
    ending = Path(name).suffix.lower()
    return ending if ending[1:].isalnum() and ending.isascii() and len(ending) <= 6 else ""
