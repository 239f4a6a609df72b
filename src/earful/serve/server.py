"""The server: a socket, uvicorn, and an end that loses nothing."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, Final

from earful.errors import ServeError
from earful.serve.app import create_app, require_extra
from earful.serve.security import MAX_HEADER_BYTES
from earful.serve.state import ServerState

if TYPE_CHECKING:
    import uvicorn

_BACKLOG: Final = 128
_PATIENCE_S: Final = 5


def serve(state: ServerState, *, on_ready: Callable[[str], None] | None = None) -> None:
    """Serve a page until it is interrupted, or ``SIGTERM`` comes.

    Args:
        state: What is served; closed at the end.
        on_ready: Called with the address of the page, token and all, once it answers.

    Raises:
        MissingExtraError: The extra ``serve`` is not installed.
        ServeError: The port is taken, or the host is none of this machine.
    """
    try:
        require_extra()
        with listen(state.settings.host, state.settings.port) as listening:
            state.commit_rest()
            _run(state, listening, on_ready)
    finally:
        state.close()


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        ServeError: It cannot.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(_BACKLOG)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ServeError(
                f"port {port} of {host}: another program listens there already; give another "
                "--port, or --port 0 for any that is free"
            ) from error
        if error.errno == errno.EACCES:
            raise ServeError(
                f"port {port} of {host}: this user may not listen there; give a --port above 1023"
            ) from error
        raise ServeError(
            f"host {host}: cannot be listened at ({error.strerror or error}); expected an address "
            "of this machine, such as 127.0.0.1"
        ) from error
    return listening


def page_address(state: ServerState, port: int) -> str:
    """Return the address of the page, with the token."""
    host = state.settings.host
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}/?token={state.settings.token}"


def _run(
    state: ServerState, listening: socket.socket, on_ready: Callable[[str], None] | None
) -> None:
    import uvicorn

    port: int = listening.getsockname()[1]
    config = uvicorn.Config(
        create_app(state, lambda: port),
        http="h11",
        ws="none",
        loop="asyncio",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=state.settings.max_connections,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=_PATIENCE_S,
    )
    # Its warnings name addresses of strangers; ours are in earful.serve.
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    server = _make_server(config, state, lambda: on_ready and on_ready(page_address(state, port)))
    # It raises the interruption again when all has ended.
    try:
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listening])
    except SystemExit as end:
        raise ServeError("the server could not start; `earful --debug serve ...` says why") from end


def _make_server(
    config: uvicorn.Config, state: ServerState, on_ready: Callable[[], object]
) -> uvicorn.Server:
    import uvicorn

    class Server(uvicorn.Server):
        """Ends streams first: they would keep the server waiting."""

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            state.changes.close()
            super().handle_exit(sig, frame)

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            if self.started:
                await asyncio.to_thread(on_ready)

    return Server(config)
