"""FolderPlace: a folder in the layout of a hub's data set, such as one on a shared disk."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from earful.errors import SharingError
from earful.index.sharing.layout import REQUIRED, SharedFile, files_of_share
from earful.index.sharing.places.place import Listing, Progress, Sending, changed_meanwhile
from earful.index.sharing.places.swap import replace_folder, restore_folder
from earful.system import FileLock, lock_beside

_READ_AT_ONCE: Final = 2**20


class FolderPlace:
    """A folder in the layout of a hub's data set, such as one on a shared disk.

    Args:
        folder: Its path.
    """

    endpoint = ""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.name = self.address = str(folder)

    def look(self, revision: str = "") -> Listing | None:
        """Return what it holds; its revision is the digest of its lists."""
        if not self._folder.exists():
            self._restore()
        if not self._folder.exists():
            return None
        with self._told("read"):
            if not self._folder.is_dir():
                raise SharingError(f"{self.name}: is no folder")
            files = tuple(
                file
                for file in files_of_share(self._folder)
                # As a clone of the hub's data set, or its client, leaves them.
                if not file.name.startswith((".git/", ".cache/"))
            )
            digest = hashlib.sha256()
            for name in REQUIRED:
                if (path := self._folder / name).is_file():
                    digest.update(path.read_bytes())
        return Listing(revision=digest.hexdigest()[:40], files=files)

    def read(self, listing: Listing, file: SharedFile) -> bytes:
        """Return the bytes of a small file."""
        with self._told("read"):
            return (self._folder / file.name).read_bytes()

    def fetch(
        self, listing: Listing, files: Sequence[SharedFile], folder: Path, progress: Progress | None
    ) -> None:
        """Copy files into a folder."""
        total, done = sum(file.n_bytes for file in files), 0
        for file in files:
            target = folder / file.name
            with self._told("copied"):
                target.parent.mkdir(parents=True, exist_ok=True)
                _copy_at_most(self._folder / file.name, target, file.n_bytes)
            done += file.n_bytes
            if progress is not None:
                progress(done, total)

    def begin(self, *, private: bool) -> Listing:
        """Return that it holds nothing yet; it is as private as its permissions."""
        return Listing(revision="", files=())

    def send(self, sending: Sending, progress: Progress | None) -> str:
        """Replace the folder in one step."""
        beside = self._beside
        with self._told("written"), self._held():
            shutil.rmtree(beside, ignore_errors=True)
            if self._folder.exists():
                shutil.copytree(self._folder, beside)
            beside.mkdir(parents=True, exist_ok=True)
            for name in sending.remove:
                (beside / name).unlink(missing_ok=True)
            FolderPlace(sending.folder).fetch(
                Listing(revision="", files=()), sending.files, beside, progress
            )
            found = self.look()
            if (found.revision if found else "") != sending.parent:
                shutil.rmtree(beside, ignore_errors=True)
                raise changed_meanwhile(self.name)
            replace_folder(beside, self._folder)
        after = self.look()
        return after.revision if after else ""

    @property
    def _beside(self) -> Path:
        return self._folder.with_name(f".{self._folder.name}.pushing")

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Hold the folder that a push grows in: two in it at once would mix."""
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(lock_beside(self._beside))
        if not lock.acquire():
            raise SharingError(
                f"{self.name}: another process is pushing to it; wait until it is done, then push "
                "again. Nothing was pushed"
            )
        try:
            yield
        finally:
            lock.release()

    def _restore(self) -> None:
        """Put back what a push that was killed had set aside, where that may be written."""
        lock = FileLock(lock_beside(self._beside))
        with suppress(OSError):
            if lock.acquire():
                try:
                    restore_folder(self._folder)
                finally:
                    lock.release()

    @contextmanager
    def _told(self, done: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SharingError(
                f"{self.name}: cannot be {done} ({error.strerror or error}); check the disk and "
                "the folder's permissions"
            ) from error


def _copy_at_most(source: Path, target: Path, n_bytes: int) -> None:
    """Copy a file that is as large as was listed; one that grows is cut off."""
    with open(source, "rb") as file, open(target, "wb") as copy:
        left = n_bytes
        while left > 0 and (some := file.read(min(left, _READ_AT_ONCE))):
            copy.write(some)
            left -= len(some)
