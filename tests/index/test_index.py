import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earful.errors import FilterError, IndexFolderError, IndexMismatchError
from earful.index import Index, verify_index
from earful.index.corpus import Exemplar
from earful.index.search import SearchFilter
from earful.index.storage import HEADER_NAME, IndexedRow, Row, read_header
from earful.model import Fingerprint

MakeRow = Callable[..., Row]


class Killed(BaseException):
    """Stands for a SIGKILL: nothing in the library may catch it."""


@pytest.fixture
def index(tmp_path: Path, fingerprint: Fingerprint) -> Index:
    return Index.create(tmp_path / "sounds.index", fingerprint)


def ids(index: Index) -> list[str]:
    return [exemplar.id for exemplar in index.vectors().exemplars]


# --- writing and reading back --------------------------------------------------------------


def test_rows_come_back_as_they_were_added(index: Index, make_row: MakeRow) -> None:
    rows = [make_row("b", labels=("dog", "cat")), make_row("a", split="test", group="g")]
    index.add(rows)
    for opened in (index, Index.open(index.path)):
        assert ids(opened) == ["a", "b"]
        vectors = opened.vectors()
        assert vectors.exemplars == (rows[1].exemplar, rows[0].exemplar)
        assert np.array_equal(vectors.vectors, np.stack([rows[1].vector, rows[0].vector]))
        assert vectors.paths == tuple(row.root / row.exemplar.audio for row in reversed(rows))
        assert vectors.content == (rows[1].content_sha256, rows[0].content_sha256)
        (hit,) = opened.search(rows[0].vector, k=1)
        assert (hit.exemplar, hit.path) == (rows[0].exemplar, vectors.paths[1])
        info = opened.info
        assert (info.n, info.labels, info.format, info.n_rejected) == (2, 2, 1, 0)
        assert info.roots == (str(rows[0].root),)
        assert info.fingerprint == opened.fingerprint
    header = json.loads((index.path / HEADER_NAME).read_text())
    assert (header["format"], header["n"], header["labels"]) == (1, 2, 2)
    assert header["fingerprint"]["name"] == "toy"
    assert repr(index).startswith(f"Index({str(index.path)[:60]!r}"[:60])
    assert repr(index).endswith(": 2 rows by 'toy')")


def test_labels_are_counted(index: Index, make_row: MakeRow) -> None:
    assert (len(index), index.labels) == (0, {})
    index.add([make_row(id_, labels=("dog", "cat")) for id_ in "ab"])
    index.add([make_row("c", labels=("dog",)), make_row("d", labels=())])
    assert len(index) == 4
    assert list(index.labels.items()) == [("dog", 3), ("cat", 2)]
    index.remove(["a"])
    assert (len(index), index.labels["dog"]) == (3, 2)


text = st.text(st.characters(codec="utf-8"), max_size=20)
exemplars = st.builds(
    Exemplar,
    id=text.filter(bool),
    audio=text.filter(lambda name: name.strip("./") and "\0" not in name).map(PurePosixPath),
    start_s=st.one_of(st.integers(0, 9), st.floats(0, 1e6)),
    end_s=st.one_of(st.none(), st.integers(10**7, 10**8)),
    question=text,
    answer=text,
    labels=st.lists(text.filter(str.strip), unique=True, max_size=3).map(tuple),
    task=text,
    split=text,
    group=text,
    licence=text,
    meta=st.dictionaries(text, text, max_size=2),
)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(exemplars, min_size=1, max_size=12, unique_by=lambda exemplar: exemplar.id))
def test_any_exemplar_survives_the_table(
    index: Index, make_row: MakeRow, exemplars: list[Exemplar]
) -> None:
    model = make_row("model")
    rows = [replace(model, exemplar=exemplar) for exemplar in exemplars]
    index.add(rows)
    stored = index._folder.rows(exemplar.id for exemplar in exemplars)
    assert {id_: row.exemplar for id_, row in stored.items()} == {e.id: e for e in exemplars}
    assert index._folder.indexed_rows() == {row.exemplar.id: IndexedRow.of(row) for row in rows}
    damage = [p for p in verify_index(index).problems if "audio" not in p.what]
    assert damage == []
    assert index.remove(stored) == len(exemplars)


