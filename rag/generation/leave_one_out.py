"""Leave-one-out: a language model asked about exemplars as if they were queries, to fit a blend.

Everything is as for the query at hand: the same exemplars, shots, exclusions and words, but
that an exemplar meets neither its own recording nor its own group. Each costs a pass of the
model (for ``multilabel`` one a label), so there are at most ``MOST_HELD_OUT``, the labels
taking turns. The model's scores are cached with the index: an interrupted fit resumes where
it was. The vote is not cached: it costs nothing, and its calibration may move.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from weakref import WeakKeyDictionary

import numpy as np

from earful.errors import AudioError, PromptError
from earful.index.cache import ScoreCache
from earful.model import LanguageModel
from earful.rag.arrays import Scores
from earful.rag.blend import UNFITTED, Blend, HeldOutScores, fit_blend
from earful.rag.generation.precompute import ask_ahead
from earful.rag.generation.prompt import clip_of
from earful.rag.generation.request import (
    ModelRequest,
    score_labels,
    shortlist,
    with_untold,
)
from earful.rag.retrieval import (
    MIN_CASES,
    Candidates,
    LabelScoring,
    LabelVote,
    PreparedTask,
    Query,
    Retriever,
    can_answer,
    class_scores_of,
    find_shots,
)
from earful.rag.strategies import STRATEGIES

MOST_HELD_OUT = 48
_MOST_LOOKED_AT = 8 * MOST_HELD_OUT
_SEED = 0

Progress = Callable[[int, int], None]

# Of a model's capabilities, those that change no score.
_NO_MATTER = frozenset({"name", "licence", "caveat", "writes_captions", "max_prompts"})


class BlendFitter:
    """Fits blends, each once, and caches what language models scored for them.

    Args:
        retriever: Finds shots and lets them vote.

    Attributes:
        fault: Why nothing can be cached with the index; empty when it can.
    """

    def __init__(self, retriever: Retriever) -> None:
        self._retriever = retriever
        self._on_disk = ScoreCache(None if retriever.index is None else retriever.index.path)
        self._in_memory = ScoreCache(None)
        self._unknown: LanguageModel | None = None
        # Per prepared task, by all that a blend depends on but the model, each with that.
        self._blends: WeakKeyDictionary[PreparedTask, dict[str, tuple[LanguageModel, Blend]]] = (
            WeakKeyDictionary()
        )

    @property
    def fault(self) -> str:
        """Why nothing can be cached with the index; empty when it can."""
        return self._on_disk.fault

    def fit(
        self,
        model: LanguageModel,
        request: ModelRequest,
        prepared: PreparedTask,
        scoring: LabelScoring,
        progress: Progress | None = None,
    ) -> Blend:
        """Return the blend for requests like one at hand.

        Args:
            model: Scores answers.
            request: The request at hand.
            prepared: Its task.
            scoring: Which corrections apply.
            progress: Called with how many exemplars are done, of how many, while the model
                is asked.

        Raises:
            ModelError: The model gives no log-probabilities.
        """
        depends_on = self._dependencies(model, request, prepared.candidates, scoring)
        key = hashlib.sha256(json.dumps(depends_on, sort_keys=True).encode("ascii")).hexdigest()
        blends = self._blends.setdefault(prepared, {})
        asked, blend = blends.get(key, (None, UNFITTED))
        if asked is not model:
            held_out = self._ask(model, request, prepared, scoring, key, depends_on, progress)
            # A model that was trained on prototypes hardly knows to be asked by single exemplars.
            unfitted = UNFITTED if model.capabilities.blend is None else Blend.of_vote()
            blend = unfitted if held_out is None else fit_blend(held_out)
            blends[key] = (model, blend)
        return blend

    def _ask(
        self,
        model: LanguageModel,
        request: ModelRequest,
        prepared: PreparedTask,
        scoring: LabelScoring,
        key: str,
        depends_on: dict[str, object],
        progress: Progress | None,
    ) -> HeldOutScores | None:
        """Ask about held-out exemplars; ``None`` when too few can be asked about."""
        candidates = prepared.candidates
        exclusive = request.task.kind == "classify"
        rows = list(held_out_rows(candidates, exclusive=exclusive))
        if len(rows) < MIN_CASES:
            return None
        cache = self._cache(model)
        known = cache.get(key, n_scores=len(candidates.labels))
        votes: list[Scores] = []
        scored: list[int] = []
        waiting: deque[tuple[LabelVote, ModelRequest]] = deque()
        for n_done, row in enumerate(rows, 1):
            id_ = candidates.exemplars[row].id
            if not waiting:
                most = model.capabilities.max_prompts
                coming = rows[n_done - 1 : n_done - 1 + most]
                waiting += [self._held_out(model, request, prepared, other) for other in coming]
                unknown = [
                    held_out
                    for other, (_, held_out) in zip(coming, waiting, strict=True)
                    if candidates.exemplars[other].id not in known
                ]
                ask_ahead(model, unknown, scoring)
            vote, held_out = waiting.popleft()
            if id_ not in known:
                try:
                    scores, _ = score_labels(model, held_out, scoring)
                except (AudioError, PromptError):
                    # A recording that has moved, say: others tell as much.
                    continue
                shown = held_out.shortlist
                known[id_] = with_untold(scores, held_out.labels, shown, vote).tolist()
                cache.put(key, known, about=depends_on)
                if progress is not None:
                    progress(n_done, len(rows))
            votes.append(vote.scores)
            scored.append(row)
        if len(scored) < MIN_CASES:
            return None
        return HeldOutScores(
            votes=np.array(votes),
            scores=np.array([known[candidates.exemplars[row].id] for row in scored]),
            right=candidates.memberships(np.array(scored)) > 0,
            groups=tuple(candidates.exemplars[row].group for row in scored),
            exclusive=exclusive,
        )

    def _held_out(
        self, model: LanguageModel, request: ModelRequest, prepared: PreparedTask, row: int
    ) -> tuple[LabelVote, ModelRequest]:
        """Return what others say of an exemplar, and the request about it."""
        query = _query(prepared, row)
        found = find_shots(prepared, request.task, query, seed=request.seed)
        vote = self._retriever.vote(found, seed=request.seed)
        held_out = replace(request, hits=found.hits, query=query.reference, shortlist=())
        return vote, shortlist(held_out, vote, model)[0]

    def _cache(self, model: LanguageModel) -> ScoreCache:
        """Return where a model's scores are kept: of unknown weights, no longer than it is."""
        if model.capabilities.weights_sha256:
            return self._on_disk
        if self._unknown is not model:
            self._unknown, self._in_memory = model, ScoreCache(None)
        return self._in_memory

    def _dependencies(
        self,
        model: LanguageModel,
        request: ModelRequest,
        candidates: Candidates,
        scoring: LabelScoring,
    ) -> dict[str, object]:
        """Return all that a model's scores of exemplars depend on, as JSON values."""
        task = request.task
        limits = model.capabilities.to_dict()
        is_drawn = STRATEGIES[task.shots.strategy].is_random or task.shots.order == "random"
        embedder = self._retriever.embedder
        return {
            "model": {name: limits[name] for name in limits if name not in _NO_MATTER},
            "wording": asdict(model.capabilities.wording),
            # Empty places for audio change an answer, even without a shot.
            "slots": model.measure(request.build(())).slots,
            "embedder": embedder.fingerprint.to_dict() if embedder else None,
            "kind": task.kind,
            "question": request.question or task.question,
            "description": task.description,
            "lists_labels": request.lists_labels(model),
            "labels": [[x, task.wording(x), *_aliases(request, x)] for x in request.labels],
            "shots": asdict(task.shots),
            "shot_mode": request.shot_mode_for(model),
            "seed": request.seed if is_drawn else None,
            "length": scoring.length,
            "prior": scoring.prior,
            "exemplars": candidates.digest,
        }


