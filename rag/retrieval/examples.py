"""A task's own examples as labelled vectors, to be searched like an index."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from earful.errors import AudioError, TaskError
from earful.index.search import ClassScores, VectorSet
from earful.index.storage import to_float16
from earful.model import Embedder, embed_and_score
from earful.model.audio import Clip, load_isolated
from earful.rag.task import Example

_BATCH = 16


def embed_examples(examples: Sequence[Example], embedder: Embedder) -> VectorSet:
    """Decode and embed a task's examples, with class scores where the embedder gives them.

    Args:
        examples: At least one.
        embedder: The one whose vectors the queries have.

    Raises:
        TaskError: An example's audio cannot be read; the message says where the example
            stands and why.
    """
    content: list[str] = []
    vectors, scores = [], []
    for start in range(0, len(examples), _BATCH):
        clips = [_clip(example, embedder) for example in examples[start : start + _BATCH]]
        content += [clip.content_sha256 for clip in clips]
        rows, logits = embed_and_score(embedder, clips)
        vectors.append(rows)
        if logits is not None:
            scores.append(to_float16(logits))
    return VectorSet(
        exemplars=[example.exemplar for example in examples],
        paths=[example.path for example in examples],
        content=content,
        vectors=np.concatenate(vectors),
        stored_scores=ClassScores.of(np.concatenate(scores)) if scores else None,
    )


def _clip(example: Example, embedder: Embedder) -> Clip:
    exemplar = example.exemplar
    try:
        return load_isolated(
            example.path,
            sample_rate=embedder.fingerprint.sample_rate,
            start_s=exemplar.start_s,
            end_s=exemplar.end_s,
        )
    except AudioError as error:
        raise TaskError(f"{example.where}: {error}") from error
