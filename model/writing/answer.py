"""The text of an answer as its tokens come: it ends by itself, at a stop, or where it repeats."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Sequence

from earful.model.protocols import Generation, GenerationOptions
from earful.model.repetition import RepetitionStop, trim_separators
from earful.model.writing.shown import ShownText

_HELD_BACK = 8  # characters that the clean-up of spaces may still change


def write_answer(
    steps: Iterable[tuple[int, float]],
    options: GenerationOptions,
    *,
    end_ids: Collection[int],
    decode: Callable[[Sequence[int]], str],
    on_text: Callable[[str], None] | None = None,
) -> Generation:
    """Write an answer from tokens; no more of them are asked for once it has ended.

    Args:
        steps: Each token with its log-probability.
        options: Stops, and whether repetition ends it.
        end_ids: Tokens that end it.
        decode: Returns the text of tokens, control tokens left out.
        on_text: Called with each new piece; what a stop or a repetition may still cut off is
            held back.
    """
    ids: list[int] = []
    log_probabilities: list[float] = []
    text = ""
    repetition = RepetitionStop()
    shown = None if on_text is None else ShownText(on_text, options, held_back=_HELD_BACK)
    stopped = "length"
    for token, log_probability in steps:
        ids.append(token)
        log_probabilities.append(log_probability)
        written = decode(ids)
        text = options.cut(written).rstrip()
        if token in end_ids or len(text) < len(written.rstrip()):
            stopped = "end"
            break
        settled = text
        if options.stop_repetition:
            repetition.add(_piece(token, decode))
            if (n_kept := repetition.n_kept) is not None:
                stopped = "repetition"
                del ids[n_kept:], log_probabilities[n_kept:]
                text = trim_separators(decode(ids))
                break
            # What a repetition may still cut off is held back, too.
            settled = trim_separators(decode(ids[: repetition.n_settled]))
        if shown is not None:
            shown.show(settled)
    if shown is not None:
        shown.finish(text)
    return Generation(
        text=text,
        n_tokens=len(ids),
        stopped=stopped,
        log_probability=sum(log_probabilities),
    )


def _piece(token: int, decode: Callable[[Sequence[int]], str]) -> Hashable:
    """Return what a token says, the same with a space before it or in capitals."""
    text = decode([token]).strip().lower()
    # Half a character says nothing by itself.
    return token if not text or "\ufffd" in text else text
