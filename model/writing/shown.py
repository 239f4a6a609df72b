"""What is shown of an answer while it is written; its end is held back, as it may be cut off."""

from __future__ import annotations

from collections.abc import Callable

from earful.model.protocols import GenerationOptions


class ShownText:
    """The part of an answer that was shown.

    Args:
        on_text: Called with each new piece.
        options: Its stops, which may still cut off what looks like their beginning.
        held_back: Characters at the end that may change in any case.
    """

    def __init__(
        self, on_text: Callable[[str], None], options: GenerationOptions, *, held_back: int
    ) -> None:
        self._on_text = on_text
        self._held_back = max([held_back, *map(len, options.stop)])
        self._sent = ""

    def show(self, text: str) -> None:
        """Show as much of what is written so far as will stay."""
        settled = text[: -self._held_back]
        if settled.startswith(self._sent):
            self._send(settled)

    def finish(self, text: str) -> None:
        """Show the rest of an answer.

        Where it does not begin as what was shown did, as a thought showed only by its end that it
        was one, the whole answer is shown, on a line of its own.
        """
        if self._sent.startswith(text):
            return  # the end was cut off
        if not text.startswith(self._sent):
            self._on_text("\n")
            self._sent = ""
        self._send(text)

    def _send(self, text: str) -> None:
        if new := text[len(self._sent) :]:
            self._on_text(new)
            self._sent = text
