"""Token: the secret of a run, once in the address, then in a cookie, or in a header."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from html import escape
from urllib.parse import parse_qsl, quote, urlencode

from earful.serve.faults import RequestError, fault_headers
from earful.serve.security.asgi import (
    Application,
    Receive,
    Scope,
    Send,
    header,
    is_api,
    refuse,
    reply,
)

_NEEDED = "the token is missing or wrong; open the address that the server printed"


class TokenGuard:
    """Asks every request of ``/api`` for the token (401).

    ``/?token=...`` sets the cookie and leads to ``/``, so that the address bar, the history and
    what is copied from them hold no secret. Cookies are shared by all ports of a host: the
    cookie's name has the port in it.

    A ticket in the token's place is good for one time: addresses that programs are started with
    can be seen by all users of the machine.

    Args:
        app: What comes next.
        token: The secret.
        port: Returns the port that is listened at.
        tickets: Tickets that are good; one that is used is taken out.
    """

    def __init__(
        self, app: Application, token: str, port: Callable[[], int], tickets: set[str]
    ) -> None:
        self._app, self._token, self._port = app, token.encode("ascii"), port
        self._tickets = tickets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, refuse it, or take the token from its address."""
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        in_address = [value for key, value in query if key == "token"]
        if in_address and not is_api(scope):
            if scope["method"] == "GET" and self._admits(in_address[0]):
                rest = urlencode([pair for pair in query if pair[0] != "token"])
                # One slash only: two would lead to another host.
                path = "/" + quote(scope["path"].lstrip("/"))
                await reply(
                    send,
                    303,
                    b"",
                    {
                        "location": f"{path}?{rest}" if rest else path,
                        "set-cookie": f"{self._cookie}={self._token.decode()}; Path=/; HttpOnly; "
                        "SameSite=Strict",
                        "cache-control": "no-store",
                    },
                )
                return
            await _refuse(scope, send)
            return
        if is_api(scope) and not self._is_allowed(scope):
            await _refuse(scope, send)
            return
        await self._app(scope, receive, send)

    @property
    def _cookie(self) -> str:
        return f"earful-{self._port()}"

    def _is_allowed(self, scope: Scope) -> bool:
        given = header(scope, "authorization")
        if given is not None:
            scheme, _, token = given.partition(" ")
            return scheme.lower() == "bearer" and self._is_right(token.strip())
        return any(map(self._is_right, _cookies(scope, self._cookie)))

    def _admits(self, given: str) -> bool:
        """Tell whether what is in an address is the token, or a ticket that is used up by it."""
        if self._is_right(given):
            return True
        sent = given.encode("utf-8", "surrogatepass")
        for ticket in list(self._tickets):
            if hmac.compare_digest(sent, ticket.encode("ascii")):
                self._tickets.discard(ticket)
                return True
        return False

    def _is_right(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), self._token)


async def _refuse(scope: Scope, send: Send) -> None:
    """Refuse a request; a person who goes there by a browser is told so on a page."""
    fault = RequestError(_NEEDED, status=401, code="token")
    if "text/html" not in (header(scope, "accept") or ""):
        await refuse(send, fault)
        return
    text = escape(_NEEDED)
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>earful</title>'
        f"<h1>earful</h1><p>{text[0].upper()}{text[1:]}.</p></html>"
    )
    headers = {"content-type": "text/html; charset=utf-8", **fault_headers(fault)}
    await reply(send, fault.status, page.encode(), headers)


def _cookies(scope: Scope, name: str) -> list[str]:
    """Return the values of a cookie.

    Whatever else this machine serves sets cookies for all its ports, and not all are well-formed:
    what is not ours is passed over, where the standard library's parser would give up.
    """
    text = header(scope, "cookie") or ""
    # Several headers arrive with a comma between; no value of ours has one.
    pairs = (part.partition("=") for part in text.replace(",", ";").split(";"))
    return [value.strip() for key, _, value in pairs if key.strip() == name]
