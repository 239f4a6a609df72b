"""Faults of an endpoint in words: what was wrong, and what to do about it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from earful.errors import EarfulError, EndpointError, PromptTooLargeError
from earful.wording import counted, printable

_MOST_QUOTED: Final = 300
_TOO_LARGE: Final = 413
_NOT_IMPLEMENTED: Final = 501
# vLLM: "At most 1 audio(s) may be provided in one prompt." SGLang: "Audio count 3 exceeds limit 1".
_CAP = re.compile(r"at most (\d+) audio|audio count \d+ exceeds limit (\d+)", re.IGNORECASE)
_FORM = re.compile(
    r"unsupported content\[\]\.type|input_audio|audio_url|unknown part type|invalid.*content.*type",
    re.IGNORECASE,
)
_NO_AUDIO = re.compile(
    r"audio input is not supported|does not support audio|not a multimodal model|no audio"
    r"|not support.*\baudio|\baudio.*not support",
    re.IGNORECASE,
)
_CONTEXT = re.compile(
    r"context[ _](?:length|window|size)|maximum.*(?:length|tokens)|too many tokens|prompt is too"
    r"|longer than the maximum|exceeds? the (?:available|maximum)",
    re.IGNORECASE,
)


class AudioCapError(PromptTooLargeError):
    """A server takes fewer recordings in one prompt.

    Attributes:
        most: How many.
    """

    def __init__(self, message: str, most: int) -> None:
        super().__init__(message)
        self.most = most


class AudioFormError(EndpointError):
    """A server does not know the form in which a recording was sent."""


class NoAudioError(EndpointError):
    """A server, or the model behind it, takes no recording."""


class RefusedError(EndpointError):
    """A server refuses a request as it is, for another reason."""


class UntoldError(EndpointError):
    """A server does not tell a log-probability that was asked for."""


class AbsentError(EndpointError):
    """A server knows no such address, or offers nothing there with this model."""


class ServerFailedError(EndpointError):
    """A server fails at a request, which may be what it does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An endpoint that was asked, for errors.

    Attributes:
        host: Its host and port.
        address: Its address.
        model: Name of the model there.
        key: The key, which no error may show.
        key_variable: Environment variable that holds it.
        timeout_s: How long an answer may take, in seconds.
        n_sent: How often something was sent for this request.
    """

    host: str
    address: str
    model: str
    key: str
    key_variable: str
    timeout_s: float
    n_sent: int

    def __repr__(self) -> str:
        return f"Asked({self.address!r})"


def explain(error: Exception, asked: Asked) -> EarfulError:
    """Return an error of the ``openai`` package as one of ours.

    Args:
        error: From the package.
        asked: Who was asked.
    """
    import openai

    host, n_sent = asked.host, asked.n_sent
    if isinstance(error, EarfulError):
        return error
    billed = f"; it was sent {n_sent} times, and each may be billed" if n_sent > 1 else ""
    if isinstance(error, openai.APITimeoutError):
        return EndpointError(
            f"{host} did not answer within {asked.timeout_s:g} s{billed}; give it longer "
            "(--request-timeout)"
        )
    if isinstance(error, openai.APIConnectionError):
        cause = _quoted(str(error.__cause__ or error))
        return EndpointError(
            f"{host} cannot be reached ({cause}); is the server running, and is {asked.address} "
            "its address?"
        )
    if isinstance(error, openai.APIStatusError):
        return _explain_status(error, asked, billed)
    return EndpointError(
        f"{host} answers with what cannot be read ({type(error).__name__}: "
        f"{_quoted(str(error))}){billed}; is {asked.address} the address of an endpoint?"
    )


def _explain_status(error: Any, asked: Asked, billed: str) -> EarfulError:
    import openai

    host, status, n_sent = asked.host, error.status_code, asked.n_sent
    said = _message(error).replace(asked.key, "***")
    told = f"{host} refuses the request ({status}: {said})" if said else f"{host} answers {status}"
    if 300 <= status < 400:
        where = printable(error.response.headers.get("location", "another address"))
        return EndpointError(
            f"{host} redirects to {where}, where nothing is sent unasked; if that is the endpoint, "
            "give its address by --base-url"
        )
    if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
        return EndpointError(
            f"{told}; the key is what the environment variable {asked.key_variable} holds"
        )
    if isinstance(error, openai.RateLimitError):
        return EndpointError(
            f"{told}; it was sent {counted(n_sent, 'time')}: ask later, or raise what the account "
            "may ask for"
        )
    if cap := _CAP.search(said):
        most = int(next(filter(None, cap.groups())))
        return AudioCapError(
            f"{asked.model} at {host} takes {counted(most, 'recording')} in one prompt; show "
            "fewer shots, or a montage",
            most,
        )
    if _NO_AUDIO.search(said):
        return NoAudioError(f"{asked.model} at {host} takes no recording ({status}: {said})")
    if status == _TOO_LARGE or (status == 400 and _CONTEXT.search(said)):
        return PromptTooLargeError(f"{told}: the prompt is too large; show fewer or shorter shots")
    if status == 400 and _FORM.search(said):
        return AudioFormError(f"{told}: it does not know this form of audio")
    if status == _NOT_IMPLEMENTED:
        return AbsentError(f"{told}; it does not offer this with {asked.model!r}")
    if status in (404, 405):
        return AbsentError(
            f"{told}; is {asked.address} its address, and is {asked.model!r} served there?"
        )
    if status >= 500:
        return ServerFailedError(f"{host} fails ({status}: {said or 'no reason given'}){billed}")
    return RefusedError(told)


def _message(error: Any) -> str:
    """Return what a server says of its refusal, of an error body of any shape."""
    body = error.body
    if isinstance(body, dict):
        inner = body.get("error", body)
        found = inner.get("message") if isinstance(inner, dict) else inner
        found = found or body.get("detail") or json.dumps(body)
        return _quoted(str(found))
    text = str(body or "")
    return "" if "<html" in text.casefold() else _quoted(text)


def _quoted(text: str) -> str:
    text = printable(" ".join(text.split()))
    return text if len(text) <= _MOST_QUOTED else f"{text[:_MOST_QUOTED]}…"
