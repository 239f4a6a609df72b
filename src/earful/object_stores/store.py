"""ObjectStore: reads and conditional writes below one address, with errors in one line."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, NoReturn, cast
from urllib.parse import urlsplit

from earful.errors import MissingExtraError, StoreError
from earful.object_stores.credentials import credential_variables, require_credentials
from earful.object_stores.location import Location
from earful.object_stores.settings import storage_options
from earful.system import flush
from earful.wording import printable

# A request of this size ends within the time limit on a slow line, and fits into memory.
_PART_BYTES: Final = 32 << 20
_TIMEOUT_S: Final = 120
_CONNECT_S: Final = 10
_MAX_RETRIES: Final = 5
_RETRY_S: Final = 60
_LOCAL_HOSTS: Final = ("127.0.0.1", "localhost", "::1")
# Names of secrets in the environment: their values are taken out of any message.
_SECRET_VARIABLES: Final = ("KEY", "SECRET", "TOKEN", "PASSWORD", "SAS")


class MissingObjectError(StoreError):
    """There is no such object."""


class ChangedObjectError(StoreError):
    """An object was replaced while it was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """What a store says of an object.

    Attributes:
        name: Its name below the address that was asked.
        size_bytes: Its size.
        etag: Changes with its content; ``""`` where the store gives none.
        modified: When it was written, by the store's clock.
    """

    name: str
    size_bytes: int
    etag: str
    modified: datetime