def test_the_same_id_is_replaced(index: Index, make_row: MakeRow) -> None:
    index.add([make_row("a", labels=("dog",)), make_row("b", labels=("dog",))])
    renewed = make_row("a", labels=("cat",), vector=make_row("other").vector)
    index.add([renewed, make_row("c", labels=("cow",))])
    assert ids(index) == ["a", "b", "c"]
    assert index.vectors().exemplars[0].labels == ("cat",)
    assert index.search(renewed.vector, k=1)[0].similarity == pytest.approx(1.0)
    index.add([make_row("b", labels=("cat",))])
    # No row is left with the label dog.
    assert read_header(index.path).labels == index.info.labels == 2


def test_nothing_to_add_and_nothing_to_remove(index: Index) -> None:
    index.add([])
    assert index.remove([]) == 0
    assert index.info.n == 0
    assert index.search(np.array([1, 0, 0, 0], np.float32)) == []


def test_remove(index: Index, make_row: MakeRow) -> None:
    index.add([make_row(name) for name in ("a", "b", "it's", "x' OR '1'='1")])
    assert index.remove(["it's", "a", "a"]) == 2
    assert ids(Index.open(index.path)) == ids(index) == ["b", "x' OR '1'='1"]
    assert index.remove(["x' OR '1'='1"]) == 1
    assert list(index._folder.indexed_rows()) == ["b"]
    with pytest.raises(IndexFolderError, match=r"has no row 'y' and 1 others.*nothing was removed"):
        index.remove(["b", "y", "z"])
    with pytest.raises(TypeError, match="one string"):
        index.remove("b")
    assert ids(index) == ["b"]


@pytest.mark.slow
def test_remove_and_read_thousands_at_once(index: Index, make_row: MakeRow) -> None:
    model = make_row("model")
    names = [f"{number:05}" for number in range(3000)]
    index.add([replace(model, exemplar=replace(model.exemplar, id=name)) for name in names])
    assert list(index._folder.rows([*names, "missing"])) == names
    assert index.remove(names[1:]) == 2999
    assert ids(index) == names[:1]


def test_the_row_lookup_and_the_rows_by_id(index: Index, make_row: MakeRow) -> None:
    row = make_row("a")
    assert index._folder.indexed_rows() == {}
    index.add([row])
    (known,) = index._folder.indexed_rows().values()
    assert (known.root, known.audio_key) == (row.root, (row.file_sha256, 0.0, None))
    assert dict(Index.open(index.path)._folder.indexed_rows()) == {"a": known}
    (stored,) = index._folder.rows(["a", "a", "unknown"]).values()
    assert np.array_equal(stored.vector, row.vector)
    assert replace(stored, vector=row.vector) == row
    assert index._folder.rows([]) == {}


# --- what is refused -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vector", "reason"),
    [
        ([np.nan, 0, 0, 0], "norm nan"),
        ([np.inf, 0, 0, 0], "norm inf"),
        ([0, 0, 0, 0], r"norm 0\.0"),
        ([1, 1, 0, 0], r"norm 1\.41"),
        ([1, 0, 0], r"shape \(3,\)"),
    ],
)
def test_bad_vectors_are_refused(
    index: Index, make_row: MakeRow, vector: list[float], reason: str
) -> None:
    bad = make_row("bad", vector=np.array(vector, np.float32))
    with pytest.raises(ValueError, match=f"vector of 'bad': .*{reason}"):
        index.add([make_row("good"), bad])
    assert index.info.n == 0


def test_clashing_ids_are_refused(index: Index, make_row: MakeRow, tmp_path: Path) -> None:
    with pytest.raises(IndexFolderError, match="id 'a' occurs twice"):
        index.add([make_row("a"), make_row("b"), make_row("a")])
    index.add([make_row("a")])
    elsewhere = tmp_path.resolve() / "elsewhere"
    elsewhere.mkdir()
    with pytest.raises(IndexFolderError, match=r"id 'a' belongs to a row from .*sounds.*elsewhere"):
        index.add([make_row("new", root=elsewhere), make_row("a", root=elsewhere)])
    assert ids(index) == ["a"]


