"""The errors that earful raises, as one tree.

::

    EarfulError
    ├── AudioError               a recording cannot be read, or breaks a limit
    ├── CorpusError              a table, folder or row of a labelled corpus is wrong
    ├── TaskError                a task file is wrong
    ├── IndexFolderError         an index folder is missing, damaged, foreign or newer
    │   ├── IndexMismatchError   an index and an embedder do not belong together
    │   └── IndexBusyError       another process is writing the index
    ├── SharingError             an index cannot be pushed, pulled or trusted
    ├── StoreError               an object store cannot be used, or an address in one is wrong
    ├── EngineError              a cluster cannot be used, or its workers cannot work
    ├── ScanError                a scan's folder or kept steps are damaged, foreign or in use
    │   └── ScanMismatchError    a scan's folder or kept steps do not fit what is asked
    ├── LabelError               a label cannot be kept or taken back, or a journal is damaged
    ├── ReviewError              a review holds no such item, or cannot show or take it
    ├── FilterError              a filter expression cannot be read
    ├── ModelError               weights cannot be found, read or trusted
    │   ├── UnknownNameError     no embedder, model, device or the like of that name
    │   ├── MissingExtraError    an optional dependency is not installed
    │   ├── EndpointError        an endpoint cannot be reached, refuses, or gives no answer
    │   └── LicenceError         a licence has to be accepted first
    ├── ServeError               the page's server cannot start, or cannot do what it is asked
    │   └── UnknownSourceError   no recording, exemplar or upload has that id
    ├── PromptError              a prompt cannot be built within its limits
    │   └── PromptTooLargeError  a server took less of a prompt than was known
    └── EvaluationError          an evaluation cannot be run, resumed or computed again
        └── LeakageError         exemplars give the items of an evaluation away

A message names the thing, the value that was found, the value that was expected, and the
next step. Wrong arguments in a program stay ``ValueError`` and ``TypeError``. The ``anchor`` of
a class names its section of ``docs/troubleshooting.md``; the command prints it below the message.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

HELP_PAGE: Final = "docs/troubleshooting.md"
"""Page with a section for each kind of error."""

# Its sections for what is none of the library's own errors.
USAGE: Final = "usage"
SYSTEM: Final = "system"
MEMORY: Final = "memory"
BUG: Final = "bug"


def help_link(anchor: str) -> str:
    """Return where a kind of error is explained.

    Args:
        anchor: As of ``EarfulError.anchor``.

    >>> help_link(IndexBusyError.anchor)
    'docs/troubleshooting.md#index-busy'
    """
    return f"{HELP_PAGE}#{anchor}"


class EarfulError(Exception):
    """The base of every error that the library expects and explains.

    Attributes:
        anchor: Section of ``docs/troubleshooting.md`` that says what to do about such errors.
    """

    anchor: ClassVar[str] = "other"


class AudioError(EarfulError):
    """A recording cannot be read, or breaks one of the limits."""

    anchor: ClassVar[str] = "audio"


class CorpusError(EarfulError):
    """A table, a folder or one row of a labelled corpus is wrong."""

    anchor: ClassVar[str] = "corpus"


class TaskError(EarfulError):
    """A task file is wrong."""

    anchor: ClassVar[str] = "task"


class IndexFolderError(EarfulError):
    """An index folder is missing, damaged, foreign or newer than this reader."""

    anchor: ClassVar[str] = "index"


class IndexMismatchError(IndexFolderError):
    """An index and an embedder do not belong together."""

    anchor: ClassVar[str] = "index-mismatch"


class IndexBusyError(IndexFolderError):
    """Another process is writing the index."""

    anchor: ClassVar[str] = "index-busy"


class SharingError(EarfulError):
    """An index cannot be pushed to a hub, pulled from one, or trusted when it comes."""

    anchor: ClassVar[str] = "sharing"


class StoreError(EarfulError):
    """An object store cannot be reached, refuses, or cannot be trusted, or an address is wrong."""

    anchor: ClassVar[str] = "store"


class EngineError(EarfulError):
    """A cluster cannot be reached or used, or no worker of it can do its work."""

    anchor: ClassVar[str] = "engine"


class ScanError(EarfulError):
    """A scan's folder, or the steps that it keeps, are damaged, foreign, newer or in use."""

    anchor: ClassVar[str] = "scan"


class ScanMismatchError(ScanError):
    """A scan's folder, or the steps that it keeps, do not fit what is asked."""

    anchor: ClassVar[str] = "scan-mismatch"


class LabelError(EarfulError):
    """A label cannot be kept or taken back, or a journal of labels is damaged.

    Attributes:
        field: The field of the label that is wrong; empty when it is none.
    """

    anchor: ClassVar[str] = "label"

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class ReviewError(EarfulError):
    """A review holds no such item or order, or cannot show or take it now."""

    anchor: ClassVar[str] = "review"


class FilterError(EarfulError):
    """A filter expression cannot be read."""

    anchor: ClassVar[str] = "filter"


class ModelError(EarfulError):
    """Weights cannot be found, read or trusted."""

    anchor: ClassVar[str] = "model"


class UnknownNameError(ModelError):
    """No embedder, model, device, backend or strategy of that name is known."""

    anchor: ClassVar[str] = "unknown-name"


class MissingExtraError(ModelError):
    """An optional dependency is not installed."""

    anchor: ClassVar[str] = "missing-extra"


class EndpointError(ModelError):
    """An endpoint cannot be reached, refuses a request, or answers with what is no answer."""

    anchor: ClassVar[str] = "endpoint"


class LicenceError(ModelError):
    """A licence has to be accepted before weights are fetched."""

    anchor: ClassVar[str] = "licence"


class ServeError(EarfulError):
    """The page's server cannot start, or cannot do what it is asked."""

    anchor: ClassVar[str] = "serve"


class UnknownSourceError(ServeError):
    """No recording, exemplar or upload has that id."""

    anchor: ClassVar[str] = "unknown-source"


class PromptError(EarfulError):
    """A prompt cannot be built within its limits."""

    anchor: ClassVar[str] = "prompt"


class PromptTooLargeError(PromptError):
    """A server took less of a prompt than was known; with fewer shots it may fit."""

    anchor: ClassVar[str] = "prompt-too-large"


class EvaluationError(EarfulError):
    """An evaluation cannot be run, resumed or computed again."""

    anchor: ClassVar[str] = "evaluation"


class LeakageError(EvaluationError):
    """Exemplars give the items of an evaluation away.

    Attributes:
        leaks: Every pair of an exemplar and an item that was found, as text.
    """

    anchor: ClassVar[str] = "leakage"

    def __init__(self, message: str, leaks: Sequence[object] = ()) -> None:
        super().__init__(message)
        self.leaks = tuple(map(str, leaks))
