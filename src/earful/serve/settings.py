"""ServeSettings: where the page is served, to whom, and the limits on what it is sent."""

from __future__ import annotations

import getpass
import ipaddress
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from earful.errors import ServeError
from earful.system import open_descriptor
from earful.values import short_repr
from earful.wording import as_argument, quoted

DEFAULT_PORT: Final = 8737
_TOKEN_BYTES: Final = 16  # 128 bits
_LEAST_TOKEN: Final = 22  # characters: 128 bits in base 64
_MOST_NAME: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """Settings of the page's server.

    >>> ServeSettings(token="t" * 32, reviewer="ana").is_local
    True

    Attributes:
        host: Address to listen at.
        port: Port to listen at; 0 for any that is free.
        token: Secret that every request needs; at least 22 characters.
        reviewer: Name that labels get, unless a request brings another.
        read_only: Whether everything but looking and asking is refused.
        allow_network: Whether other machines may reach the page.
        double: Percentage of items that a second reviewer is shown, too.
        max_upload_mib: Largest upload, in MiB.
        max_json_bytes: Largest JSON body, in bytes.
        max_uploads: Uploads that are kept; the oldest goes first.
        max_uploads_mib: MiB of uploads that are kept.
        upload_hours: Hours that an upload is kept.
        max_at_once: Requests that are worked on at once; others wait.
        max_waiting: Questions that wait for their turn; others are refused.
        max_streams: Streams of changes that are open at once.
        max_connections: Connections at once; others are refused.
        request_s: Seconds that a request may take to arrive, and all but questions to be met.
        labels_per_s: Labels a second.

    Raises:
        ServeError: The host is not this machine and ``allow_network`` is not set, or a value is
            outside its range.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    token: str = field(default="", repr=False)
    reviewer: str = ""
    read_only: bool = False
    allow_network: bool = False
    double: float = 10.0
    max_upload_mib: float = 64.0
    max_json_bytes: int = 64 << 10
    max_uploads: int = 20
    max_uploads_mib: float = 1024.0
    upload_hours: float = 24.0
    max_at_once: int = 8
    max_waiting: int = 256
    max_streams: int = 32
    max_connections: int = 512
    request_s: float = 60.0
    labels_per_s: float = 100.0

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if not self.token:
            object.__setattr__(self, "token", new_token())
        if len(self.token) < _LEAST_TOKEN or not (self.token.isascii() and self.token.isalnum()):
            raise ServeError(
                f"token: expected {_LEAST_TOKEN} or more letters and digits, got "
                f"{len(self.token)} characters"
            )
        if not self.reviewer:
            object.__setattr__(self, "reviewer", login_name())
        require_reviewer(self.reviewer)
        if not self.is_local and not self.allow_network:
            raise ServeError(
                f"host {quoted(self.host)}: expected this machine, such as 127.0.0.1 or localhost; "
                "--allow-network lets other machines reach the page, without encryption"
            )
        if not 0 <= self.port <= 65_535:
            raise ServeError(f"port {self.port}: expected 0 to 65535")
        if not 0 <= self.double <= 100:
            raise ServeError(f"double={self.double:g}: expected a percentage, 0 to 100")
        if not 0 < self.max_upload_mib <= self.max_uploads_mib:
            raise ServeError(
                f"max_upload_mib={self.max_upload_mib:g}: expected more than 0 and at most "
                f"{self.max_uploads_mib:g}"
            )

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the page."""
        return is_loopback(self.host)

    @property
    def max_upload_bytes(self) -> int:
        """Largest upload, in bytes."""
        return int(self.max_upload_mib * (1 << 20))


def new_token() -> str:
    """Return a token of 128 random bits, as 32 hex digits."""
    return secrets.token_hex(_TOKEN_BYTES)


def read_token(path: Path) -> str:
    """Read the token of a file; a file that is not there is made, for its owner alone.

    Raises:
        ServeError: It cannot be read or written, others may read it, or it holds no token.
    """
    try:
        descriptor = open_descriptor(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    except OSError as error:
        raise ServeError(f"{path}: cannot be written ({error.strerror})") from error
    else:
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(f"{new_token()}\n")
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ServeError(f"{path}: cannot be read as a token ({error})") from error
    # Windows has lists of who may use a file, and no such bits.
    if os.name == "posix" and mode & 0o077:
        raise ServeError(
            f"{path}: others than its owner may use it (mode {mode & 0o777:o}); "
            f"chmod 600 {as_argument(path)}"
        )
    if len(text) < _LEAST_TOKEN or not (text.isascii() and text.isalnum()):
        raise ServeError(
            f"{path}: expected a token of {_LEAST_TOKEN} or more letters and digits, got "
            f"{len(text)} characters; remove the file, and a new one is made"
        )
    return text


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine for itself.

    >>> [is_loopback(host) for host in ("localhost", "127.0.0.1", "::1", "0.0.0.0", "lab")]
    [True, True, True, False, False]
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def login_name() -> str:
    """Return the name of this machine's user, or ``"reviewer"`` where that is none."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        return "reviewer"
    return name if _is_name(name) else "reviewer"


def require_reviewer(name: str) -> str:
    """Return a reviewer's name.

    Raises:
        ServeError: It is blank, longer than 64 characters, or holds control characters.
    """
    if not _is_name(name):
        raise ServeError(
            f"reviewer {quoted(name)}: expected a name of 1 to {_MOST_NAME} printable characters"
        )
    return name


def _is_name(name: str) -> bool:
    return bool(name.strip()) and len(name) <= _MOST_NAME and name.isprintable()
