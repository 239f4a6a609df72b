"""Hosts: names by which the server may be called; others are those of a rebound address."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable

from earful.serve.faults import RequestError
from earful.serve.security.asgi import Application, Guard, Scope, header
from earful.serve.settings import ServeSettings

_LOCAL = ("127.0.0.1", "localhost", "[::1]")


def served_hosts(settings: ServeSettings, port: int) -> frozenset[str]:
    """Return the values of ``Host`` that are ours.

    >>> sorted(served_hosts(ServeSettings(), 8737))
    ['127.0.0.1:8737', '[::1]:8737', 'localhost:8737']
    """
    names = set(_LOCAL)
    if not settings.is_local:
        names |= {_written(settings.host), socket.gethostname(), socket.getfqdn()}
    else:
        names.add(_written(settings.host))
    return frozenset(f"{name.lower()}:{port}" for name in names)


class HostGuard(Guard):
    """Refuses requests that call the server by another name (421).

    A page of somebody else whose name has been pointed at this machine would count as ours to a
    browser: DNS rebinding. It can do that to names only, never to addresses.

    Args:
        app: What comes next.
        settings: Of the server.
        port: Returns the port that is listened at.
    """

    def __init__(self, app: Application, settings: ServeSettings, port: Callable[[], int]) -> None:
        super().__init__(app)
        self._settings, self._port = settings, port
        self._known: tuple[int, frozenset[str]] = (0, frozenset())

    def fault(self, scope: Scope) -> RequestError | None:
        """Return what is wrong with the name."""
        if self._is_ours((header(scope, "host") or "").lower()):
            return None
        return RequestError(
            "this server does not serve that host; open the address that it printed",
            status=421,
            code="wrong_host",
        )

    def _is_ours(self, host: str) -> bool:
        port = self._port()
        if self._known[0] != port:
            self._known = (port, served_hosts(self._settings, port))
        if host in self._known[1]:
            return True
        name, _, its_port = host.rpartition(":")
        return not self._settings.is_local and its_port == str(port) and _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def _written(host: str) -> str:
    return f"[{host}]" if ":" in host else host
