"""The Decisions API of a stub: as vLLM serves it, with OpenAI's refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

Body = dict[str, Any]

LIKES_FIRST = 0.2
"""What the first choice gets whatever is asked, as models do."""

_KNOWN = {"model", "input", "questions", "safety_identifier"}


class Decider(Protocol):
    """What a stub says of decisions; see ``StubEndpoint``."""

    owner: str
    decides: int
    declines: bool
    counts: bool
    mass: float
    prefers: str | Callable[[Body], str]


def decide(stub: Decider, body: Body) -> tuple[int, Body]:
    """Return status and body with which a stub answers a request to decide."""
    if not stub.decides:
        if stub.owner == "vllm":
            return _error(501, "The model does not support the Decisions API")
        return _error(404, "Not Found")
    if unknown := sorted(body.keys() - _KNOWN):
        return _error(400, f"{unknown[0]}: Extra inputs are not permitted")
    if not isinstance(body["input"], str):
        return _error(400, "Decisions supports text input only; audio is not supported")
    for question in body["questions"]:
        n = len(question["choices"])
        if not 2 <= n <= 255:
            return _error(400, "choices: List should have between 2 and 255 items")
        if n > stub.decides:
            return _error(400, f"This model supports at most {stub.decides} choices per question")
        if len({choice["value"] for choice in question["choices"]}) < n:
            return _error(400, "choice values must be distinct")
    n_read = len(body["input"].split()) * len(body["questions"])
    reply: Body = {
        "model": body["model"],
        "answers": [_answer(stub, body, question) for question in body["questions"]],
    }
    if stub.counts:
        reply["usage"] = {
            **{"input_tokens": n_read, "output_tokens": 1, "total_tokens": n_read + 1},
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        }
    return 200, reply


def _answer(stub: Decider, body: Body, question: Body) -> Body:
    if stub.declines and "Which number" not in question["instructions"]:
        return {"type": "refusal", "name": None}
    values = [choice["value"] for choice in question["choices"]]
    own = stub.prefers if isinstance(stub.prefers, str) else stub.prefers(body)
    shares = dict.fromkeys(values, 0.1 / len(values))
    shares[values[0]] += LIKES_FIRST
    shares[own if own in shares else values[0]] += 0.9 - LIKES_FIRST
    top = max(values, key=lambda value: shares[value])
    return {
        **{"type": "choice", "name": None, "choice": top, "confidence": shares[top] * stub.mass},
        "probabilities": [{"value": value, "probability": shares[value]} for value in values],
    }


def _error(status: int, message: str) -> tuple[int, Body]:
    return status, {"error": {"message": message, "type": "BadRequestError", "code": status}}