class ObjectStore:
    """The objects below one address.

    It holds credentials in memory, so it is never pickled: each process makes its own.

    Args:
        location: The address.
        client: obstore's store of the bucket; default: made of the environment.

    Attributes:
        location: The address.

    Raises:
        MissingExtraError: obstore is not installed.
        StoreError: The environment or a storage option cannot be used.
    """

    def __init__(self, location: Location, client: Any = None) -> None:
        self.location = location
        self._client = open_client(location) if client is None else client

    def __repr__(self) -> str:
        return f"ObjectStore({str(self.location)!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an ObjectStore holds credentials: make one of its location instead")

    def head(self, name: str) -> StoredObject | None:
        """Return what the store says of an object; ``None`` where it has none.

        Raises:
            StoreError: The store cannot be asked.
        """
        import obstore

        try:
            found = obstore.head(self._client, self._key(name))
        except FileNotFoundError:
            return None
        except Exception as error:
            raise self._fault(name, error) from None
        return _stored(name, found)

    def read(self, name: str, *, max_bytes: int, unless: str = "") -> tuple[bytes, str] | None:
        """Read a small object whole.

        Args:
            name: Its name.
            max_bytes: Largest size accepted.
            unless: The etag of what is known already.

        Returns:
            Its bytes and etag; ``None`` where it still has the etag ``unless``.

        Raises:
            MissingObjectError: There is none.
            StoreError: It is larger, or the store cannot be asked.
        """
        import obstore
        from obstore.exceptions import NotModifiedError

        try:
            found = obstore.get(
                self._client,
                self._key(name),
                options={"if_none_match": unless} if unless else None,
            )
            if found.meta["size"] > max_bytes:
                raise self._too_large(name, found.meta["size"], max_bytes)
            return bytes(found.bytes()), found.meta["e_tag"] or ""
        except NotModifiedError:
            return None
        except StoreError:
            raise
        except Exception as error:
            raise self._fault(name, error) from None

    def read_head(self, name: str, n_bytes: int) -> bytes:
        """Return the first bytes of an object.

        Raises:
            MissingObjectError: There is none.
            StoreError: The store cannot be asked.
        """
        found = self.head(name)
        if found is None:
            raise self._fault(name, FileNotFoundError())
        n = min(n_bytes, found.size_bytes)
        return self._part(name, 0, n, found.etag) if n else b""

    def download(self, name: str, target: Path, *, size_bytes: int, etag: str = "") -> str:
        """Fetch an object of a known size into a file, in parts, and return its SHA-256 in hex.

        Args:
            name: Its name.
            target: The file, which is replaced.
            size_bytes: Its size; another one is refused.
            etag: Refuses an object that was replaced meanwhile, if given.

        Raises:
            MissingObjectError: There is none.
            ChangedObjectError: It was replaced.
            OSError: The file cannot be written.
            StoreError: It has another size, or the store cannot be asked.
        """
        digest = hashlib.sha256()
        with open(target, "wb") as file:
            for start in range(0, max(size_bytes, 1), _PART_BYTES):
                part = self._part(name, start, min(start + _PART_BYTES, size_bytes), etag)
                digest.update(part)
                file.write(part)
            file.flush()
            flush(file.fileno())
        return digest.hexdigest()

    def _part(self, name: str, start: int, end: int, etag: str) -> bytes:
        import obstore
        from obstore.exceptions import PreconditionError

        options: dict[str, Any] = {"if_match": etag} if etag else {}
        if end > start:
            options["range"] = (start, end)
        try:
            found = obstore.get(self._client, self._key(name), options=cast(Any, options))
            size = found.meta["size"]
            if end <= start and size:
                raise self._other_size(name, 0, size)
            part = bytes(found.bytes()) if size else b""
        except PreconditionError:
            raise ChangedObjectError(
                f"{self._shown(name)}: was replaced while it was read; run the command again"
            ) from None
        except StoreError:
            raise
        except Exception as error:
            raise self._fault(name, error) from None
        if len(part) != end - start:
            raise self._other_size(name, end - start, len(part))
        return part

    def create(self, name: str, data: bytes) -> str | None:
        """Write an object that is not there yet.

        Args:
            name: Its name.
            data: Its content, which nobody else writes: a write of which only the answer was lost
                is known by it.

        Returns:
            Its etag; ``None`` where there is one already.

        Raises:
            StoreError: The store cannot be asked, or has no conditional writes.
        """
        return self._put(name, data, "create")

    def replace(self, name: str, data: bytes, *, etag: str) -> str | None:
        """Write over an object, unless somebody else has.

        Args:
            name: Its name.
            data: As for ``create``.
            etag: Of what it is to replace.

        Returns:
            Its new etag; ``None`` where it has another one meanwhile.

        Raises:
            StoreError: The store cannot be asked, or has no conditional writes.
        """
        return self._put(name, data, {"e_tag": etag})

    def _put(self, name: str, data: bytes, mode: Any) -> str | None:
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        try:
            return obstore.put(self._client, self._key(name), data, mode=mode)["e_tag"] or ""
        except (AlreadyExistsError, PreconditionError):
            return self._own(name, data)
        except Exception as error:
            if isinstance(error, FileNotFoundError) and mode != "create":
                return None
            # The write may have come through, and only its answer not.
            if (own := self._own(name, data, may_fail=True)) is not None:
                return own
            raise self._fault(name, error) from None

    def _own(self, name: str, data: bytes, *, may_fail: bool = False) -> str | None:
        """Return the etag of an object if it holds just what was to be written."""
        try:
            found = self.read(name, max_bytes=len(data))
        except MissingObjectError:
            return None
        except StoreError as error:
            # One of another size is not ours.
            if may_fail or isinstance(error, _TooLargeError):
                return None
            raise
        return found[1] if found is not None and found[0] == data else None

    def upload(self, name: str, source: Path | bytes) -> None:
        """Write an object, whatever was there; a large file goes in parts.

        Raises:
            OSError: The file cannot be read.
            StoreError: The store refuses it, or cannot be asked.
        """
        import obstore

        try:
            obstore.put(self._client, self._key(name), source)
        except Exception as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # about the file
            raise self._fault(name, error) from None

    def delete(self, names: Iterable[str]) -> None:
        """Remove objects; one that is not there is none to remove.

        Raises:
            StoreError: The store cannot be asked.
        """
        import obstore

        for name in names:
            try:
                obstore.delete(self._client, self._key(name))
            except FileNotFoundError:
                continue
            except Exception as error:
                raise self._fault(name, error) from None

    def list(self, below: str = "") -> Iterator[StoredObject]:
        """Yield the objects below a name, in the store's order.

        Raises:
            StoreError: The store cannot be asked.
        """
        import obstore

        prefix = self._key(below)
        skip = len(self.location.key) + 1 if self.location.key else 0
        try:
            for found in obstore.list(self._client, prefix=prefix or None):
                for one in found:
                    yield _stored(one["path"][skip:], one)
        except Exception as error:
            raise self._fault(below, error) from None

    # --- private ---------------------------------------------------------------------------

    def _key(self, name: str) -> str:
        return self.location.below(name).key if name else self.location.key

    def _shown(self, name: str) -> str:
        return printable(str(self.location.below(name) if name else self.location))

    def _too_large(self, name: str, size: int, most: int) -> StoreError:
        return _TooLargeError(
            f"{self._shown(name)}: has {size:,} bytes, expected at most {most:,}; it is not what "
            "earful wrote there"
        )

    def _other_size(self, name: str, expected: int, found: int) -> StoreError:
        return StoreError(
            f"{self._shown(name)}: {found:,} bytes came, expected {expected:,}; run the command "
            "again, and if it repeats, restore the object"
        )

    def _fault(self, name: str, error: Exception) -> StoreError:
        shown, reason = self._shown(name), reason_of(error)
        kind = type(error).__name__
        if isinstance(error, FileNotFoundError):
            return MissingObjectError(
                f"{shown}: there is no such object or bucket; check the address"
            )
        try:
            require_credentials(self.location, reason)
        except StoreError as told:
            return told
        if kind in ("PermissionDeniedError", "UnauthenticatedError"):
            return StoreError(
                f"{shown}: the store refuses these credentials ({reason}); check the environment, "
                f"{credential_variables(self.location)}"
            )
        if kind == "NotSupportedError" or isinstance(error, NotImplementedError):
            return StoreError(
                f"{shown}: the store has no conditional writes ({reason}), expected them to keep "
                "writers apart; use another store, or a local folder"
            )
        return StoreError(
            f"{shown}: the store cannot be reached or refuses ({reason}); check the network, "
            "--storage-option endpoint=… and the environment, "
            f"{credential_variables(self.location)}"
        )


