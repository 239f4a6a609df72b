"""Reports on requests: counted as they are answered, over threads, with their cost."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from earful.model.chat import RequestReport
from earful.model.endpoint.settings import Prices


class Meter:
    """Counter of requests, posts, tokens and cost.

    Args:
        prices: What tokens cost; ``None`` where no cost is told.
    """

    def __init__(self, prices: Prices | None) -> None:
        self._prices = prices
        self._lock = threading.Lock()
        self._since = RequestReport()
        self._total = RequestReport()

    def count_post(self) -> None:
        """Count one thing that is sent, a repeated attempt included."""
        self._add(RequestReport(n_posts=1))

    def count_kept(self) -> None:
        """Count a request that a kept reply answered."""
        self._add(RequestReport(n_kept=1))

    def count_reply(self, values: Mapping[str, Any]) -> None:
        """Count a reply with the tokens that it took, as far as the server says.

        Args:
            values: The reply, as plain JSON values.
        """
        usage = values.get("usage")
        prompt, audio, completion = tokens_of(values)
        cost = None
        if self._prices is not None and usage is not None:
            cost = self._prices.cost(prompt=prompt, audio=audio, completion=completion)
        self._add(
            RequestReport(
                n_requests=1,
                prompt_tokens=prompt,
                audio_tokens=audio,
                completion_tokens=completion,
                n_uncounted=int(usage is None),
                cost=cost,
                server_model=str(values.get("model") or ""),
                fingerprint=str(values.get("system_fingerprint") or ""),
            )
        )

    def note(self, text: str) -> None:
        """Add what a reader should know."""
        self._add(RequestReport(notes=(text,)))

    def take(self) -> RequestReport:
        """Return what was counted since this was last called."""
        with self._lock:
            taken, self._since = self._since, RequestReport()
            return taken

    @property
    def total(self) -> RequestReport:
        """All that was counted."""
        with self._lock:
            return self._total

    def _add(self, report: RequestReport) -> None:
        with self._lock:
            self._since += report
            self._total += report


def tokens_of(values: Mapping[str, Any]) -> tuple[int, int, int]:
    """Return a reply's tokens of prompt, of audio in it, and of what was written; 0 if unknown."""
    usage = values.get("usage")
    if not isinstance(usage, Mapping):
        return 0, 0, 0
    details = usage.get("prompt_tokens_details")
    audio = details.get("audio_tokens") if isinstance(details, Mapping) else 0
    # The chat protocol's names, or those of decisions.
    prompt = usage.get("prompt_tokens") or usage.get("input_tokens")
    completion = usage.get("completion_tokens") or usage.get("output_tokens")
    return int(prompt or 0), int(audio or 0), int(completion or 0)
