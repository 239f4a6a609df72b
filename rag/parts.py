"""Parts: the index, the embedder and the language model of a ``FewShot``, opened and kept."""

from __future__ import annotations

import logging
import os
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn, Self

from earful.errors import ModelError, TaskError
from earful.index import Index
from earful.model import (
    DEFAULT_EMBEDDER,
    DEFAULT_MODEL,
    Embedder,
    LabelNamer,
    LanguageModel,
    load_embedder,
    load_language_model,
)
from earful.rag.answering import Answering
from earful.rag.retrieval import Retriever
from earful.rag.task import Task, load_task
from earful.values import repr_of

Named = str | os.PathLike[str]  # a registered name, or a folder

_log = logging.getLogger(__name__)


class Parts:
    """What answers recordings; ``FewShot`` adds the questions."""

    def __init__(
        self,
        *,
        embedder: Embedder | None = None,
        index: Index | None = None,
        model: LanguageModel | None = None,
        retriever: Retriever | None = None,
    ) -> None:
        if retriever is None:
            if embedder is None and (model is None or index is not None):
                raise ValueError("without an embedder there is only a language model, and no index")
            retriever = Retriever(embedder=embedder, index=index)
        elif embedder is not None or index is not None:
            raise ValueError("a retriever brings its own embedder and index; give one of the two")
        self._answering = Answering(retriever, model)

    def __repr__(self) -> str:
        model = self.model.capabilities.name if self.model is not None else None
        embedder = self.retriever.embedder
        name = embedder.fingerprint.name if embedder is not None else None
        path = self.index.path if self.index is not None else None
        return repr_of(self, index=path, embedder=name, model=model)

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} cannot be pickled or copied, as it holds models; open one in "
            "each process, such as in the initializer of a pool (docs/python.md)"
        )

    @classmethod
    def open(
        cls,
        index: str | os.PathLike[str] | Index,
        *,
        embedder: Named | Embedder | None = None,
        model: Named | LanguageModel | None = None,
        device: str = "auto",
    ) -> Self:
        """Open an index together with the embedder that made it.

        Args:
            index: Index folder, or one opened already.
            embedder: In place of the one that the index names, such as a folder that moved.
            model: A language model, its name or its folder; ``None`` for the vote.
            device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.

        Raises:
            IndexFolderError: The folder is missing, damaged, or made by another embedder.
            ModelError: The embedder or the model cannot be loaded.
        """
        opened = index if isinstance(index, Index) else Index.open(index)
        stored, n = opened.fingerprint, len(opened)
        _log.info(
            "opened index %s: %d rows by %s in %s",
            opened.path,
            n,
            stored.name,
            stored.dtype,
            extra={"index": str(opened.path), "n_rows": n, "fingerprint": asdict(stored)},
        )
        if embedder is None or isinstance(embedder, str | os.PathLike):
            name = os.fspath(embedder or stored.name)
            # Another name has other revisions; whether its weights are the same is checked below.
            revision = stored.revision if name == stored.name else ""
            embedder = load_embedder(name, revision=revision, device=device, dtype=stored.dtype)
        return cls(embedder=embedder, index=opened, model=_load_model(model, device))

    @classmethod
    def from_task(
        cls,
        task: Task | str | Path,
        *,
        embedder: Named | Embedder = DEFAULT_EMBEDDER,
        model: Named | LanguageModel | None = None,
        device: str = "auto",
    ) -> Self:
        """Work without an index, from a task's own examples, or by the names of its labels.

        Raises:
            TaskError: The task brings no examples and the embedder knows no names, or it has
                mistakes.
            ModelError: The embedder or the model cannot be loaded.
        """
        loaded = task if isinstance(task, Task) else load_task(task)
        if isinstance(embedder, str | os.PathLike):
            embedder = load_embedder(embedder, device=device)
        if not (loaded.examples or (loaded.labels and isinstance(embedder, LabelNamer))):
            raise TaskError(
                f"task {loaded.name!r} brings no examples; add some to its file, or give an index"
            )
        return cls(embedder=embedder, model=_load_model(model, device))

    @property
    def model(self) -> LanguageModel | None:
        """The language model that answers; ``None`` for the neighbour vote."""
        return self._answering.model

    @model.setter
    def model(self, model: LanguageModel | None) -> None:
        self._answering = Answering(self.retriever, model)

    @property
    def retriever(self) -> Retriever:
        """The retriever that finds shots."""
        return self._answering.retriever

    @property
    def embedder(self) -> Embedder:
        """The embedder that turns recordings into vectors.

        Raises:
            ValueError: It was made of a language model alone.
        """
        if self.retriever.embedder is None:
            raise ValueError("there is no embedder: this FewShot is a language model alone")
        return self.retriever.embedder

    @property
    def index(self) -> Index | None:
        """The index it was opened with; ``None`` when it was made without one."""
        return self.retriever.index

    def _require_model(self, what: str) -> LanguageModel:
        if self.model is None:
            raise ModelError(
                f"{what} takes a language model, and there is none; give one with model=, such as "
                f"model={DEFAULT_MODEL!r}, which ships, or one that `earful models pull` fetched"
            )
        return self.model


def _load_model(model: Named | LanguageModel | None, device: str) -> LanguageModel | None:
    if isinstance(model, str | os.PathLike):
        return load_language_model(model, device=device)
    return model
