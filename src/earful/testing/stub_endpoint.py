"""A stub of an endpoint on this machine, with the dialects, limits and faults of real servers."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
import threading
import time
import wave
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from earful.testing.stub_decisions import decide

Body = dict[str, Any]

TOKENS_PER_SECOND = 25
LIKES_A = 0.1
"""What the first letter gets whatever is asked, as models do."""


@dataclass
class StubEndpoint:
    """Behaviour of a stub, and what it was sent.

    Attributes:
        owner: Who serves, as ``/models`` says; it decides which fields are known.
        cap: Most recordings in one prompt; more are refused as this server refuses them.
        hears: Most recordings that are heard, the others dropped without a word.
        cut_s: Seconds of a recording that are heard.
        form: The only form of audio that is known; empty for both.
        logprobs: Whether log-probabilities are told.
        constrains: Whether a constraint is obeyed.
        counts: Whether tokens are counted.
        prefers: The label that it likes; or a function of the request.
        writes: What it writes where nothing constrains it; empty for the label.
        listed: Names of models; ``None`` for a server without a list.
        context: Longest prompt that it says.
        faults: Of the next chat requests: status, body and headers of a fault each, or ``None``.
        slow_s: Seconds that each answer takes.
        html: Whether chat requests are answered by a page.
        system: Whether templates know the system.
        needs_audio: Whether a prompt without a recording is refused.
        streams: Whether answers are streamed, or the wish for it is passed over.
        decides: Most choices of a decision; 0 for a server that makes none.
        declines: Whether it declines to decide, as OpenAI's may.
        mass: Share of probability of a decision's choices, as vLLM tells it.
        most_at_once: Most chat requests that were under way at once.
        bodies: Requests so far, faults included.
        headers: Their headers, names in lower case.
        address: Where it is, to be given as ``base_url``.
    """

    owner: str = "vllm"
    cap: int | None = None
    hears: int | None = None
    cut_s: float = math.inf
    form: str = ""
    logprobs: bool = True
    constrains: bool = True
    counts: bool = True
    prefers: str | Callable[[Body], str] = "low"
    writes: str = ""
    listed: list[str] | None = field(default_factory=lambda: ["ears-7b"])
    context: int = 32_768
    faults: list[tuple[int, Any, Mapping[str, str]] | None] = field(default_factory=list)
    slow_s: float = 0.0
    html: bool = False
    system: bool = True
    needs_audio: bool = False
    streams: bool = True
    decides: int = 0
    declines: bool = False
    mass: float = 1.0
    most_at_once: int = 0
    bodies: list[Body] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    address: str = ""

    @property
    def asked(self) -> list[Body]:
        """The requests that are no check: those of more than noise, or a number."""
        checks = ("Is this noise?", "Which number is it?")
        return [
            body for body in self.bodies if not any(said in json.dumps(body) for said in checks)
        ]


@contextmanager
def serve_stub(stub: StubEndpoint, host: str = "127.0.0.1") -> Iterator[StubEndpoint]:
    """Serve a stub while a block runs."""
    lock = threading.Lock()
    under_way = 0

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # headers and body in one packet, or each answer waits for an acknowledgement

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            if stub.listed is None or not self.path.endswith("/models"):
                self._send(404, {"error": {"message": "not found"}})
                return
            entries = [
                {
                    **{"id": name, "object": "model", "created": time.time_ns()},
                    **{"owned_by": stub.owner, "max_model_len": stub.context},
                }
                for name in stub.listed
            ]
            self._send(200, {"object": "list", "data": entries})

        def do_POST(self) -> None:
            nonlocal under_way
            with lock:
                under_way += 1
                stub.most_at_once = max(stub.most_at_once, under_way)
            try:
                self._answer()
            finally:
                with lock:
                    under_way -= 1

        def _answer(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                stub.bodies.append(body)
                stub.headers.append({k.lower(): v for k, v in self.headers.items()})
                fault = stub.faults.pop(0) if stub.faults else None
            time.sleep(stub.slow_s)
            if fault is not None:
                self._send(*fault)
            elif stub.html:
                self._send(200, "<html>welcome</html>", {"Content-Type": "text/html"})
            elif self.path.endswith("/decisions"):
                self._send(*decide(stub, body))
            elif refusal := _refusal(stub, body):
                self._send(*refusal)
            elif body.get("stream") and stub.streams:
                self._stream(answer(stub, body))
            else:
                self._send(200, answer(stub, body))

        def _send(self, status: int, body: Any, headers: Mapping[str, str] = {}) -> None:
            data = (body if isinstance(body, str) else json.dumps(body)).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            # Who asked may have lost patience.
            try:
                self.wfile.write(data)
            except OSError:
                self.close_connection = True

        def _stream(self, whole: Body) -> None:
            (choice,) = whole["choices"]
            text = choice["message"]["content"]
            pieces = [text[at : at + 3] for at in range(0, len(text), 3)]
            shared = {key: whole[key] for key in ("id", "created", "model")}
            shared["object"] = "chat.completion.chunk"
            chunks: list[Body] = [
                {"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]}
                for piece in pieces
            ]
            chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
            chunks.append({"choices": [], "usage": whole.get("usage")})
            lines = [f"data: {json.dumps({**shared, **chunk})}\n\n" for chunk in chunks]
            data = "".join([*lines, "data: [DONE]\n\n"])
            self._send(200, data, {"Content-Type": "text/event-stream"})

    server = ThreadingHTTPServer((host, 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.daemon = True
    thread.start()
    stub.address = f"http://{host}:{server.server_port}/v1"
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def audio_of(body: Body) -> list[bytes]:
    """Return the recordings of a request as WAV files, in order."""
    found = []
    for message in body["messages"]:
        parts = message["content"] if isinstance(message["content"], list) else []
        for part in parts:
            if part["type"] == "input_audio":
                found.append(base64.b64decode(part["input_audio"]["data"]))
            elif part["type"] == "audio_url":
                found.append(base64.b64decode(part["audio_url"]["url"].partition(",")[2]))
    return found


def text_of(body: Body) -> str:
    """Return the words of a request, a line a part."""
    lines = []
    for message in body["messages"]:
        content = message["content"]
        parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
        lines += [part["text"] for part in parts if part["type"] == "text"]
    return "\n".join(lines)


def seconds_of(wav: bytes) -> float:
    """Return the length of a WAV file in seconds."""
    with wave.open(io.BytesIO(wav)) as opened:
        return float(opened.getnframes() / opened.getframerate())


def answer(stub: StubEndpoint, body: Body) -> Body:
    """Return what a stub answers."""
    heard = audio_of(body)[: stub.hears]
    own = stub.prefers if isinstance(stub.prefers, str) else stub.prefers(body)
    choice: Body = {"index": 0, "finish_reason": "stop"}
    text = _written(stub, body, own)
    choice["message"] = {"role": "assistant", "content": text}
    if body.get("logprobs") and stub.logprobs:
        choice["logprobs"] = {"content": [_first_token(body, own, heard)]}
    seconds = sum(min(seconds_of(wav), stub.cut_s) for wav in heard)
    n_prompt = len(text_of(body).split()) + round(seconds * TOKENS_PER_SECOND)
    reply: Body = {
        **{"id": "x", "object": "chat.completion", "created": 1, "model": body["model"]},
        **{"choices": [choice], "system_fingerprint": "fp_1"},
    }
    if stub.counts:
        reply["usage"] = {
            **{"prompt_tokens": n_prompt, "completion_tokens": 2, "total_tokens": n_prompt + 2},
        }
    if stub.owner == "vllm" and "prompt_logprobs" in body and stub.logprobs:
        reply["prompt_logprobs"] = [None, *_prompt_logprobs(body, own)]
    return reply


def _written(stub: StubEndpoint, body: Body, own: str) -> str:
    if stub.constrains:
        if stub.owner == "vllm" and (made := body.get("structured_outputs")):
            return own if own in made["choice"] else str(made["choice"][0])
        if stub.owner == "sglang" and (regex := body.get("regex")):
            allowed = regex.strip("()").split("|")
            return own if own in allowed else str(allowed[0])
        if stub.owner == "llamacpp" and (grammar := body.get("grammar")):
            allowed = [json.loads(x) for x in grammar.removeprefix("root ::= ").split(" | ")]
            return own if own in allowed else str(allowed[0])
        if stub.owner == "openai" and (form := body.get("response_format")):
            schema = form["json_schema"]["schema"]["properties"]["answer"]["enum"]
            return json.dumps({"answer": own if own in schema else schema[0]})
    return stub.writes or own


def _first_token(body: Body, own: str, heard: list[bytes]) -> Body:
    """Return the likeliest first tokens: the letter of the label, and a liking for A."""
    letters = {}
    for line in text_of(body).splitlines():
        if len(line) > 2 and line[1:3] == ". " and line[0].isupper():
            letters[line[3:]] = line[0]
    # What is heard changes every probability a little.
    ear = int(hashlib.sha256(b"".join(heard)).hexdigest()[:4], 16) / 16**4 / 50
    shares = {"Yes": 0.5 + ear, "No": 0.4 - ear}
    if letters:
        shares = dict.fromkeys(letters.values(), 0.02)
        shares[letters.get(own, "A")] = 0.6 + ear
        shares["A"] = shares.get("A", 0.0) + LIKES_A
    top = [{"token": t, "logprob": math.log(p), "bytes": None} for t, p in shares.items()]
    top.sort(key=lambda entry: -float(entry["logprob"]))  # type: ignore[arg-type]
    n = body.get("top_logprobs") or 1
    return {**top[0], "top_logprobs": top[:n]}


def _prompt_logprobs(body: Body, own: str) -> list[Body]:
    """Return what vLLM tells of a prompt that ends in an answer, in tokens of three letters."""
    said = str(body["messages"][-1]["content"])
    pieces = ["<|im_start|>", "assistant", "\n"]
    pieces += [said[at : at + 3] for at in range(0, len(said), 3)]
    found = -0.1 if said == own else -2.0
    return [
        {str(n): {"logprob": found, "rank": 1, "decoded_token": p}} for n, p in enumerate(pieces)
    ]


def _refusal(stub: StubEndpoint, body: Body) -> tuple[int, Body] | None:
    """Return status and body with which a server refuses; ``None`` where it does not."""

    def refused(message: str, status: int = 400) -> tuple[int, Body]:
        return status, {"error": {"message": message, "type": "BadRequestError", "code": status}}

    forms = {
        part["type"]
        for message in body["messages"]
        if isinstance(message["content"], list)
        for part in message["content"]
    } - {"text"}
    if stub.form and forms - {stub.form}:
        return refused("unsupported content[].type")
    if not stub.system and body["messages"][0]["role"] == "system":
        return refused("System role not supported")
    n = len(audio_of(body))
    if stub.needs_audio and not n:
        return refused("This model requires that input content contain audio.")
    if stub.cap is not None and n > stub.cap:
        if stub.owner == "llamacpp":
            return refused("audio input is not supported", 500)
        if stub.owner == "sglang":
            return refused(f"Audio count {n} exceeds limit {stub.cap} per request.")
        return refused(
            f"At most {stub.cap} audio(s) may be provided in one prompt. Set "
            "--limit-mm-per-prompt to increase this limit."
        )
    return None
