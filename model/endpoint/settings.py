"""Settings of an endpoint: where it is, who pays, and what it is told with every request.

A key is never a setting: it is read from the environment, from ``OPENAI_API_KEY`` or the variable
that is named.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self
from urllib.parse import urlsplit

from earful.errors import EndpointError
from earful.model.capabilities import Scoring
from earful.values import repr_of

BASE_URL_VARIABLE: Final = "EARFUL_BASE_URL"
KEY_VARIABLE: Final = "OPENAI_API_KEY"
OPENAI_HOST: Final = "api.openai.com"
HEARING_SCORINGS: Final[tuple[Scoring, ...]] = ("exact", "first-token", "choice", "text")
"""Ways to score answers about a recording that is heard, the most telling first."""
SCORINGS: Final[tuple[Scoring, ...]] = (*HEARING_SCORINGS, "decisions")
"""Ways to score answers: the same, and the one in which nothing is heard."""

# What a server that asks for no key is sent, as the client insists on one.
_NO_KEY: Final = "EMPTY"
_PER_MILLION: Final = 1e-6
_OWN_FIELDS: Final = frozenset({"model", "messages", "stream", "stream_options"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Prices per million tokens, in whatever currency the user pays.

    Attributes:
        prompt: Of tokens that are read.
        completion: Of tokens that are written.
        audio: Of tokens of audio that are read, where a server counts them; ``None`` for the
            price of others.
    """

    prompt: float
    completion: float
    audio: float | None = None

    def __post_init__(self) -> None:
        prices = (self.prompt, self.completion, self.audio or 0.0)
        if not all(0.0 <= price < float("inf") for price in prices):
            raise ValueError(f"prices {prices}: expected 0 or more each")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read prices as a command takes them: ``2.5,10`` or ``2.5,10,40``.

        Raises:
            ValueError: It is neither.

        >>> Prices.parse("2.5,10")
        Prices(prompt=2.5, completion=10.0, audio=None)
        """
        try:
            prompt, completion, *rest = (float(part) for part in text.split(","))
            (audio,) = rest or (None,)
        except ValueError:
            raise ValueError(
                f"{text!r}: expected the prices of a million tokens read and written, such as "
                "2.5,10, and of audio after them where it costs more"
            ) from None
        return cls(prompt=prompt, completion=completion, audio=audio)

    def cost(self, *, prompt: int, audio: int, completion: int) -> float:
        """Return what tokens cost; those of audio are among the prompt's.

        >>> Prices(prompt=2.0, completion=10.0).cost(prompt=1_000_000, audio=0, completion=100_000)
        3.0
        """
        of_audio = self.prompt if self.audio is None else self.audio
        cost = (prompt - audio) * self.prompt + audio * of_audio + completion * self.completion
        return cost * _PER_MILLION


@dataclass(frozen=True, kw_only=True)
class EndpointSettings:
    """Settings of an endpoint.

    Attributes:
        base_url: Its address, such as ``"http://localhost:8000/v1"``; empty for that in
            ``EARFUL_BASE_URL``.
        key_variable: Environment variable that holds the key; empty for ``OPENAI_API_KEY``.
        timeout_s: How long an answer may take, in seconds.
        retries: How often a request is repeated that got no answer, or a refusal for now.
        in_flight: Most requests at once.
        scoring: How it is to score answers; ``None`` for the most telling way that it can.
            ``"decisions"`` is taken only where it is named, as recordings are then not sent.
        prices: What tokens cost; ``None`` where no cost is to be told.
        fields: Fields of every request besides those that earful sends, which they replace.
        keep_replies: Whether replies are kept on the disk, so that nothing is asked twice.
        on_upload: Called once with a line that says where recordings go, before the first goes.

    Raises:
        EndpointError: A field is outside its range.
    """

    base_url: str = ""
    key_variable: str = ""
    timeout_s: float = 120.0
    retries: int = 2
    in_flight: int = 4
    scoring: Scoring | None = None
    prices: Prices | None = None
    fields: Mapping[str, Any] = field(default_factory=dict, hash=False)
    keep_replies: bool = False
    on_upload: Callable[[str], None] | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.timeout_s > 0 or self.retries < 0 or self.in_flight < 1:
            raise EndpointError(
                f"timeout_s={self.timeout_s:g}, retries={self.retries}, in_flight="
                f"{self.in_flight}: expected more than 0, 0 or more, 1 or more"
            )
        if self.scoring is not None and self.scoring not in SCORINGS:
            raise EndpointError(f"scoring={self.scoring!r}: expected {', '.join(SCORINGS)}")
        if own := sorted(_OWN_FIELDS & set(self.fields)):
            raise EndpointError(f"field {own[0]!r} of requests is earful's own; leave it out")

    def __repr__(self) -> str:
        return repr_of(self, base_url=self.base_url, scoring=self.scoring)

    def address(self) -> str:
        """Return the endpoint's address, without a slash at its end.

        Raises:
            EndpointError: None is given, or it is no address.
        """
        given = (self.base_url or os.environ.get(BASE_URL_VARIABLE, "")).strip()
        if not given:
            raise EndpointError(
                "no endpoint is given; name its address by --base-url (in Python base_url=) or "
                f"{BASE_URL_VARIABLE}, such as http://localhost:8000/v1"
            )
        try:
            parts = urlsplit(given)
            host = parts.hostname
        except ValueError:
            parts, host = urlsplit(""), None
        if parts.scheme not in ("http", "https") or not host:
            raise EndpointError(
                f"endpoint {_without_secret(given)!r}: expected an address such as "
                "http://localhost:8000/v1"
            )
        if parts.username or parts.password or parts.query:
            raise EndpointError(
                f"endpoint {_without_secret(given)!r}: expected an address without user, password "
                f"and query; a key belongs into the environment variable {KEY_VARIABLE}"
            )
        return given.rstrip("/")

    def key(self) -> str:
        """Return the key, from the environment.

        Raises:
            EndpointError: There is none, and the endpoint is not on this machine.
        """
        variable = self.key_variable or KEY_VARIABLE
        if found := os.environ.get(variable, "").strip():
            return found
        if not self.key_variable and is_loopback(self.address()):
            return _NO_KEY
        raise EndpointError(
            f"{host_of(self.address())} takes a key, and the environment variable {variable} is "
            "not set; set it, or name another by --key-variable"
        )


def host_of(address: str) -> str:
    """Return host and port of an address.

    >>> host_of("http://localhost:8000/v1")
    'localhost:8000'
    """
    return urlsplit(address).netloc


def is_loopback(address: str) -> bool:
    """Whether an address is this machine's own.

    >>> [is_loopback(f"http://{host}/v1") for host in ("localhost:80", "127.0.0.3", "[::1]", "a.b")]
    [True, True, True, False]
    """
    host = urlsplit(address).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _without_secret(address: str) -> str:
    """Return an address for an error, without what may be a password or a key."""
    return address.rpartition("@")[2].partition("?")[0]
