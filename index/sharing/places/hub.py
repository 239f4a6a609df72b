"""HubPlace: a data set of a hub.

The hub's own client sends and fetches; its token comes from ``HF_TOKEN`` or its login and is never
handled here. ``HF_ENDPOINT`` names another hub.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from earful.errors import SharingError
from earful.index.sharing.layout import SharedFile
from earful.index.sharing.places.place import Listing, Progress, Sending, changed_meanwhile
from earful.model.runtime import hub_trouble
from earful.wording import counted

_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_KIND: Final = "dataset"
# What one commit of the hub takes.
_MOST_FILES: Final = 25_000
_FILES_AT_ONCE: Final = 200
_FETCHES_AT_ONCE: Final = 8


class HubPlace:
    """A data set of a hub.

    Args:
        name: ``ORG/NAME``.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def endpoint(self) -> str:
        """Address of the hub."""
        from huggingface_hub import constants

        # The client reads the variable when it is imported, which may be long ago.
        return (os.environ.get("HF_ENDPOINT") or str(constants.ENDPOINT)).rstrip("/")

    @property
    def address(self) -> str:
        """Its page on the hub."""
        return f"{self.endpoint}/datasets/{self.name}"

    def look(self, revision: str = "") -> Listing | None:
        """Return what it holds at a revision; ``None`` where the hub shows no such data set."""
        from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

        api = self._api()
        with self._told("looked at"):
            try:
                info = api.repo_info(
                    self.name, repo_type=_KIND, revision=revision or None, files_metadata=False
                )
            except GatedRepoError:
                raise
            except RepositoryNotFoundError:
                return None
            commit = str(info.sha or "")
            if not _COMMIT.fullmatch(commit):
                raise SharingError(f"{self.address}: names no commit; it is no hub")
            listed = [
                SharedFile(
                    name=str(one.path),
                    n_bytes=int(one.size),
                    sha256=str(one.lfs.sha256) if one.lfs is not None else "",
                )
                for one in api.list_repo_tree(
                    self.name, repo_type=_KIND, revision=commit, recursive=True
                )
                if hasattr(one, "size")
            ]
        return Listing(revision=commit, files=tuple(listed), private=bool(info.private))

    def read(self, listing: Listing, file: SharedFile) -> bytes:
        """Return the bytes of a small file."""
        with tempfile.TemporaryDirectory(prefix="earful-") as folder:
            self.fetch(listing, [file], Path(folder), None)
            return Path(folder, file.name).read_bytes()

    def fetch(
        self, listing: Listing, files: Sequence[SharedFile], folder: Path, progress: Progress | None
    ) -> None:
        """Fetch files of one commit into a folder, several at a time."""
        from huggingface_hub import hf_hub_download

        total, done = sum(file.n_bytes for file in files), 0

        def fetch(file: SharedFile) -> SharedFile:
            hf_hub_download(
                self.name,
                file.name,
                repo_type=_KIND,
                revision=listing.revision,
                local_dir=folder,
                endpoint=self.endpoint,
            )
            return file

        with self._told("pulled", again=True), ThreadPoolExecutor(_FETCHES_AT_ONCE) as pool:
            try:
                for file in pool.map(fetch, files):
                    done += file.n_bytes
                    if progress is not None:
                        progress(done, total)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def begin(self, *, private: bool) -> Listing:
        """Make the data set, and return what it holds."""
        with self._told("made"):
            self._api().create_repo(self.name, repo_type=_KIND, private=private, exist_ok=True)
        found = self.look()
        if found is None:
            raise SharingError(
                f"{self.address}: was made, and cannot be seen; check the rights of the token"
            )
        return found

    def send(self, sending: Sending, progress: Progress | None) -> str:
        """Send files as one commit upon its parent."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete
        from huggingface_hub.errors import HfHubHTTPError

        if len(sending.files) > _MOST_FILES:
            raise SharingError(
                f"{self.address}: {counted(len(sending.files), 'file')} to push, and one commit of "
                f"the hub takes {_MOST_FILES:,}; push without audio, or an index of fewer "
                "recordings"
            )
        additions = [
            CommitOperationAdd(path_in_repo=file.name, path_or_fileobj=sending.folder / file.name)
            for file in sending.files
        ]
        total, done = sum(file.n_bytes for file in sending.files), 0
        api = self._api()
        with self._told("pushed", again=True):
            # Large files first: a push that dies here leaves no commit.
            for start in range(0, len(additions), _FILES_AT_ONCE):
                some = additions[start : start + _FILES_AT_ONCE]
                api.preupload_lfs_files(
                    self.name, additions=some, repo_type=_KIND, free_memory=False
                )
                done += sum(file.n_bytes for file in sending.files[start : start + len(some)])
                if progress is not None:
                    progress(done, total)
            try:
                made = api.create_commit(
                    self.name,
                    operations=[
                        *additions,
                        *(CommitOperationDelete(path_in_repo=name) for name in sending.remove),
                    ],
                    commit_message=sending.message,
                    repo_type=_KIND,
                    parent_commit=sending.parent,
                )
            except HfHubHTTPError as error:
                if _status(error) in (409, 412):
                    raise changed_meanwhile(self.address) from error
                raise
        return str(made.oid)

    def _api(self) -> Any:
        from huggingface_hub import HfApi

        return HfApi(endpoint=self.endpoint, library_name="earful")

    @contextmanager
    def _told(self, done: str, *, again: bool = False) -> Iterator[None]:
        """Say in a line what the hub's client reports, and keep its progress bars still."""
        from huggingface_hub.utils import (  # type: ignore[attr-defined]  # exported lazily
            are_progress_bars_disabled,
            disable_progress_bars,
            enable_progress_bars,
        )

        was_quiet = are_progress_bars_disabled()
        disable_progress_bars()
        try:
            yield
        except SharingError:
            raise
        except Exception as error:  # also the HTTP library's own, and which library that is changes
            next_step = "; run the same command again, it goes on from here" if again else ""
            if not (again or _status(error)):
                next_step = (
                    "; run the command where the hub can be reached, or give a folder, which "
                    "begins with ./ or /"
                )
            raise SharingError(
                f"{self.address}: cannot be {done}: {_reason(error, self.endpoint)}{next_step}"
            ) from error
        finally:
            if not was_quiet:
                with suppress(Exception):
                    enable_progress_bars()


def _status(error: Exception) -> int:
    return int(getattr(getattr(error, "response", None), "status_code", 0) or 0)


def _reason(error: Exception, endpoint: str) -> str:
    """Return the first line of what the hub's client says, and the next step; never a token."""
    from huggingface_hub import get_token
    from huggingface_hub.errors import OfflineModeIsEnabled, RevisionNotFoundError

    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set; unset it"
    if isinstance(error, RevisionNotFoundError):
        return "it has no such revision; give a branch, a tag or a commit that it has"
    if trouble := hub_trouble(error, endpoint):
        return f"{trouble}, or give a folder in place of the hub (docs/sharing.md)"
    lines = [line.strip(" .") for line in str(error).splitlines() if line.strip(" .")]
    text = " ".join(lines[: 2 if lines and lines[0].endswith(":") else 1]) or type(error).__name__
    if isinstance(error, RuntimeError) and error.__cause__ is not None:
        # The client says which file; what went wrong is the cause.
        text += f" ({str(error.__cause__).strip().partition(chr(10))[0]})"
    with suppress(Exception):
        if token := get_token():
            text = text.replace(token, "…")
    if _status(error) in (401, 403):
        text += " (log in with `hf auth login`, or set HF_TOKEN to a token that may do this)"
    return text
