"""Origins: a request that another site made a browser send is refused."""

from __future__ import annotations

from typing import Final

from earful.serve.faults import RequestError
from earful.serve.security.asgi import (
    METHODS,
    READING,
    Guard,
    Scope,
    header,
    is_api,
)

_OWN: Final = ("same-origin", "none")
_JSON: Final = "application/json"


class OriginGuard(Guard):
    """Refuses requests of other sites (403), other methods (405) and bodies of other kinds (415).

    What changes something needs our own ``Origin``, or none, and has to be JSON or audio: a form
    of another site can send neither. There are no CORS headers, so no other site can ask first.
    Another port of this machine is the same *site* to a browser, and sends our cookie: so reading
    from ``/api`` is refused to it, too.

    Args:
        app: What comes next.
    """

    def fault(self, scope: Scope) -> RequestError | None:
        """Return what is wrong with where it comes from, its method or its kind of body."""
        method = scope["method"]
        if method not in METHODS:
            return RequestError(
                f"method {method[:20]}: expected {', '.join(sorted(METHODS))}",
                status=405,
                code="method",
            )
        site = header(scope, "sec-fetch-site")
        if is_api(scope) and site is not None and site not in _OWN:
            return _foreign()
        if method in READING:
            return None
        origin = header(scope, "origin")
        # Host was compared with our names before.
        own = f"http://{header(scope, 'host') or ''}".lower()
        if origin is not None and origin.lower() != own:
            return _foreign()
        return _kind_fault(scope)


def _foreign() -> RequestError:
    return RequestError(
        "the request comes from another site; this server answers its own page, and programs "
        "that bring the token",
        status=403,
        code="foreign_origin",
    )


def _kind_fault(scope: Scope) -> RequestError | None:
    kind = (header(scope, "content-type") or "").partition(";")[0].strip().lower()
    length = header(scope, "content-length")
    has_body = header(scope, "transfer-encoding") is not None or length not in (None, "0")
    if not kind and not has_body:
        return None
    if scope["path"].startswith("/api/uploads/"):
        if kind.startswith("audio/") or kind == "application/octet-stream":
            return None
        expected = "audio/* or application/octet-stream"
    elif kind == _JSON:
        return None
    else:
        expected = _JSON
    return RequestError(
        f"content type {kind[:60] or 'none'}: expected {expected}",
        status=415,
        code="content_type",
    )
