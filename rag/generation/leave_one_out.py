"""Asking a language model about exemplars as if they were queries, to fit its blend.

Everything is as for the query at hand: the same exemplars, shots, guard and words, but that
an exemplar meets neither its own recording nor its own group. Each costs a pass of the
model (for ``multilabel`` one a label), so there are at most ``MOST_REPLAYED``, the labels
taking turns, and what was scored is kept with the index: an interrupted replay goes on
where it was. The vote is not kept: it costs nothing, and its calibration may move.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace

import numpy as np

from earful.errors import AudioError, PromptError
from earful.index.cache import ScoreCache
from earful.model import LanguageModel
from earful.rag.arrays import Scores
from earful.rag.blend import UNFITTED, Blend, Replays, fit_blend
from earful.rag.generation.prompt import clip_of
from earful.rag.generation.request import Inquiry, score_labels
from earful.rag.retrieval import (
    MIN_CASES,
    LabelScoring,
    Pool,
    Prepared,
    Query,
    Retriever,
    can_answer,
    find_shots,
)

MOST_REPLAYED = 48
_MOST_LOOKED_AT = 8 * MOST_REPLAYED
_SEED = 0

Progress = Callable[[int, int], None]

_SAYS_NOTHING = frozenset({"name", "licence", "caveat"})


class Replayer:
    """Fits blends, each once, and keeps what language models scored for them.

    Args:
        retriever: Finds shots and lets them vote.

    Attributes:
        fault: Why nothing can be kept with the index; empty when it can.
    """

    def __init__(self, retriever: Retriever) -> None:
        self._retriever = retriever
        self._kept = ScoreCache(None if retriever.index is None else retriever.index.path)
        self._in_memory = ScoreCache(None)
        self._unknown: LanguageModel | None = None

    @property
    def fault(self) -> str:
        """Why nothing can be kept with the index; empty when it can."""
        return self._kept.fault

    def fit(
        self,
        model: LanguageModel,
        inquiry: Inquiry,
        prepared: Prepared,
        scoring: LabelScoring,
        progress: Progress | None = None,
    ) -> Blend:
        """Return the blend for questions like one at hand.

        Args:
            model: Scores answers.
            inquiry: The question at hand.
            prepared: Its pool.
            scoring: Which corrections apply.
            progress: Called with how many exemplars are replayed, of how many, while the
                model is asked.

        Raises:
            ModelError: The model gives no log-probabilities.
        """
        about = self._about(model, inquiry, prepared.pool, scoring)
        key = hashlib.sha256(json.dumps(about, sort_keys=True).encode("ascii")).hexdigest()
        asked, blend = prepared.blends.get(key, (None, UNFITTED))
        if asked is not model:
            replays = self._replay(model, inquiry, prepared, scoring, key, about, progress)
            blend = UNFITTED if replays is None else fit_blend(replays)
            prepared.blends[key] = (model, blend)
        return blend

    def _replay(
        self,
        model: LanguageModel,
        inquiry: Inquiry,
        prepared: Prepared,
        scoring: LabelScoring,
        key: str,
        about: dict[str, object],
        progress: Progress | None,
    ) -> Replays | None:
        """Ask about exemplars; ``None`` when too few can be asked about."""
        pool = prepared.pool
        exclusive = inquiry.task.kind == "classify"
        rows = list(held_out_rows(pool, exclusive=exclusive))
        if len(rows) < MIN_CASES:
            return None
        cache = self._cache(model)
        known = cache.get(key, n_scores=len(pool.labels))
        votes: list[Scores] = []
        heard: list[int] = []
        for n_done, row in enumerate(rows, 1):
            found = find_shots(prepared, inquiry.task, _query(pool, row), seed=inquiry.seed)
            id_ = pool.exemplars[row].id
            if id_ not in known:
                asked = replace(inquiry, hits=found.hits, query=_query(pool, row).reference)
                try:
                    scores, _ = score_labels(model, asked, scoring)
                except (AudioError, PromptError):
                    # A recording that has moved, say: others tell as much.
                    continue
                known[id_] = scores.tolist()
                cache.put(key, known, about=about)
                if progress is not None:
                    progress(n_done, len(rows))
            votes.append(self._retriever.vote(found, seed=inquiry.seed)[0])
            heard.append(row)
        if len(heard) < MIN_CASES:
            return None
        return Replays(
            votes=np.array(votes),
            scores=np.array([known[pool.exemplars[row].id] for row in heard]),
            right=pool.memberships(np.array(heard)) > 0,
            groups=tuple(pool.exemplars[row].group for row in heard),
            exclusive=exclusive,
        )

    def _cache(self, model: LanguageModel) -> ScoreCache:
        """Return where a model's scores are kept: of unknown weights, no longer than it is."""
        if model.capabilities.weights_sha256:
            return self._kept
        if self._unknown is not model:
            self._unknown, self._in_memory = model, ScoreCache(None)
        return self._in_memory

    def _about(
        self, model: LanguageModel, inquiry: Inquiry, pool: Pool, scoring: LabelScoring
    ) -> dict[str, object]:
        """Return all that a model's scores of exemplars depend on, as JSON values."""
        task = inquiry.task
        limits = model.capabilities.to_dict()
        drawn = "random" in (task.shots.strategy, task.shots.order)
        embedder = self._retriever.embedder
        return {
            "model": {name: limits[name] for name in limits if name not in _SAYS_NOTHING},
            # Empty places for audio change an answer, and say so even without a shot.
            "slots": model.measure(inquiry.build(())).slots,
            "embedder": embedder.fingerprint.to_dict() if embedder else None,
            "kind": task.kind,
            "question": inquiry.question or task.question,
            "description": task.description,
            "lists_labels": inquiry.lists_labels(model),
            "labels": [[x, task.wording(x), *_aliases(inquiry, x)] for x in inquiry.labels],
            "shots": asdict(task.shots),
            "shot_mode": inquiry.shot_mode,
            "seed": inquiry.seed if drawn else None,
            "length": scoring.length,
            "prior": scoring.prior,
            "exemplars": pool.digest,
        }


def held_out_rows(pool: Pool, *, exclusive: bool, most: int = MOST_REPLAYED) -> Iterator[int]:
    """Choose exemplars to ask about: always the same ones, the labels taking turns.

    Args:
        pool: What may answer.
        exclusive: Whether one label is right, or each is decided for itself.
        most: How many at most.

    Yields:
        Rows that others, not of their recording, content or group, could answer.
    """
    random = np.random.default_rng(_SEED)
    strata = [random.permutation(rows).tolist() for rows in pool.rows_of_label]
    strata.append(random.permutation(pool.rows_without_label).tolist())
    looked_at: set[int] = set()
    n_found = 0
    while strata := [rows for rows in strata if rows]:
        for rows in strata:
            if n_found == most or len(looked_at) == _MOST_LOOKED_AT:
                return
            row = rows.pop()
            if row in looked_at:
                continue
            looked_at.add(row)
            truth = pool.memberships(np.array([row]))[0]
            allowed = pool.allowed(pool.guard_of(row))
            if can_answer(pool, truth, allowed, exclusive=exclusive):
                n_found += 1
                yield row


def _query(pool: Pool, row: int) -> Query:
    (hit,) = pool.hits(np.array([row]), np.ones(1))
    return Query(
        name=str(hit.path),
        vector=pool.vectors[row],
        reference=clip_of(hit),
        guard=pool.guard_of(row),
    )


def _aliases(inquiry: Inquiry, label: str) -> tuple[str, ...]:
    known = inquiry.task.labels.get(label)
    return known.aliases if known else ()
