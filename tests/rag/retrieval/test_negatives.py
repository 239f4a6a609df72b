"""Rows that only say what is not there change no answer, whatever they deny."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earful.errors import TaskError
from earful.index import Index
from earful.index.builder import build_index
from earful.index.corpus import Exemplar, single_recording
from earful.index.search import SearchFilter, VectorSet
from earful.index.storage import IndexFolder
from earful.model import ClipRef
from earful.model.audio import AudioFault
from earful.rag import FewShot
from earful.rag.evaluation import evaluate
from earful.rag.evaluation.items import items_of_index
from earful.rag.retrieval import Candidates, Exclusions, Query
from earful.rag.retrieval.gathering import gather_candidates
from earful.rag.retrieval.query import among_long_ones
from earful.rag.task import Kind, Task
from tests.support.labelled_vectors import unit
from tests.support.tone_evaluations import QUICK, TASK, listener

LABELS = ("fox", "owl", "wren")


def rows_of(rows: list[tuple[Exemplar, int]]) -> VectorSet:
    vectors = unit(np.random.default_rng(0).normal(size=(6, 4)))
    return VectorSet(
        exemplars=[exemplar for exemplar, _ in rows],
        paths=[Path("/sounds") / exemplar.audio for exemplar, _ in rows],
        content=[f"content {sound}" for _, sound in rows],
        vectors=np.array([vectors[sound] for _, sound in rows], dtype=np.float32),
    )


def exemplar(id_: str, **fields: Any) -> Exemplar:
    return Exemplar(id=id_, audio=PurePosixPath(f"{id_}.wav"), **fields)


def gathered(kind: Kind, rows: list[tuple[Exemplar, int]]) -> Candidates:
    return gather_candidates(
        Task(name="t", kind=kind), index=rows_of(rows), examples=None, need_exemplars=False
    )


NAMES = st.lists(st.sampled_from(LABELS), unique=True, max_size=3)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(NAMES, st.integers(0, 5)), min_size=1, max_size=6),
    st.lists(st.tuples(NAMES.filter(bool), st.integers(0, 5)), min_size=1, max_size=6),
    st.sampled_from(["classify", "multilabel", "caption"]),
)
def test_no_negative_is_a_candidate(
    positives: list[tuple[list[str], int]], negatives: list[tuple[list[str], int]], kind: Kind
) -> None:
    rows = [
        (exemplar(f"{2 * number:02}", labels=tuple(labels)), sound)
        for number, (labels, sound) in enumerate(positives)
    ]
    denied = [
        (exemplar(f"{2 * number + 1:02}", not_labels=tuple(labels)), sound)
        for number, (labels, sound) in enumerate(negatives)
    ]
    if not any(labels for labels, _ in positives):
        rows.append((exemplar("98", labels=("fox",)), 0))
    before, after = gathered(kind, rows), gathered(kind, rows + denied)
    assert after.labels == before.labels
    assert after.digest == before.digest
    assert after.exemplars == before.exemplars
    assert after.contested == before.contested
    np.testing.assert_array_equal(after.vectors, before.vectors)


def test_what_a_row_denies_gives_way_to_what_equal_audio_says() -> None:
    rows = [
        (exemplar("a", labels=("fox",), not_labels=("owl", "wren")), 0),
        (exemplar("b", labels=("owl",)), 0),
    ]
    found = gathered("multilabel", rows)
    assert [one.labels for one in found.exemplars] == [("fox", "owl")] * 2
    assert found.exemplars[0].not_labels == ("wren",)


def test_an_example_that_only_denies_does_not_say_none_of_these() -> None:
    task = Task(name="t", kind="multilabel")
    own = [(exemplar("a", labels=("fox",)), 0), (exemplar("b"), 1)]
    denies = [(exemplar("c", not_labels=("fox",)), 2)]
    found = gather_candidates(task, index=None, examples=rows_of(own + denies))
    assert [one.id for one in found.exemplars] == ["a", "b"]


@pytest.fixture(scope="module")
def tones(index: Path, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The index of tones, with rows that deny a label: of its own audio, and of other audio."""
    path = Path(shutil.copytree(index, tmp_path_factory.mktemp("negatives") / "tones.index"))
    opened = Index.open(path)
    stored = IndexFolder.open(path).rows(["low/0.wav", "high/3.wav"])
    opened.add(
        [
            replace(
                row,
                exemplar=replace(
                    row.exemplar, id=f"{id_}#not", labels=(), answer="", not_labels=(denied,)
                ),
            )
            for id_, denied in (("low/0.wav", "low"), ("high/3.wav", "low"))
            for row in [stored[id_]]
        ]
    )
    return path


