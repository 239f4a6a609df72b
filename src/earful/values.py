"""Values as people meet them: a ``repr`` of one short line, and data frames."""

from __future__ import annotations

import dataclasses
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from earful.wording import printable

if TYPE_CHECKING:
    import pandas as pd

_WIDTH = 118
_MOST_CHARACTERS = 44
_MOST_ITEMS = 3


class _Short(reprlib.Repr):
    """Short forms of what fields hold."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxlong = _MOST_CHARACTERS
        self.maxother = 2 * _MOST_CHARACTERS
        self.maxtuple = self.maxlist = self.maxfrozenset = self.maxdict = _MOST_ITEMS
        self.maxlevel = 2

    def repr_instance(self, value: Any, level: int) -> str:
        if isinstance(value, float):
            return f"{value:.6g}"
        if isinstance(value, PurePath):
            return self.repr_str(str(value), level)
        if _is_array(value):
            return f"<{value.dtype} {'x'.join(map(str, value.shape))}>"
        if isinstance(value, Mapping):
            return self.repr_dict(dict(value), level)
        return printable(super().repr_instance(value, level))

    repr_float = repr_ndarray = repr_instance

    def repr_tuple(self, value: tuple[Any, ...], level: int) -> str:
        # Of a few labels each is shown, of hits only how many there are.
        if value and dataclasses.is_dataclass(value[0]):
            return f"<{len(value)} {type(value[0]).__name__}>"
        return super().repr_tuple(value, level)


_SHORT = _Short()


def _is_array(value: object) -> bool:
    return hasattr(value, "dtype") and hasattr(value, "shape")


def short_repr(value: Any, *names: str) -> str:
    """Return the ``repr`` of a dataclass in one line: its fields other than their defaults.

    Args:
        value: An instance.
        names: The fields to show, in this order; none for all, but for those with
            ``repr=False``, which are secrets.

    >>> from earful import Exemplar
    >>> Exemplar(id="bark", audio="bark.wav", labels=("dog",))
    Exemplar(id='bark', audio='bark.wav', answer='dog', labels=('dog',))
    """
    fields = {field.name: field for field in dataclasses.fields(value)}
    shown = {}
    for name in names or [name for name, field in fields.items() if field.repr]:
        field, found = fields[name], getattr(value, name)
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        if _is_array(found) or found != default:
            shown[name] = found
    return repr_of(value, **shown)


def repr_of(value: object, **shown: object) -> str:
    """Return a ``repr`` in one line of what is shown of an object.

    Long texts and collections are cut, arrays only named, and what does not fit is left out.

    >>> repr_of(3, path=PurePath("sounds.index"), labels=tuple("abcde"), weights=[0.1] * 9)
    "int(path='sounds.index', labels=('a', 'b', 'c', ...), weights=[0.1, 0.1, 0.1, ...])"
    """
    title = type(value).__name__
    parts = [f"{name}={_SHORT.repr(found)}" for name, found in shown.items()]
    text = f"{title}({', '.join(parts)})"
    while len(text) > _WIDTH and parts:
        parts.pop()
        text = f"{title}({', '.join([*parts, '…'])})"
    return text


def embedder_repr(embedder: Any) -> str:
    """Return the ``repr`` of an embedder: its name and its vectors."""
    made = embedder.fingerprint
    return repr_of(embedder, name=made.name, dim=made.dim, sample_rate=made.sample_rate)


def language_model_repr(model: Any) -> str:
    """Return the ``repr`` of a language model: its name, and how many recordings it hears."""
    able = model.capabilities
    return repr_of(model, name=able.name, max_audios=able.max_audios)


def data_frame(rows: Iterable[Mapping[str, object]], columns: Sequence[str]) -> pd.DataFrame:
    """Return a data frame of rows.

    Args:
        rows: What each row holds, by column.
        columns: The columns, in order; also those of a data frame without rows.

    Raises:
        ModuleNotFoundError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        if error.name != "pandas":
            raise
        message = "a data frame takes pandas, which is not installed: `pip install pandas`"
        raise ModuleNotFoundError(message, name="pandas") from None
    return pd.DataFrame(list(rows), columns=list(columns))
