"""The application: all routes behind all guards, and the page."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from earful.errors import EarfulError, MissingExtraError
from earful.serve.faults import RequestError, fault_body, fault_headers, fault_of
from earful.serve.security import Guards
from earful.serve.state import ServerState

if TYPE_CHECKING:
    from fastapi import FastAPI, Request
    from fastapi.responses import JSONResponse

ROUTES: Final = (
    *("status", "uploads", "asking", "jobs", "index_rows"),
    *("scanned.media", "scanned.recordings", "scanned.review", "scanned.exports"),
)
"""Files of ``routes/``, each with a function ``router``."""

PAGE: Final = Path(__file__).parent / "page"
"""The page's files."""


def require_extra() -> None:
    """Refuse to go on without the packages that serve.

    Raises:
        MissingExtraError: One is not installed.
    """
    for name in ("fastapi", "uvicorn"):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
            raise MissingExtraError(
                f"the page needs {name}, which is not installed: pip install 'earful[serve]'"
            ) from error


def create_app(state: ServerState, port: Callable[[], int] | None = None) -> FastAPI:
    """Make the application of a server.

    Args:
        state: What it serves.
        port: Returns the port that is listened at; ``None`` for that of the settings.

    Raises:
        MissingExtraError: The extra ``serve`` is not installed.
    """
    require_extra()
    from fastapi import FastAPI
    from fastapi.exceptions import RequestValidationError
    from fastapi.staticfiles import StaticFiles
    from starlette.exceptions import HTTPException
    from starlette.middleware.gzip import GZipMiddleware

    from earful.serve.routes.replies import PlainJson

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        state.changes.close()

    app = FastAPI(
        title="earful serve",
        version=_version(),
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        # A slash too many is an unknown route, not a redirect.
        redirect_slashes=False,
        default_response_class=PlainJson,
        responses=_REFUSALS,
        # FastAPI can report to whoever an environment variable names; ours reports to nobody.
        telemetry={
            "tracing": False,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
        },
    )
    for name in ROUTES:
        routes = importlib.import_module(f"earful.serve.routes.{name}")
        app.include_router(routes.router(state))
    # The page holds no secret: of answers that do, their size would tell when packed.
    app.mount("/", GZipMiddleware(StaticFiles(directory=PAGE, html=True), compresslevel=6))

    def answer(fault: RequestError) -> JSONResponse:
        return PlainJson(
            fault_body(fault, state.opened_paths),
            status_code=fault.status,
            headers=dict(fault_headers(fault)),
        )

    @app.exception_handler(EarfulError)
    async def explain(_: Request, error: EarfulError) -> JSONResponse:
        return answer(fault_of(error))

    @app.exception_handler(RequestValidationError)
    async def explain_body(_: Request, error: RequestValidationError) -> JSONResponse:
        return answer(_body_fault(error.errors()))

    @app.exception_handler(HTTPException)
    async def explain_status(_: Request, error: HTTPException) -> JSONResponse:
        message = str(error.detail)
        if error.status_code == 404:
            message = "no such address; /openapi.json lists what there is"
        return answer(
            RequestError(
                message, status=error.status_code, code=_CODES.get(error.status_code, "http")
            )
        )

    app.add_middleware(
        Guards,
        settings=state.settings,
        port=port or (lambda: state.settings.port),
        tickets=state.tickets,
    )
    return app


_FAULT: Final = {
    "type": "object",
    "required": ["error"],
    "additionalProperties": False,
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "field", "help"],
            "additionalProperties": False,
            "properties": {
                "code": {"type": "string", "description": "Short name, for programs"},
                "message": {"type": "string", "description": "One sentence, for people"},
                "field": {"type": "string", "description": "What is at fault; empty for none"},
                "help": {"type": "string", "description": "Where such errors are explained"},
            },
        }
    },
}
_REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"description": what, "content": {"application/json": {"schema": _FAULT}}}
    for status, what in (("4XX", "Refused"), ("5XX", "Failed, or too busy"))
}
_CODES: Final = {404: "not_found", 405: "method"}
_MOST_VALUE: Final = 60


def _body_fault(errors: Any) -> RequestError:
    """Return the first mistake of a request's body or address as one sentence."""
    first = errors[0]
    where = [str(part) for part in first["loc"] if part not in ("body", "query", "path")]
    field = ".".join(where)
    said = str(first["msg"]).removeprefix("Value error, ")
    text = f"{said[:1].lower()}{said[1:]}"
    value = first.get("input")
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        shown = repr(value)
        text += f", got {shown if len(shown) <= _MOST_VALUE else shown[:_MOST_VALUE] + '…'}"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return RequestError(f"{field or 'body'}: {text}{more}", status=422, code="invalid", field=field)


def _version() -> str:
    import earful

    return earful.__version__
