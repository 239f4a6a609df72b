import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from typer.testing import CliRunner

from earful.cli import app
from earful.errors import TaskError
from earful.index.corpus import Exemplar
from earful.index.search import SearchFilter, VectorSet
from earful.rag.evaluation.arms import arms_of
from earful.rag.generation.prompt import arrange_shots
from earful.rag.retrieval import Candidates, Exclusions
from earful.rag.retrieval.gathering import gather_candidates
from earful.rag.strategies import STRATEGIES, Picked, Ranking, Strategy, all_rows, pick_shots
from earful.rag.task import Label, Shots, Task

NOTHING_EXCLUDED = Exclusions()
QUERY = np.array([1.0, 0.0], dtype=np.float32)


def at_degrees(*angles: float) -> NDArray[np.float32]:
    """Unit vectors; the query is at 0 degrees."""
    radians = np.radians(angles)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def vector_set(
    vectors: NDArray[np.float32],
    labels: Sequence[Sequence[str]],
    *,
    paths: Sequence[str] = (),
    content: Sequence[str] = (),
    groups: Sequence[str] = (),
    answer: str = "",
) -> VectorSet:
    n = len(vectors)
    return VectorSet(
        exemplars=[
            Exemplar(
                id=f"{row:05}",
                audio=PurePosixPath(f"{row}.wav"),
                labels=tuple(labels[row]),
                group=groups[row] if groups else "",
                answer=answer,
            )
            for row in range(n)
        ],
        paths=[Path(paths[row] if paths else f"/sounds/{row}.wav") for row in range(n)],
        content=content or [f"content-{row}" for row in range(n)],
        vectors=vectors,
    )


def candidates_of(vectors: VectorSet, **fields: object) -> Candidates:
    task = Task(name="t", **fields)  # type: ignore[arg-type]
    return gather_candidates(task, index=vectors, examples=None)


def chosen(
    candidates: Candidates, shots: Shots, exclusions: Exclusions = NOTHING_EXCLUDED, seed: int = 0
) -> list[int]:
    rows, similarities = pick_shots(
        candidates, QUERY, shots=shots, allowed=candidates.allowed(exclusions), seed=seed
    )
    assert similarities.tolist() == sorted(similarities.tolist(), reverse=True)
    exact = candidates.vectors[rows].astype(np.float64) @ QUERY.astype(np.float64)
    np.testing.assert_allclose(similarities, exact, atol=1e-12)
    return [int(row) for row in rows]


# Rows 0 to 5 by angle:   0: a 10°  1: a 20°  2: a 30°  3: b 40°  4: c 50°  5: b 60°
HAND_WORKED = vector_set(at_degrees(10, 20, 30, 40, 50, 60), ["a", "a", "a", "b", "c", "b"])


def test_nearest_takes_the_most_similar() -> None:
    assert chosen(candidates_of(HAND_WORKED), Shots(k=4)) == [0, 1, 2, 3]


def test_no_more_than_a_limit_of_one_label() -> None:
    assert chosen(candidates_of(HAND_WORKED), Shots(k=4, max_per_label=1)) == [0, 3, 4]
    assert chosen(candidates_of(HAND_WORKED), Shots(k=4, max_per_label=2)) == [0, 1, 3, 4]


def test_balanced_lets_the_labels_take_turns() -> None:
    candidates = candidates_of(HAND_WORKED)
    assert chosen(candidates, Shots(k=3, strategy="balanced")) == [0, 3, 4]
    # Second round: a takes 1, then b takes 5; c has nothing left.
    assert chosen(candidates, Shots(k=5, strategy="balanced")) == [0, 1, 3, 4, 5]
    # With fewer shots than labels, the nearest labels get one each.
    assert chosen(candidates, Shots(k=2, strategy="balanced")) == [0, 3]


def test_balanced_counts_a_row_with_two_labels_once() -> None:
    vectors = vector_set(at_degrees(10, 20, 30), [["a", "b"], ["a"], ["b"]])
    candidates = candidates_of(vectors)
    # a takes 0, which is also b's best; b takes its next.
    assert chosen(candidates, Shots(k=2, strategy="balanced")) == [0, 2]
    assert chosen(candidates, Shots(k=3, strategy="balanced")) == [0, 1, 2]


def test_balanced_gives_rows_without_a_label_their_turn() -> None:
    vectors = vector_set(at_degrees(10, 20, 30, 40), [["a"], ["a"], [], []])
    task = Task(name="t", kind="multilabel", labels={"a": Label()})
    candidates = gather_candidates(task, index=None, examples=vectors)
    assert chosen(candidates, Shots(k=3, strategy="balanced")) == [0, 1, 2]
    assert chosen(candidates, Shots(k=2, strategy="balanced")) == [0, 2]


def test_balanced_is_nearest_where_there_are_no_labels() -> None:
    vectors = vector_set(at_degrees(10, 20, 30), [[], [], []], answer="rain")
    candidates = candidates_of(vectors, kind="caption")
    assert chosen(candidates, Shots(k=2, strategy="balanced")) == [0, 1]