def test_text_that_is_not_unicode_is_refused(index: Index, make_row: MakeRow) -> None:
    row = make_row("a")
    broken = replace(row, exemplar=replace(row.exemplar, group="caf\udce9"))
    with pytest.raises(IndexFolderError, match="is not Unicode text"):
        index.add([broken])
    index.add([row])
    assert ids(index) == ["a"]


def test_another_embedder_is_refused(index: Index, fingerprint: Fingerprint) -> None:
    other = replace(fingerprint, weights_sha256="cd", windowing="10 s")
    assert Index.open_or_create(index.path, fingerprint).path == index.path
    index.require(fingerprint)
    with pytest.raises(IndexMismatchError, match=r"'ab' / 'cd', windowing: 'whole' / '10 s'"):
        Index.open_or_create(index.path, other)


def test_the_same_weights_pass_under_another_name_and_others_do_not(
    index: Index, fingerprint: Fingerprint
) -> None:
    index.require(replace(fingerprint, name="/moved/toy", revision="2"))
    with pytest.raises(IndexMismatchError, match=r"windowing: 'whole' / '10 s'"):
        index.require(replace(fingerprint, name="/moved/toy", windowing="10 s"))
    with pytest.raises(IndexMismatchError, match=r"use its own embedder, --embedder toy"):
        index.require(replace(fingerprint, name="other", weights_sha256=""))


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("colour = 'red'", "No field named colour"),
        ("duration_s", "does not return a boolean"),
        (" ", "Expected: an expression"),
        ("split = 'train' LIMIT 1", r"Expected: \), found: LIMIT"),
        ("true; DROP TABLE exemplars", r"Expected: \), found: ;"),
        ("true UNION SELECT 1", r"Expected: \), found: UNION"),
        ("id IN (SELECT id FROM t)", "not supported"),
        ("split = '\udcff'", "surrogates not allowed"),
        ("(" * 5000, "recursion limit exceeded"),
    ],
)
def test_a_filter_that_is_no_condition(
    index: Index, make_row: MakeRow, where: str, reason: str
) -> None:
    row = make_row("a")
    index.add([row])
    with pytest.raises(FilterError, match=reason) as raised:
        index.search(row.vector, filter=SearchFilter(where=where))
    assert "id, audio, start_s" in str(raised.value)
    assert len(str(raised.value)) < 800


@pytest.mark.parametrize(
    ("where", "wanted"),
    [
        ("split = 'train'", ["a", "b"]),
        ("SPLIT = 'train' AND group <> 'g' -- a comment", ["b"]),
        ("array_has(labels, 'cat')", ["b", "c"]),
        ("array_has_any(labels, ['dog', 'cat']) AND duration_s < 1", []),
        ("id LIKE '%c'", ["c"]),
        ("end_s IS NULL", ["a", "b", "c"]),
    ],
)
def test_a_filter_expression(
    index: Index, make_row: MakeRow, where: str, wanted: list[str]
) -> None:
    index.add(
        [
            make_row("a", split="train", group="g"),
            make_row("b", split="train", labels=("dog", "cat")),
            make_row("c", split="test", labels=("cat",)),
        ]
    )
    query = make_row("query").vector
    for backend in ("exact", "faiss"):
        hits = index.search(query, filter=SearchFilter(where=where), backend=backend)
        assert sorted(hit.exemplar.id for hit in hits) == wanted


def test_compact_keeps_every_row(index: Index, make_row: MakeRow) -> None:
    for number in range(8):
        index.add([make_row(str(number))])
    reader = Index.open(index.path)
    before = reader.vectors()
    index.compact()
    for opened in (index, Index.open(index.path)):
        assert opened.vectors().exemplars == before.exemplars
        assert verify_index(opened).problems == ()
    # A reader of the version before still finds its files.
    assert reader.info.n == 8


def test_an_index_is_pickled_as_its_path(index: Index, make_row: MakeRow) -> None:
    index.add([make_row("a")])
    again = pickle.loads(pickle.dumps(index))
    assert (ids(again), again.path) == (["a"], index.path)