class _TooLargeError(StoreError):
    """An object is larger than it may be."""


def open_client(location: Location) -> Any:
    """Return obstore's store of a bucket, with credentials of the environment.

    Raises:
        MissingExtraError: obstore is not installed.
        StoreError: The environment or a storage option cannot be used.
    """
    try:
        from obstore.store import AzureStore, GCSStore, S3Store
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"{location}: object stores need the extra 'object-stores': "
            "pip install 'earful[object-stores]'"
        ) from error
    own = storage_options()
    config = _config(location, own)
    endpoint = str(own.get("endpoint") or os.environ.get("AWS_ENDPOINT_URL") or "")
    endpoint = endpoint or os.environ.get("AWS_ENDPOINT", "")
    is_local = urlsplit(endpoint).hostname in _LOCAL_HOSTS
    client = {
        "timeout": timedelta(seconds=own.get("timeout_s", _TIMEOUT_S)),
        "connect_timeout": timedelta(seconds=_CONNECT_S),
        **({"allow_http": True} if own.get("allow_http", is_local) else {}),
    }
    retries = {
        "max_retries": own.get("max_retries", _MAX_RETRIES),
        "retry_timeout": timedelta(seconds=_RETRY_S),
    }
    kinds: Mapping[str, Any] = {"s3": S3Store, "gs": GCSStore, "az": AzureStore}
    try:
        return kinds[location.scheme](
            location.bucket, client_options=client, retry_config=retries, **config
        )
    except Exception as error:
        require_credentials(location, reason_of(error))
        raise StoreError(
            f"{location}: the store cannot be set up ({reason_of(error)}); check the environment, "
            f"{credential_variables(location)}"
        ) from None


def _config(location: Location, own: Mapping[str, Any]) -> dict[str, Any]:
    """Return obstore's names of the storage options that were given."""
    names = {
        "s3": {"endpoint": "endpoint", "region": "region", "anonymous": "skip_signature"},
        "gs": {"anonymous": "skip_signature"},
        "az": {"endpoint": "endpoint", "account": "account_name", "anonymous": "skip_signature"},
    }[location.scheme]
    if location.scheme == "s3":
        names["virtual_hosted_style"] = "virtual_hosted_style_request"
    about_client = ("allow_http", "timeout_s", "max_retries")
    unused = [name for name in own if name not in names and name not in about_client]
    if unused:
        raise StoreError(
            f"storage option {unused[0]}: says nothing about {location.scheme}://; leave it out"
        )
    return {theirs: own[ours] for ours, theirs in names.items() if ours in own}


def reason_of(error: Exception) -> str:
    """Return the first line of an error of obstore, without any secret of the environment."""
    reason = " ".join(str(error).split("\n\nDebug source", 1)[0].split()) or type(error).__name__
    for name, value in os.environ.items():
        if len(value) >= 8 and any(part in name.upper() for part in _SECRET_VARIABLES):
            reason = reason.replace(value, "…")
    return printable(reason if len(reason) <= 300 else f"{reason[:300]}…")


def _stored(name: str, found: Mapping[str, Any]) -> StoredObject:
    return StoredObject(
        name=name,
        size_bytes=found["size"],
        etag=found["e_tag"] or "",
        modified=found["last_modified"],
    )