def test_diverse_prefers_what_is_unlike_the_chosen() -> None:
    # Two almost equal sounds at 10°, one farther off on the other side.
    candidates = candidates_of(vector_set(at_degrees(10, 11, -40), ["a", "a", "b"]))
    assert chosen(candidates, Shots(k=2, strategy="diverse", diversity=0.5)) == [0, 2]
    # By hand: 1 - d times 0.982 less d times 1.000, against 0.766 and 0.643.
    assert chosen(candidates, Shots(k=2, strategy="diverse", diversity=0.2)) == [0, 1]
    assert chosen(candidates, Shots(k=2, strategy="diverse", diversity=0.0)) == [0, 1]


def test_random_depends_on_the_seed_alone() -> None:
    vectors = vector_set(at_degrees(*range(100)), ["a"] * 100)
    candidates = candidates_of(vectors)
    draws = {
        seed: chosen(candidates, Shots(k=5, strategy="random"), seed=seed) for seed in range(20)
    }
    assert draws[3] == chosen(candidates, Shots(k=5, strategy="random"), seed=3)
    assert len({tuple(rows) for rows in draws.values()}) == 20
    # Nothing but chance decides: each row is as likely as another.
    counts = np.zeros(100)
    for seed in range(400):
        counts[chosen(candidates, Shots(k=10, strategy="random"), seed=seed)] += 1
    assert abs(counts[:50].sum() - counts[50:].sum()) < 6 * np.sqrt(4000 / 4)


def test_equal_audio_is_taken_once() -> None:
    vectors = vector_set(
        at_degrees(10, 10, 20, 30), ["a", "b", "a", "b"], content=["x", "x", "y", "z"]
    )
    assert chosen(candidates_of(vectors), Shots(k=3)) == [0, 2, 3]


@pytest.mark.parametrize("strategy", ["nearest", "balanced", "diverse"])
def test_a_thousand_copies_do_not_hide_the_rest(strategy: str) -> None:
    angles = [10.0] * 1000 + [50.0, 60.0]
    content = ["copy"] * 1000 + ["x", "y"]
    vectors = vector_set(at_degrees(*angles), ["a"] * 1002, content=content)
    assert chosen(candidates_of(vectors), Shots(k=3, strategy=strategy)) == [0, 1000, 1001]


def test_ties_go_to_the_lower_id() -> None:
    vectors = vector_set(at_degrees(*[30.0] * 500), ["a", "b"] * 250)
    assert chosen(candidates_of(vectors), Shots(k=3)) == [0, 1, 2]
    assert chosen(candidates_of(vectors), Shots(k=3, strategy="balanced")) == [0, 1, 2]


def test_a_query_never_meets_itself() -> None:
    vectors = vector_set(
        at_degrees(0, 1, 2, 3),
        ["a"] * 4,
        paths=["/s/query.wav", "/s/copy.wav", "/s/same-site.wav", "/s/other.wav"],
        content=["q", "q", "r", "s"],
        groups=["", "", "site", ""],
    )
    exclusions = Exclusions(paths=frozenset({"/s/query.wav"}), content="q", group="site")
    assert chosen(candidates_of(vectors), Shots(k=4), exclusions) == [3]
    # An empty group or content is no group or content.
    assert chosen(candidates_of(vectors), Shots(k=4), Exclusions()) == [0, 2, 3]


def pick_farthest(ranking: Ranking, picked: Picked, diversity: float) -> None:
    for row in reversed(ranking.rows.tolist()):
        if not picked.is_full and picked.may_add(row):
            picked.add(row)


def test_a_strategy_in_the_table_is_known_and_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TaskError, match="unknown strategy 'farthest'"):
        Shots(k=2, strategy="farthest")
    farthest = Strategy(description="the least similar", short_list=all_rows, pick=pick_farthest)
    table = STRATEGIES
    extended = MappingProxyType({**table, "farthest": farthest})
    for module in list(sys.modules.values()):
        if vars(module).get("STRATEGIES") is table:
            monkeypatch.setattr(module, "STRATEGIES", extended)
    shots = Shots(k=3, strategy="farthest")
    assert chosen(candidates_of(HAND_WORKED), shots) == [3, 4, 5]
    # What holds for all strategies holds for this one, too.
    assert chosen(candidates_of(HAND_WORKED), replace(shots, max_per_label=1)) == [2, 4, 5]
    (arm,), _ = arms_of(
        Task(name="t"),
        shots=(2,),
        strategies=("farthest",),
        only=("vote",),
        has_model=False,
        most=None,
    )
    assert (arm.name, arm.is_drawn) == ("vote-farthest@2", False)


