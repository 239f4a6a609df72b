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
next step. Wrong arguments in a program stay ``ValueError`` and ``TypeError``.
"""

from __future__ import annotations

from collections.abc import Sequence


class EarfulError(Exception):
    """The base of every error that the library expects and explains."""


class AudioError(EarfulError):
    """A recording cannot be read, or breaks one of the limits."""


class CorpusError(EarfulError):
    """A table, a folder or one row of a labelled corpus is wrong."""


class TaskError(EarfulError):
    """A task file is wrong."""


class IndexFolderError(EarfulError):
    """An index folder is missing, damaged, foreign or newer than this reader."""


class IndexMismatchError(IndexFolderError):
    """An index and an embedder do not belong together."""


class IndexBusyError(IndexFolderError):
    """Another process is writing the index."""


class SharingError(EarfulError):
    """An index cannot be pushed to a hub, pulled from one, or trusted when it comes."""


class ScanError(EarfulError):
    """A scan's folder, or the steps that it keeps, are damaged, foreign, newer or in use."""


class ScanMismatchError(ScanError):
    """A scan's folder, or the steps that it keeps, do not fit what is asked."""


class LabelError(EarfulError):
    """A label cannot be kept or taken back, or a journal of labels is damaged.

    Attributes:
        field: The field of the label that is wrong; empty when it is none.
    """

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class ReviewError(EarfulError):
    """A review holds no such item or order, or cannot show or take it now."""


class FilterError(EarfulError):
    """A filter expression cannot be read."""


class ModelError(EarfulError):
    """Weights cannot be found, read or trusted."""


class UnknownNameError(ModelError):
    """No embedder, model, device, backend or strategy of that name is known."""


class MissingExtraError(ModelError):
    """An optional dependency is not installed."""


class EndpointError(ModelError):
    """An endpoint cannot be reached, refuses a request, or answers with what is no answer."""


class LicenceError(ModelError):
    """A licence has to be accepted before weights are fetched."""


class ServeError(EarfulError):
    """The page's server cannot start, or cannot do what it is asked."""


class UnknownSourceError(ServeError):
    """No recording, exemplar or upload has that id."""


class PromptError(EarfulError):
    """A prompt cannot be built within its limits."""


class PromptTooLargeError(PromptError):
    """A server took less of a prompt than was known; with fewer shots it may fit."""


class EvaluationError(EarfulError):
    """An evaluation cannot be run, resumed or computed again."""


class LeakageError(EvaluationError):
    """Exemplars give the items of an evaluation away.

    Attributes:
        leaks: Every pair of an exemplar and an item that was found, as text.
    """

    def __init__(self, message: str, leaks: Sequence[object] = ()) -> None:
        super().__init__(message)
        self.leaks = tuple(map(str, leaks))
