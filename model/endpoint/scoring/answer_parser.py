"""Answer parser: the one answer that a written text names, or none.

Strict, so that no text counts as an answer that it does not give: a text names an answer when it is
that answer, or when exactly one answer occurs in it as whole words and nothing before it negates.
Nothing is matched by likeness.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_THOUGHT = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_THOUGHT_END = re.compile(r"^.*</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_THOUGHT_START = re.compile(r"<think(?:ing)?>.*$", re.DOTALL | re.IGNORECASE)
_WORD = re.compile(r"\w+(?:['\u2019]\w+)*")
_ARTICLES: Final = frozenset({"a", "an", "the"})
_NEGATIONS: Final = frozenset(
    {
        *("no", "not", "never", "neither", "nor", "without", "none", "nothing", "cannot"),
        *("hardly", "unlikely", "except", "rather", "instead", "nobody"),
    }
)


def strip_reasoning(text: str) -> str:
    """Return a text without what a model thought aloud, finished or not.

    >>> strip_reasoning("<think>a dog?</think> cat"), strip_reasoning("hm</think>dog")
    ('cat', 'dog')
    >>> strip_reasoning("<think>and then")
    ''
    """
    text = _THOUGHT.sub("", text)
    # Some templates open the thought themselves, so that only its end is written.
    text = _THOUGHT_END.sub("", text)
    return _THOUGHT_START.sub("", text).strip()


def parse_answer(
    text: str, answers: Sequence[str], aliases: Sequence[Sequence[str]] = ()
) -> int | None:
    """Return which answer a text names; ``None`` for none of them, or several.

    Args:
        text: What a model wrote.
        answers: The answers to choose from.
        aliases: For each answer, other texts that mean it; none when empty.

    >>> parse_answer("It is a Dog.", ["cat", "dog"]), parse_answer("no dog", ["cat", "dog"])
    (1, None)
    >>> parse_answer("dog bark", ["dog", "dog bark"])
    1
    """
    said = _words(strip_reasoning(text).partition("\n")[0])
    names = [
        (words, row)
        for row, answer in enumerate(answers)
        for name in (answer, *(aliases[row] if aliases else ()))
        if (words := _words(name))
    ]
    equal = {row for words, row in names if words == said}
    if equal:
        return equal.pop() if len(equal) == 1 else None
    spans = [
        (start, start + len(words), row)
        for words, row in names
        for start in range(len(said) - len(words) + 1)
        if said[start : start + len(words)] == words
    ]
    # "dog" within "dog bark" is a part of that name, and no name of its own.
    whole = [
        span
        for span in spans
        if not any(
            other[0] <= span[0] and span[1] <= other[1] and other[:2] != span[:2] for other in spans
        )
    ]
    rows = {row for _, _, row in whole}
    if len(rows) != 1:
        return None
    first = min(start for start, _, _ in whole)
    negated = any(word in _NEGATIONS or _is_contracted(word) for word in said[:first])
    return None if negated else rows.pop()


def _words(text: str) -> tuple[str, ...]:
    found = _WORD.findall(text.casefold().replace("_", " ").replace("\u2019", "'"))
    kept = tuple(word for word in found if word not in _ARTICLES)
    # An answer such as "A" is an article, and all there is.
    return kept or tuple(found)


def _is_contracted(word: str) -> bool:
    return word.endswith("n't")
