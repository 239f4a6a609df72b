"""Search of an index by a recording or by a text.

Recordings are compared by the cosine of their vectors. A text is compared with the class scores of
the rows, where the index keeps them: they say how sure the network was, which vectors of unit
length do not.
"""

from __future__ import annotations

from typing import TypedDict, TypeGuard, cast, get_args

import numpy as np
from numpy.typing import NDArray

from earful.errors import ModelError, UnknownNameError
from earful.index import Index
from earful.index.search import Hits, IndexBackend, SearchFilter
from earful.model import ClassScorer, Embedder, TextEmbedder, list_embedders
from earful.rag.retrieval.arguments import check_options, to_count, to_text
from earful.rag.retrieval.query import AskOptions, Query
from earful.rag.retrieval.shot_set import vector_of
from earful.wording import quoted, unknown_name


class SearchOptions(TypedDict, total=False):
    """Keyword arguments of ``FewShot.search``; see there."""

    k: int
    filter: SearchFilter
    backend: str
    start_s: float
    end_s: float | None
    sample_rate: float | None


def search_index(
    index: Index,
    embedder: Embedder,
    asked: Query | str,
    *,
    k: int,
    filter: SearchFilter,
    backend: str,
) -> Hits:
    """Find the rows nearest to a recording or a text, best first; ties break by id.

    Args:
        index: The rows.
        embedder: The one that made them.
        asked: A recording or a text.
        k: How many hits at most.
        filter: Which rows may be found.
        backend: As for ``Index.search``; class scores are compared exactly only.

    Raises:
        FilterError: ``filter.where`` cannot be evaluated.
        ModelError: The embedder has no text.
        PromptError: The embedder knows nothing of the text.
        ValueError: The backend compares vectors while the text would be compared with class scores.
    """
    if isinstance(asked, str) and compares_scores(embedder, index):
        if backend != "exact":
            raise ValueError(
                f"backend {backend!r} compares vectors, and a text is compared with the class "
                "scores of this index: expected 'exact'"
            )
        (weights,) = embedder.text_weights([asked])
        return index.search_classes(weights, k=k, filter=filter)
    vector = _embed_text(embedder, asked) if isinstance(asked, str) else vector_of(asked)
    return index.search(vector, k=k, filter=filter, backend=cast(IndexBackend, backend))


def check_search(
    audio: object,
    text: str | None,
    *,
    k: int,
    filter: SearchFilter,
    backend: str,
    stretch: AskOptions,
) -> None:
    """Check what a search is given before anything is read; see ``FewShot.search``.

    Raises:
        UnknownNameError: There is no such backend.
        TypeError: An argument is of another type.
        ValueError: Not one of the two is given, the text is empty, ``k`` is below 1, or the stretch
            ends before it begins or goes with a text.
    """
    if (audio is None) == (text is None):
        raise ValueError("give either audio or text")
    if backend not in get_args(IndexBackend):
        raise UnknownNameError(unknown_name("backend", backend, get_args(IndexBackend)))
    if text is not None and not to_text("text", text):
        raise ValueError("the sentence to search with is empty; give its words")
    to_count("k", k, 1)
    check_options(stretch)
    if text is not None and (stretch.get("start_s") or stretch.get("end_s") is not None):
        raise ValueError("start_s and end_s are about a recording, and a text has none")
    if not isinstance(filter, SearchFilter):
        raise TypeError(
            f"filter={quoted(filter)}: expected a SearchFilter, such as "
            "SearchFilter(labels={'dog'}) or SearchFilter(where=\"split = 'train'\")"
        )


def compares_scores(embedder: Embedder | None, index: Index) -> TypeGuard[ClassScorer]:
    """Tell whether a text is compared with the class scores of the rows, not with vectors."""
    return isinstance(embedder, ClassScorer) and embedder.n_classes == index.n_classes


def _embed_text(embedder: Embedder, text: str) -> NDArray[np.float32]:
    if not isinstance(embedder, TextEmbedder):
        able = ", ".join(entry.name for entry in list_embedders() if entry.text)
        raise ModelError(
            f"embedder {embedder.fingerprint.name!r} has no text; search by audio, or build "
            f"the index with one of {able}"
        )
    return np.asarray(embedder.embed_text([text])[0], dtype=np.float32)
