"""Location: the address of an object, or of a prefix, in an object store."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Final

from earful.errors import StoreError
from earful.wording import printable, quoted

SCHEMES: Final = ("s3", "gs", "az")
# Addresses of other kinds, which are refused by name.
_OTHERS: Final = ("file", "ftp", "ftps", "gcs", "hdfs", "hf", "http", "https", "s3a", "s3n")
# A Path makes one slash of the two.
_ADDRESS: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(//?)(.*)", re.DOTALL)
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")
_MOST_KEY_BYTES: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """An address in an object store.

    Attributes:
        scheme: ``"s3"``, ``"gs"`` or ``"az"``.
        bucket: The bucket; of Azure the container.
        key: Key of an object, or a prefix; without slashes at either end, ``""`` for all.
    """

    scheme: str
    bucket: str
    key: str = ""

    def __str__(self) -> str:
        """Return it as it is written: ``s3://bucket/key``."""
        return f"{self.scheme}://{self.bucket}" + (f"/{self.key}" if self.key else "")

    def below(self, name: str) -> Location:
        """Return the address of a name below this one.

        >>> str(Location(scheme="s3", bucket="sounds", key="a").below("b/c.wav"))
        's3://sounds/a/b/c.wav'
        """
        key = f"{self.key}/{name}" if self.key else name
        return Location(scheme=self.scheme, bucket=self.bucket, key=key)


def is_address(given: object) -> bool:
    """Whether a path is an address rather than a file of this machine.

    >>> is_address("s3://sounds/a.wav"), is_address("sounds/a.wav"), is_address("C:/a.wav")
    (True, False, False)
    """
    if not isinstance(given, str | os.PathLike):
        return False
    text = os.fspath(given)
    if not isinstance(text, str):
        return False
    if "://" in text:
        return _ADDRESS.match(text) is not None
    return text.startswith(tuple(f"{scheme}:/" for scheme in (*SCHEMES, *_OTHERS)))


def parse_location(given: str | os.PathLike[str]) -> Location:
    """Read an address.

    Args:
        given: Such as ``s3://bucket/sounds.index``; a ``Path`` of it, which has lost a slash, is
            read, too.

    Raises:
        StoreError: It is malformed, or of another kind than ``SCHEMES``.

    >>> parse_location("s3://sounds/birds.index/")
    Location(scheme='s3', bucket='sounds', key='birds.index')
    """
    text = os.fspath(given)
    shown = printable(without_secrets(text))
    expected = "expected s3://BUCKET/KEY, gs://BUCKET/KEY or az://CONTAINER/KEY"
    found = _ADDRESS.fullmatch(text)
    scheme = found[1].lower() if found else ""
    if scheme == "file":
        raise StoreError(f"{shown}: is a file of this machine; give its path, without file://")
    if found is None or scheme not in SCHEMES:
        raise StoreError(f"{shown}: {expected}; download what lies elsewhere, and give its path")
    bucket, _, key = found[3].partition("/")
    if "@" in bucket or "?" in text:
        raise StoreError(
            f"{shown}: {expected}, without user, password or signature; credentials come "
            "from the environment, such as AWS_ACCESS_KEY_ID"
        )
    if not _BUCKET.fullmatch(bucket):
        raise StoreError(f"{shown}: {quoted(bucket)} is no name of a bucket; {expected}")
    key = key.rstrip("/")
    if fault := key_fault(key):
        raise StoreError(f"{shown}: {fault}; {expected}")
    return Location(scheme=scheme, bucket=bucket, key=key)


def key_fault(key: str) -> str:
    """Return what is wrong with a key; ``""`` where nothing is.

    >>> key_fault("a/../b"), key_fault("a/b")
    ("its key holds the part '..'", '')
    """
    if not key:
        return ""
    for part in key.split("/"):
        if part in ("", ".", ".."):
            return f"its key holds the part {part!r}"
    if any(ord(character) < 32 or ord(character) == 127 for character in key) or "\\" in key:
        return "its key holds a control character or a backslash"
    try:
        n_bytes = len(key.encode())
    except UnicodeEncodeError:
        return "its key is no Unicode text"
    return f"its key has {n_bytes} bytes, over {_MOST_KEY_BYTES}" * (n_bytes > _MOST_KEY_BYTES)


def without_secrets(text: str) -> str:
    """Return an address without what may hold a password or a signature.

    >>> without_secrets("s3://me:pass@bucket/a?X-Amz-Signature=f00")
    's3://…@bucket/a?…'
    """
    text = re.sub(r"(//)[^/@]*@", r"\1…@", text)
    return re.sub(r"\?.*", "?…", text, flags=re.DOTALL)
