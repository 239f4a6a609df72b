"""Lists of labels in one cell, as JSON, Python and NumPy write them."""

from __future__ import annotations

import json
import re

_QUOTED_TEXT = re.compile(r"""(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")(?:\s*,\s*|\s+|$)""")


def listed_labels(text: str) -> list[str] | None:
    r"""Return the texts of a list in a cell; ``None`` for a cell that holds none.

    NumPy writes no commas.

    >>> listed_labels("['dog', 'x']"), listed_labels('["dog", 3]'), listed_labels("['a' 'b']")
    (['dog', 'x'], ['dog', '3'], ['a', 'b'])
    >>> listed_labels("[noise]"), listed_labels("dog, cat"), listed_labels("[]")
    (None, None, [])
    """
    text = text.strip()
    if text[:1] not in ("[", "(", "{") or text[-1:] not in ("]", ")", "}"):
        return None
    if text in ("[]", "()", "set()"):
        return []
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, list):
        is_plain = all(isinstance(x, str | int) and not isinstance(x, bool) for x in found)
        return [str(item) for item in found] if is_plain else None
    return _quoted_texts(text[1:-1])


def _quoted_texts(inner: str) -> list[str] | None:
    """Return the texts between the brackets; ``None`` where anything else stands there."""
    found, position, inner = [], 0, inner.strip()
    while position < len(inner):
        one = _QUOTED_TEXT.match(inner, position)
        if one is None:
            return None
        text = one[1] if one[1] is not None else one[2]
        found.append(re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL))
        position = one.end()
    return found
