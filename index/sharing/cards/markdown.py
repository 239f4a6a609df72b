"""Text of strangers in Markdown: shown as it is, and never read as Markdown, HTML or YAML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from earful.wording import counted

_MOST_SHOWN: Final = 200


def code(text: str, *, most: int = _MOST_SHOWN) -> str:
    r"""Return a text as a span of code, in which nothing is a link, a tag or a heading.

    Control characters and marks that change the direction of text are escaped, and a long text is
    cut.

    >>> code("dog"), code("a`b"), code("<script>\n")
    ('`dog`', '`` a`b ``', '`<script>\\n`')
    """
    shown = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode()
        for char in text[:most]
    )
    if len(text) > most:
        shown += "…"
    if not shown.strip():
        return "(empty)"
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    pad = " " if shown[0] in "` " or shown[-1] in "` " or "`" in shown else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def counted_list(counts: Mapping[str, int], *, most: int, one: str, more: str) -> list[str]:
    """Return lines of a list: each text with its number of rows, the first ones only.

    Args:
        counts: Rows by text, in the order to show.
        most: Most lines.
        one: What is counted, such as ``"row"``.
        more: What the rest is called, such as ``"label"``.

    >>> counted_list({"dog": 2, "cat": 1, "owl": 1}, most=2, one="row", more="label")
    ['- `dog`: 2 rows', '- `cat`: 1 row', '- and 1 further label']
    """
    lines = [f"- {code(text)}: {counted(n, one)}" for text, n in list(counts.items())[:most]]
    if len(counts) > most:
        lines.append(f"- and {counted(len(counts) - most, f'further {more}')}")
    return lines


def front_matter(values: Mapping[str, Any]) -> str:
    """Return values as YAML between two lines of dashes, as cards begin."""
    import yaml

    text = yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=False, width=1000)
    return f"---\n{text}---\n"
