"""``ReadOnlyDict``: a mapping that a frozen value can hold, and that can be pickled and copied."""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class ReadOnlyDict(dict[Key, Value]):
    """A dictionary that is filled once.

    Unlike ``types.MappingProxyType`` it can be pickled and copied, and JSON takes it.

    >>> import copy, pickle
    >>> counts = ReadOnlyDict({"dog": 2})
    >>> pickle.loads(pickle.dumps(counts)) == copy.deepcopy(counts) == {"dog": 2}
    True
    >>> counts["dog"] = 3
    Traceback (most recent call last):
    TypeError: a ReadOnlyDict cannot be changed; make a dict of it
    """

    __slots__ = ()

    def __reduce__(self) -> tuple[type, tuple[dict[Key, Value]]]:
        return type(self), (dict(self),)

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("a ReadOnlyDict cannot be changed; make a dict of it")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse
