"""Names of columns and values that tables in the wild have for our fields and for nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from earful.errors import CorpusError
from earful.wording import as_argument, quoted

# The first of these that a table has is used. Upper and lower case are one, but in ``id``: a
# column ``ID`` mostly numbers the rows of something else. Further times: ``times.py``.
ALIASES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "audio": (
            *("audio", "file_name", "filename", "path", "file", "audio_path"),
            *("audio_filepath", "audio_file", "filepath", "file_path"),
            *("begin path", "begin file", "in file", "audiofilename"),
        ),
        "labels": (
            *("labels", "label", "category", "class", "tags"),
            *("species", "common name", "annotation", "manual id"),
            *("event_label", "event_labels", "class_name", "class_label", "sound_event", "event"),
        ),
        "not_labels": ("not_labels", "not_label", "negative_labels"),
        "id": ("id",),
        "start_s": ("start_s", "start", "file offset (s)", "begin time (s)", "start (s)"),
        "end_s": ("end_s", "end", "end time (s)", "end (s)"),
        "duration_s": (),
        "question": ("question",),
        "answer": ("answer", "caption"),
        "task": ("task",),
        "split": ("split",),
        "group": ("group", "speaker", "recording"),
        "licence": ("licence", "license"),
    }
)
# The words that are said: an answer where a table has no other, and no labels.
TRANSCRIPT = "text"
KNOWN_COLUMNS = frozenset(alias for aliases in ALIASES.values() for alias in aliases)

# What people call fields beside these, and what they mean where two have the name.
_FIELD_OF = {
    **{alias: field for field, aliases in reversed(tuple(ALIASES.items())) for alias in aliases},
    **{"recording": "audio", "duration": "duration_s", "not": "not_labels"},
}

# What R, pandas and spreadsheets write where there is nothing.
_MISSING = frozenset(
    {"NA", "N/A", "#N/A", "#NA", "n/a", "<NA>", "NaN", "nan", "-NaN", "-nan", "NaT"}
    | {"None", "none", "NULL", "Null", "null", "nil", "NIL", "?", "--", "---"}
    | {"#NV", "#N/D", "#ND", "#N/V", "#N/B", "#I/T", "#N/DISP", "#N/A N/A", "#n/a"}
)
# What people write there, in capitals or not.
_WORDS_FOR_MISSING = frozenset(
    {"n.a.", "n. a.", "k.a.", "k. a.", "n.v.", "leer", "(leer)", "(blank)", "(empty)", "(vide)"}
    | {"<null>", "(null)", "s/o", "n.d."}
)
# These may be a label, too: they are told, and never dropped.
DASHES = frozenset({"-", "\u2013", "\u2014"})
# An error of a spreadsheet in any language: #WERT!, #VALEUR!, #DIV/0!, #NAME?
_SPREADSHEET_ERROR = re.compile("#[\u00a1\u00bf]?[^\\W_]+(/0)?[!?]")

MAY_BE_MISSING = frozenset({"split", "group", "licence", "task"})

# Words in the names of columns that may hold labels.
_LIKE_LABELS = re.compile(
    r"lab|klass|class|categ|species|kind|type|event|sound|tag|annot|target|name|code|match|auto id",
    re.IGNORECASE,
)


def fields_meant(columns: Mapping[str, str]) -> dict[str, str]:
    """Return columns by their fields, which may be called as their columns usually are.

    Args:
        columns: Column of each field, as somebody named it.

    Raises:
        CorpusError: Two names are of one field.

    >>> fields_meant({"recording": "Datei", "label": "Art", "start": "von", "moon": "Mond"})
    {'audio': 'Datei', 'labels': 'Art', 'start_s': 'von', 'moon': 'Mond'}
    """
    found: dict[str, str] = {}
    said: dict[str, str] = {}
    for name, column in columns.items():
        field = name if name in ALIASES else _FIELD_OF.get(name.lower(), name)
        if field in found:
            raise CorpusError(
                f"columns {quoted(found[field])} and {quoted(column)} are both given for {field}, "
                f"as {said[field]} and as {name}; expected one of them"
            )
        found[field], said[field] = column, name
    return found


def is_missing(text: str) -> bool:
    """Whether a text stands for a missing value in tables.

    >>> is_missing("#WERT!"), is_missing("k.A."), is_missing("-"), is_missing("Nandu")
    (True, True, False, False)
    """
    is_error = text.isupper() and _SPREADSHEET_ERROR.fullmatch(text) is not None
    return is_error or text in _MISSING or text.casefold() in _WORDS_FOR_MISSING


def is_named_like_labels(column: str) -> bool:
    """Whether the name of a column says that it may hold labels."""
    return _LIKE_LABELS.search(column) is not None


def as_option(field: str, column: str) -> str:
    """Return what ``--column`` takes for a field, as it is typed into a shell."""
    return as_argument(f"{field}={column}")
