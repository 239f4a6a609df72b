"""Numbers in sentences."""

from __future__ import annotations


def counted(n: int, one: str, many: str = "") -> str:
    """Return a number and the words that go with it.

    Args:
        n: How many.
        one: For one of it, such as ``"row"`` or ``"row has"``.
        many: For none or several; ``one`` with an s when empty.

    >>> counted(1, "row"), counted(1200, "row"), counted(0, "copy", "copies")
    ('1 row', '1,200 rows', '0 copies')
    """
    return f"{n:,} {one if n == 1 else many or f'{one}s'}"