@st.composite
def vector_sets(draw: st.DrawFn) -> VectorSet:
    n = draw(st.integers(1, 60))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    # Few directions, so that there are ties.
    angles = rng.integers(0, 12, n) * 15.0
    labels = [
        list(rng.choice(list("abc"), size=rng.integers(1, 3), replace=False)) for _ in range(n)
    ]
    return vector_set(
        at_degrees(*angles),
        labels,
        paths=[f"/s/{row}.wav" for row in rng.integers(0, n, n)],
        content=[f"c{row}" for row in rng.integers(0, n, n)],
        groups=[f"g{row}" if row else "" for row in rng.integers(0, 5, n)],
    )


@given(
    vectors=vector_sets(),
    strategy=st.sampled_from(sorted(STRATEGIES)),
    k=st.integers(1, 12),
    limit=st.one_of(st.none(), st.integers(1, 3)),
    own_row=st.integers(0, 59),
)
def test_the_laws_of_every_strategy(
    vectors: VectorSet, strategy: str, k: int, limit: int | None, own_row: int
) -> None:
    candidates = candidates_of(vectors)
    exclusions = candidates.exclusions_of(own_row % len(candidates))
    shots = Shots(k=k, strategy=strategy, max_per_label=limit)
    rows = chosen(candidates, shots, exclusions, seed=own_row)
    assert len(rows) == len(set(rows)) <= k
    contents = [candidates.content[row] for row in rows]
    assert len(set(contents)) == len(contents)
    for row in rows:
        assert str(candidates.paths[row]) not in exclusions.paths
        assert candidates.content[row] != exclusions.content
        assert not exclusions.group or candidates.exemplars[row].group != exclusions.group
    per_label = candidates.memberships(np.array(rows, dtype=np.intp)).sum(axis=0)
    if limit is not None:
        assert all(per_label <= limit)
    if len(rows) < k:
        # Nothing more could have been taken.
        for row in np.flatnonzero(candidates.allowed(exclusions)).tolist():
            full = limit is not None and any(
                per_label[x] >= limit for x in candidates.row_labels[row]
            )
            assert row in rows or candidates.content[row] in contents or full


@given(vectors=vector_sets(), k=st.integers(1, 12), own_row=st.integers(0, 59))
def test_nearest_agrees_with_the_search_of_an_index(
    vectors: VectorSet, k: int, own_row: int
) -> None:
    candidates = candidates_of(vectors)
    exclusions = candidates.exclusions_of(own_row % len(candidates))
    # What is excluded under one name is so under every other.
    own = [
        content
        for content, exemplar, path in zip(
            vectors.content, vectors.exemplars, vectors.paths, strict=True
        )
        if str(path) in exclusions.paths or exemplar.group in exclusions.groups
    ]
    hits = vectors.search(
        QUERY,
        k=len(vectors),
        filter=SearchFilter(exclude_content=frozenset({exclusions.content, *own})),
    )
    first_of_content = list({hit.content_sha256: hit for hit in reversed(hits)}.values())
    expected = [hit.exemplar.id for hit in hits if hit in first_of_content][:k]
    rows = chosen(candidates, Shots(k=k), exclusions)
    assert [candidates.exemplars[row].id for row in rows] == expected


@given(vectors=vector_sets(), k=st.integers(1, 6), diversity=st.floats(0, 1))
def test_diverse_agrees_with_its_definition(vectors: VectorSet, k: int, diversity: float) -> None:
    candidates = candidates_of(vectors)
    exact = candidates.vectors.astype(np.float64)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    to_query = exact @ QUERY
    alike = exact @ exact.T
    rows = {
        int(row) for row in chosen(candidates, Shots(k=k, strategy="diverse", diversity=diversity))
    }

    def follows(taken: tuple[int, ...], left: frozenset[int]) -> bool:
        """Say whether greedy choices lead from ``taken`` to ``rows``, ties taken either way."""
        if not left or len(taken) == k:
            return set(taken) == rows

        def relevance(row: int) -> float:
            penalty = diversity * max(alike[row, t] for t in taken) if taken else 0.0
            return float((1 - diversity) * to_query[row] - penalty)

        best = max(map(relevance, left))
        for row in (row for row in left if relevance(row) >= best - 1e-6):
            new = candidates.content[row] not in {candidates.content[t] for t in taken}
            if (not new or row in rows) and follows((*taken, row) if new else taken, left - {row}):
                return True
        return False

    assert follows((), frozenset(range(len(candidates))))


def test_orders_of_a_prompt() -> None:
    shots = ["nearest", "middle", "far"]
    assert arrange_shots(shots, "nearest-last") == ("far", "middle", "nearest")
    assert arrange_shots(shots, "nearest-first") == ("nearest", "middle", "far")
    shuffled = {arrange_shots(shots, "random", seed=seed) for seed in range(50)}
    assert len(shuffled) == 6
    assert arrange_shots(shots, "random", seed=1) == arrange_shots(shots, "random", seed=1)


def test_every_strategy_is_named_where_people_look() -> None:
    """Help must not import the table, so it names the strategies itself."""
    for command in ("classify", "evaluate"):
        shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).output
        for name in STRATEGIES:
            assert name in shown, (command, name)
    for name in STRATEGIES:
        assert f"``{name}``" in (Shots.__doc__ or "")
