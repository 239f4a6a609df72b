"""Resumable downloads of large hub files, into the cache of the hub's own client.

Disk space is checked before anything is fetched. A checkpoint takes hours, and the client
drops a partial file when its process ends: here a large file grows beside its place in that
cache, under the digest that the hub states, and a later run resumes it. Once complete, it is
where the client looks for it, so the cache stays the client's.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from earful.errors import ModelError
from earful.files import NO_ROOM
from earful.model.runtime.digests import sha256_of
from earful.model.runtime.hub import hub_trouble
from earful.system import replace_file, sync_file

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A hub's description of a file.

    Attributes:
        repository: ``owner/name``.
        file: Name in the repository.
        n_bytes: Size of the file.
        commit: Commit of the repository.
        etag: SHA-256 of a file in large-file storage; git's own digest of a small one.
    """

    repository: str
    file: str
    n_bytes: int
    commit: str
    etag: str

    @property
    def is_large(self) -> bool:
        """Whether the hub states a SHA-256."""
        return _SHA256.fullmatch(self.etag) is not None

    @property
    def blob(self) -> Path:
        """Path of its content in the client's cache."""
        return hub_cache_folder() / _folder_name(self.repository) / "blobs" / self.etag

    @property
    def partial(self) -> Path:
        """Path of its content while it is incomplete."""
        return self.blob.with_name(f"{self.etag}.partial")

    def missing_bytes(self) -> int:
        """Return how many bytes still have to be fetched."""
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(self.repository, self.file, revision=self.commit)
        if isinstance(cached, str) or self.blob.exists():
            return 0
        return max(self.n_bytes - _size(self.partial), 0)


def hub_cache_folder() -> Path:
    """Return the folder in which the hub's client caches files."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def describe_remote_file(repository: str, file: str) -> RemoteFile:
    """Ask the hub for a file's size, commit and digest.

    Raises:
        ModelError: The hub cannot be reached, or has no such file.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    try:
        metadata = get_hf_file_metadata(hf_hub_url(repository, file))
    except Exception as error:  # also the HTTP library's own, and which library that is changes
        raise _unreachable(f"{repository}/{file}", error) from error
    return RemoteFile(
        repository=repository,
        file=file,
        n_bytes=metadata.size or 0,
        commit=metadata.commit_hash or "main",
        etag=metadata.etag or "",
    )


def download_file(remote: RemoteFile, *, progress: Callable[[str], None]) -> Path:
    """Fetch a file unless the cache has it, and compare it with its digest.

    Args:
        remote: The hub's description of the file.
        progress: Called with a line for each step.

    Returns:
        Its path in the cache.

    Raises:
        ModelError: The file cannot be fetched, there is no room for it, or it does not have
            the hub's digest; then it is removed.
    """
    from huggingface_hub import hf_hub_download

    what = f"{remote.repository}/{remote.file}"
    missing = remote.missing_bytes()
    if missing:
        here = f", {_size(remote.partial) / 1e9:.1f} GB are here" if remote.partial.exists() else ""
        progress(f"downloading {what}, {remote.n_bytes / 1e9:.1f} GB{here}")
    try:
        if missing and remote.is_large:
            _resume(remote)
        path = Path(hf_hub_download(remote.repository, remote.file, revision=remote.commit))
    except Exception as error:
        raise _unreachable(what, error) from error
    if not remote.is_large:
        return path
    progress(f"checking {remote.file}")
    if (found := sha256_of(path)) != remote.etag:
        blob = path.resolve()  # in the cache, a name is a link to the content
        path.unlink()
        blob.unlink(missing_ok=True)
        raise ModelError(
            f"{what}: sha256 {found}, expected the hub's {remote.etag}; the file was removed: run "
            "the command again"
        )
    return path


def require_disk_space(needs: Mapping[Path, float]) -> None:
    """Check that every disk has enough space before it is used.

    Args:
        needs: Bytes that will be written below each folder, which need not exist yet.

    Raises:
        ModelError: A disk has too little space.
    """
    disks: dict[int, list[tuple[Path, float]]] = {}
    for place, n_bytes in needs.items():
        existing = next(x for x in (place, *place.absolute().parents) if x.exists())
        disks.setdefault(existing.stat().st_dev, []).append((existing, n_bytes))
    for needed in disks.values():
        places = [place for place, _ in needed]
        total, free = sum(n_bytes for _, n_bytes in needed), shutil.disk_usage(places[0]).free
        if total > free:
            raise ModelError(
                f"{' and '.join(map(str, dict.fromkeys(places)))}: {total / 1e9:.1f} GB are "
                f"needed, and {free / 1e9:.1f} GB are free; make room, or set HF_HOME (downloads) "
                "and EARFUL_HOME (models) to other disks"
            )


def _resume(remote: RemoteFile) -> None:
    """Append the missing bytes of a file, then move it to its place."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import (  # type: ignore[attr-defined]  # exported lazily
        WeakFileLock,
        build_hf_headers,
    )

    # The client's own lock: two pulls at a time would write into each other's file.
    lock = hub_cache_folder() / ".locks" / _folder_name(remote.repository) / f"{remote.etag}.lock"
    for folder in (lock.parent, remote.blob.parent):
        folder.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(lock):
        if remote.blob.exists():
            return
        if _size(remote.partial) > remote.n_bytes:
            remote.partial.unlink()
        with open(remote.partial, "ab") as file:
            http_get(
                hf_hub_url(remote.repository, remote.file, revision=remote.commit),
                file,
                resume_size=file.tell(),
                headers=build_hf_headers(),
                expected_size=remote.n_bytes,
            )
        sync_file(remote.partial)
        replace_file(remote.partial, remote.blob)


def first_line(error: Exception) -> str:
    r"""Return what an error of the hub's client says first, without a full stop.

    >>> first_line(OSError("There is none.\nRead the manual."))
    'There is none'
    """
    return str(error).strip().split("\n")[0].rstrip(".")


def _folder_name(repository: str) -> str:
    from huggingface_hub.file_download import repo_folder_name

    return str(repo_folder_name(repo_id=repository, repo_type="model"))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _unreachable(what: str, error: Exception) -> ModelError:
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        return ModelError(
            f"{what}: there is no room for it in {hub_cache_folder()} ({error.strerror}); make "
            "room, or set HF_HOME to another disk, and run the command again: it resumes from here"
        )
    reason = hub_trouble(error) or first_line(error)
    return ModelError(
        f"{what}: cannot be fetched from the hub: {reason}. Run the command again to resume, or "
        "fetch the files elsewhere and use `earful models convert`"
    )
