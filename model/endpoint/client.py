"""Client of an endpoint: one request, its retries, its faults in words, and what it took.

The ``openai`` package speaks the protocol. What it would do by itself and is not done here: follow
a redirection, which sends a recording to another host; take its address from the environment; use
a proxy for this machine; and hand back a page of HTML as if it were a reply.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

from earful.errors import EndpointError
from earful.model.endpoint.faults import Asked, explain
from earful.model.endpoint.kept import KeptFolder, digest_of, replies_home
from earful.model.endpoint.reports import Meter
from earful.model.endpoint.scoring import DecisionRequest, Reply, read_reply
from earful.model.endpoint.settings import (
    KEY_VARIABLE,
    OPENAI_HOST,
    EndpointSettings,
    host_of,
    is_loopback,
)

if TYPE_CHECKING:
    from openai import OpenAI

_log = logging.getLogger(__name__)

Message = dict[str, Any]
Item = TypeVar("Item")
Result = TypeVar("Result")

_CONNECT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request to write.

    Attributes:
        messages: The turns, as the protocol has them.
        fields: The other fields.
        has_audio: Whether a recording is among the messages.
    """

    messages: Sequence[Message]
    fields: Mapping[str, Any]
    has_audio: bool = False


class EndpointClient:
    """Client of one endpoint.

    Nothing is sent before something is asked.

    Args:
        settings: Where it is, and how it is asked.

    Attributes:
        settings: The same.
        address: Its address.
        host: Its host and port.
        meter: Counts what was asked.
        model: Name of the model there; set once it is known.
    """

    def __init__(self, settings: EndpointSettings) -> None:
        self.settings = settings
        self.address = settings.address()
        self.host = host_of(self.address)
        self.meter = Meter(settings.prices)
        self.model = ""
        self._in_flight = threading.BoundedSemaphore(settings.in_flight)
        self._upload_lock = threading.Lock()
        self._has_uploaded = False
        self._sent = _Sent()
        self._kept = KeptFolder(replies_home()) if settings.keep_replies else None

    def __repr__(self) -> str:
        return f"EndpointClient({self.address!r}, model={self.model!r})"

    @cached_property
    def _client(self) -> OpenAI:
        import openai

        is_local = is_loopback(self.address)
        key = self.settings.key()
        client = openai.OpenAI(
            api_key=key,
            base_url=self.address,
            max_retries=self.settings.retries,
            http_client=openai.DefaultHttpxClient(
                timeout=openai.Timeout(self.settings.timeout_s, connect=_CONNECT_S),
                follow_redirects=False,
                # A proxy in the environment is not for this machine's own servers.
                trust_env=not is_local,
                event_hooks={"request": [partial(_count_post, self.meter, self._sent)]},
            ),
        )
        # Its sockets are closed with this client; the hook above knows only the meter.
        weakref.finalize(self, client.close)
        if self.host != OPENAI_HOST:
            # The client takes them from the environment, whoever is asked.
            client.organization = client.project = None
        return client

    @property
    def _chat(self) -> Any:
        # Untyped: most fields are known to some servers only.
        return self._client.chat.completions

    def models(self) -> list[dict[str, Any]] | None:
        """Return the models that are served, as plain JSON values; ``None`` if it lists none.

        Raises:
            EndpointError: It cannot be reached, or takes another key.
        """
        from openai import NotFoundError

        with self._explained(), self._in_flight:
            try:
                page: Any = self._client.models.list()
                found = [entry.to_dict() for entry in page.data]
            except NotFoundError:
                return None
            except AttributeError:
                raise EndpointError(
                    f"{self.host} answers with a page and no list of models; the address of an "
                    "endpoint mostly ends in /v1"
                ) from None
        return found

    def complete(self, request: Request, *, may_keep: bool = True) -> Reply:
        """Send a request, and return what was written.

        Args:
            request: What is asked.
            may_keep: Whether a reply that was kept may answer it.

        Raises:
            EndpointError: There is no answer.
            PromptTooLargeError: The server takes less than it was sent.
        """
        fields = {**request.fields, **self.settings.fields}
        key = ""
        if self._kept is not None and may_keep:
            key = digest_of(self.address, self.model, list(request.messages), fields)
            if (known := self._kept.get(key)) is not None:
                self.meter.count_kept()
                return read_reply(known, self.host)
        self._announce(request)
        with self._explained(), self._in_flight:
            found = self._chat.create(
                model=self.model, messages=list(request.messages), extra_body=fields
            )
        values = self._plain(found)
        reply = read_reply(values, self.host)
        self.meter.count_reply(values)
        if self._kept is not None and key:
            self._kept.put(key, values)
        return reply

    def decide(self, request: DecisionRequest, *, may_keep: bool = True) -> dict[str, Any]:
        """Send a request to decide, and return the reply as plain JSON values.

        Args:
            request: What is asked, in words: nothing of it is a recording.
            may_keep: Whether a reply that was kept may answer it.

        Raises:
            EndpointError: There is no answer.
            PromptTooLargeError: The server takes less than it was sent.
        """
        fields = dict(self.settings.fields)
        key = ""
        if self._kept is not None and may_keep:
            questions = [dict(question) for question in request.questions]
            asked = {"input": request.input, "questions": questions}
            key = digest_of(self.address, self.model, asked, fields)
            if (known := self._kept.get(key)) is not None:
                self.meter.count_kept()
                return dict(known)
        decisions: Any = self._client.decisions
        with self._explained(), self._in_flight:
            found = decisions.create(
                model=self.model,
                input=request.input,
                questions=list(request.questions),
                extra_body=fields,
            )
        values = self._plain(found, what="decision")
        self.meter.count_reply(values)
        if self._kept is not None and key:
            self._kept.put(key, values)
        return values

    def stream(self, request: Request, on_text: Callable[[str], None]) -> Reply:
        """Send a request, and hand on what is written, piece by piece; see ``complete``."""
        if self._kept is not None:
            reply = self.complete(request)
            on_text(reply.text)
            return reply
        self._announce(request)
        fields = {**request.fields, **self.settings.fields}
        pieces: list[str] = []
        values: dict[str, Any] = {}
        finish = ""
        tokens: list[Any] = []
        with self._explained(), self._in_flight:
            chunks = self._chat.create(
                model=self.model,
                messages=list(request.messages),
                stream=True,
                stream_options={"include_usage": True},
                extra_body=fields,
            )
            for chunk in chunks:
                plain = self._plain(chunk, what="chat.completion.chunk")
                values |= {k: v for k, v in plain.items() if k != "choices" and v is not None}
                # The last one has the usage, and no choice.
                for choice in plain.get("choices") or ():
                    piece = (choice.get("delta") or {}).get("content") or ""
                    tokens += (choice.get("logprobs") or {}).get("content") or ()
                    finish = choice.get("finish_reason") or finish
                    if piece:
                        pieces.append(piece)
                        on_text(piece)
        if not values:
            # Of a whole reply or a page in place of a stream the client makes a stream of nothing.
            self.meter.note(f"{self.host} streams nothing, so it was asked again for all at once")
            reply = self.complete(request)
            on_text(reply.text)
            return reply
        choice = {
            "message": {"role": "assistant", "content": "".join(pieces)},
            "finish_reason": finish,
            "logprobs": {"content": tokens} if tokens else None,
        }
        self.meter.count_reply(values)
        return read_reply({**values, "choices": [choice]}, self.host)

    def each(self, ask: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Ask about several items, as many at once as the settings allow; in their order."""
        if len(items) == 1:
            return [ask(items[0])]
        with ThreadPoolExecutor(max_workers=min(self.settings.in_flight, len(items))) as pool:
            asked = [pool.submit(ask, item) for item in items]
            try:
                return [one.result() for one in asked]
            except BaseException:
                # What failed once is not sent for the others as well.
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _plain(self, found: Any, *, what: str = "chat.completion") -> dict[str, Any]:
        """Return a reply as plain values; the client hands a page of HTML on as a text."""
        values = found.to_dict() if hasattr(found, "to_dict") else None
        if not isinstance(values, dict):
            kind = "a page" if isinstance(found, str) else type(found).__name__
            raise EndpointError(
                f"{self.host} answers with {kind}, expected a {what}; the address of an endpoint "
                "mostly ends in /v1, and a proxy may answer in its place"
            )
        return values

    def _announce(self, request: Request) -> None:
        """Say once where recordings go, before the first one goes."""
        if not request.has_audio:
            return
        with self._upload_lock:
            if self._has_uploaded:
                return
            self._has_uploaded = True
        plain = self.address.startswith("http:") and not is_loopback(self.address)
        where = f"recordings are sent to {self.host}" + (", unencrypted" if plain else "")
        _log.info(where, extra={"host": self.host})
        if self.settings.on_upload is not None:
            self.settings.on_upload(where)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn the client's errors into ours."""
        import openai

        # By thread: other requests are under way at the same time.
        n_before = self._sent.n
        try:
            yield
        except (openai.OpenAIError, ValueError) as error:
            n_sent = self._sent.n - n_before
            asked = Asked(
                host=self.host,
                address=self.address,
                model=self.model,
                key=self.settings.key(),
                key_variable=self.settings.key_variable or KEY_VARIABLE,
                timeout_s=self.settings.timeout_s,
                n_sent=n_sent,
            )
            raise explain(error, asked) from None


class _Sent(threading.local):
    """Number of things that a thread has sent."""

    n = 0


def _count_post(meter: Meter, sent: _Sent, request: Any) -> None:
    if request.method == "POST":
        meter.count_post()
        sent.n += 1