def held_out_rows(
    candidates: Candidates, *, exclusive: bool, most: int = MOST_HELD_OUT
) -> Iterator[int]:
    """Choose exemplars to ask about: always the same ones, the labels taking turns.

    Args:
        candidates: Exemplars that may answer.
        exclusive: Whether one label is right, or each is decided for itself.
        most: How many at most.

    Yields:
        Rows that others, not of their recording, content or group, could answer.
    """
    random = np.random.default_rng(_SEED)
    first = candidates.once(np.ones(len(candidates), dtype=np.bool_))
    sets = (*candidates.rows_of_label, candidates.rows_without_label)
    strata = [random.permutation(rows[first[rows]]).tolist() for rows in sets]
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
            truth = candidates.memberships(np.array([row]))[0]
            allowed = candidates.allowed(candidates.exclusions_of(row))
            if can_answer(candidates, truth, allowed, exclusive=exclusive):
                n_found += 1
                yield row


def _query(prepared: PreparedTask, row: int) -> Query:
    candidates = prepared.candidates
    (hit,) = candidates.hits(np.array([row]), np.ones(1))
    scores = class_scores_of(prepared.means, candidates, row)
    return Query(
        name=str(hit.path),
        vector=candidates.vectors[row],
        reference=clip_of(hit),
        exclusions=candidates.exclusions_of(row),
        class_scores=None if scores is None else scores.astype(np.float32),
    )


def _aliases(request: ModelRequest, label: str) -> tuple[str, ...]:
    known = request.task.labels.get(label)
    return known.aliases if known else ()