def answers(path: Path, query: Path, corpus: Path) -> list[Any]:
    """Return what an index answers to all kinds of questions, without the times it took."""
    few = FewShot.open(path)
    heard = FewShot.open(path, model=listener())
    found: list[Any] = [
        few.classify(query).to_dict(),
        few.classify(query, labels=["low", "high"], always_answer=True).to_dict(),
        heard.classify(query).to_dict(),
        heard.ask(query, "Is it low?").to_dict(),
        heard.ask(query, "Is it low or high?").to_dict(),
        few.classify(query, task=Task(name="several", kind="multilabel")).to_dict(),
    ]
    items = items_of_index(Task(name="t", kind="multilabel"), Index.open(path).vectors(), name="i")
    found += [[item.to_dict() for item in items.items], list(items.notes)]
    run = evaluate(heard, Task(name="tones", shots=TASK.shots), settings=QUICK, keep=False)
    found += [run.document["items"], run.document["rows"], run.to_dict()]
    text = json.dumps(found, default=str).replace(str(path), "INDEX")
    return [_without_times(one) for one in json.loads(text)]


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if not k.endswith("_s") or k in ("start_s", "end_s")}
        return {k: _without_times(v) for k, v in kept.items() if k not in ("timings", "seconds")}
    return [_without_times(one) for one in value] if isinstance(value, list) else value


@pytest.mark.slow
def test_negatives_change_no_answer(index: Path, tones: Path, query: Path, corpus: Path) -> None:
    plain, denying = answers(index, query, corpus), answers(tones, query, corpus)
    for one, two in zip(plain, denying, strict=True):
        assert one == two


def test_negatives_are_found_by_search_and_say_so(tones: Path, corpus: Path) -> None:
    few = FewShot.open(tones)
    assert few.index is not None
    for backend in ("exact", "half"):
        hits = few.search(corpus / "low/0.wav", k=2, backend=backend)
        (denies,) = [hit for hit in hits if hit.exemplar.is_negative]
        assert denies.exemplar.said == "not low"
        assert denies.to_dict()["not_labels"] == ["low"]
        assert "'not low'" in repr(denies)
    only = SearchFilter(where="array_has(not_labels, 'low')")
    assert len(few.search(corpus / "low/0.wav", k=9, filter=only)) == 2
    without = SearchFilter(where="NOT array_has(not_labels, 'low')")
    n_rows = few.index.info.n
    assert len(few.search(corpus / "low/0.wav", k=99, filter=without)) == n_rows - 2
    low = SearchFilter(labels=frozenset({"low"}))
    assert all(hit.exemplar.labels for hit in few.search(corpus / "low/0.wav", k=99, filter=low))


def test_long_rows_that_deny_make_no_long_recording_usual(tones: Path) -> None:
    opened = Index.open(tones)
    row = IndexFolder.open(tones).rows(["low/0.wav#not"])["low/0.wav#not"]
    many = [replace(row.exemplar, id=f"long {number}") for number in range(99)]
    opened.add([replace(row, exemplar=one, duration_s=600.0) for one in many])
    query = Query(
        name="night.wav",
        vector=row.vector,
        reference=ClipRef(audio=Path("night.wav")),
        exclusions=Exclusions(),
        duration_s=600.0,
        faults=(AudioFault(kind="long", text="is long", unusable=True),),
    )
    assert among_long_ones(query, opened) == query
    opened.remove([one.id for one in many])


def test_an_index_that_only_denies_answers_nothing(corpus: Path, tmp_path: Path) -> None:
    denied = single_recording(corpus / "low/0.wav", labels=(), not_labels=("high",))
    build_index(denied, tmp_path / "i", embedder="logmel")
    few = FewShot.open(tmp_path / "i")
    assert few.index is not None
    assert few.index.why_empty().startswith("all of its rows only say what is not there")
    assert (few.index.labels, few.index.not_labels) == ({}, {"high": 1})
    with pytest.raises(TaskError):
        few.classify(corpus / "low/1.wav")
    with pytest.raises(TaskError, match="only say what is not there"):
        evaluate(few, Task(name="t"), settings=QUICK)
