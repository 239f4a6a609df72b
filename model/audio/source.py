"""Audio sources: a path or bytes, opened as a regular readable file or refused in one line."""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from earful.errors import AudioError
from earful.object_stores import (
    Location,
    MissingObjectError,
    ObjectTooLargeError,
    is_address,
    local_copy,
    location_at,
    object_sha256,
    shown_path,
)
from earful.system import open_descriptor
from earful.wording import printable

AudioSource = str | os.PathLike[str] | bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSource:
    """Bytes to decode, and their name in messages.

    Attributes:
        file: Seekable binary file, at its beginning.
        name: For messages: the path with every unprintable character escaped.
        size_bytes: Size of the file when it was opened.
    """

    file: io.BufferedIOBase
    name: str
    size_bytes: int


@contextmanager
def open_source(source: AudioSource, *, max_bytes: int) -> Iterator[OpenSource]:
    """Open a recording without trusting what its path leads to.

    A pipe would block for ever and a device may act on being opened, so the kind of
    file is looked up first, and looked up again on the open descriptor: the path may
    have been replaced in between. Decoders get the open file rather than its name,
    because libsndfile refuses names over about 1 kB.

    Args:
        source: A path, an address such as ``s3://bucket/a.wav``, or the bytes of a whole audio
            file.
        max_bytes: Largest file accepted.

    Yields:
        The open file, closed on leaving.

    Raises:
        AudioError: The file does not exist, is not a regular file, is too large, or cannot
            be read, even if only half-way through.
        StoreError: Its store cannot be asked.
    """
    if isinstance(source, bytes):
        _require_size(len(source), "<bytes>", max_bytes)
        yield OpenSource(file=io.BytesIO(source), name="<bytes>", size_bytes=len(source))
        return
    name = name_of_source(source)
    path = fetched(source, max_bytes=max_bytes)
    try:
        _require_regular(os.stat(path), name)
        descriptor = open_descriptor(path, os.O_RDONLY, wait=False)
    except OSError as error:
        raise AudioError(f"{name}: {_open_failure(path, error)}") from error
    except ValueError as error:  # a NUL, or a character the file system cannot spell
        raise AudioError(
            f"{name}: no file can have this name ({error}), expected a path"
        ) from error
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        _require_regular(found, name)
        _require_size(found.st_size, name, max_bytes)
        try:
            yield OpenSource(file=file, name=name, size_bytes=found.st_size)
        except OSError as error:  # a disk that fails, a server that has gone
            raise AudioError(
                f"{name}: cannot be read ({error.strerror}), expected a readable file; fetch it "
                "again"
            ) from error


def name_of_source(path: str | os.PathLike[str]) -> str:
    """Return the name of a recording for messages: its path, or its address."""
    return printable(shown_path(path))


def fetched(path: str | os.PathLike[str], *, max_bytes: int) -> str:
    """Return the path of a recording's bytes: of one in an object store its copy here.

    Args:
        path: A path or an address.
        max_bytes: Largest object that is fetched.

    Raises:
        AudioError: There is no such object, or it is too large.
        StoreError: The store cannot be asked.
    """
    location = location_at(path)
    if location is None:
        return os.fspath(path)
    with _told(location, max_bytes):
        return str(local_copy(location, max_bytes=max_bytes))


def stored_sha256(path: str | os.PathLike[str], *, max_bytes: int) -> str:
    """Return the digest of a recording in an object store; ``""`` for a file of this machine.

    Raises:
        AudioError: There is no such object, or it is too large.
        StoreError: The store cannot be asked.
    """
    location = location_at(path)
    if location is None:
        return ""
    with _told(location, max_bytes):
        return object_sha256(location, max_bytes=max_bytes)


@contextmanager
def _told(location: Location, max_bytes: int) -> Iterator[None]:
    """Turn what is wrong with one object into an error of a recording."""
    name = printable(str(location))
    try:
        yield
    except MissingObjectError as error:
        raise AudioError(f"{name}: no such object; check the address") from error
    except ObjectTooLargeError as error:
        _require_size(error.size_bytes, name, max_bytes)
        raise


def _require_regular(found: os.stat_result, name: str) -> None:
    kinds = (
        (stat.S_ISDIR, "a directory", "pass one of the files in it"),
        (stat.S_ISFIFO, "a named pipe", "save its content to a file first"),
        (stat.S_ISCHR, "a device", "record from it to a file first"),
        (stat.S_ISBLK, "a device", "pass a file on it"),
        (stat.S_ISSOCK, "a socket", "save its content to a file first"),
    )
    for is_kind, kind, remedy in kinds:
        if is_kind(found.st_mode):
            raise AudioError(f"{name}: is {kind}, expected a file; {remedy}")


def _require_size(size_bytes: int, name: str, max_bytes: int) -> None:
    if size_bytes > max_bytes:
        raise AudioError(
            f"{name}: has {size_bytes} bytes, over the limit max_file_bytes={max_bytes}; cut it "
            "into parts, or raise the limit in a program, by AudioLimits"
        )


def _open_failure(path: str, error: OSError) -> str:
    if error.errno == errno.ENOENT and os.path.islink(path):
        target = printable(os.readlink(path))
        return f"is a link to {target}, which does not exist; restore that file or fix the link"
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        if is_address(path):
            return "is an address, expected a file or s3://BUCKET/KEY; download it, pass the path"
        folder = os.path.dirname(os.path.abspath(path))
        gone = "" if os.path.isdir(folder) else ", which does not exist"
        is_foreign = os.sep == "/" and "\\" in path
        backslash = "; a backslash separates no folders here, write /" if is_foreign else ""
        return f"no such file (looked in {printable(folder)}{gone}){backslash}; check the path"
    if error.errno == errno.EACCES:
        return "may not be read by this user; allow it with: chmod u+r"
    if error.errno == errno.ELOOP:
        return "is a link that leads back to itself; fix the link"
    return f"cannot be opened ({error.strerror}), expected a readable file"
