from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earful.errors import IndexFolderError
from earful.index.corpus import Exemplar
from earful.index.distributed.batches import (
    denies_any,
    exemplar_digests,
    fitted,
    require_whole,
    row_digests,
)
from earful.index.storage import (
    Row,
    class_scores_of,
    row_digest,
    table_schema,
    to_arrow,
    vectors_of,
)
from earful.model import Fingerprint

MADE_BY = Fingerprint(
    name="toy", revision="", weights_sha256="", dim=3, sample_rate=8000, windowing="whole"
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NAMES = st.lists(TEXT.filter(str.strip), max_size=2, unique=True)


@st.composite
def drawn_rows(draw: st.DrawFn) -> list[Row]:
    n_classes = draw(st.sampled_from([0, 2]))
    rows = []
    for number in range(draw(st.integers(1, 5))):
        labels = draw(NAMES)
        vector = np.array(draw(st.sampled_from([(1, 0, 0), (0, 0.6, 0.8)])), dtype=np.float32)
        exemplar = Exemplar(
            id=f"{draw(TEXT)}{number}",
            audio=PurePosixPath(draw(TEXT) or "a"),
            start_s=(start := draw(st.floats(0, 9))),
            end_s=draw(st.sampled_from([None, start + 0.1, 12])),
            labels=tuple(labels),
            not_labels=tuple(one for one in draw(NAMES) if one not in labels),
            question=draw(TEXT),
            answer=draw(TEXT),
            group=draw(TEXT),
            meta=draw(st.dictionaries(TEXT, TEXT, max_size=2)),
        )
        rows.append(
            Row(
                exemplar=exemplar,
                root=Path("/nowhere"),
                duration_s=draw(st.floats(0.01, 9)),
                file_sha256="ab" * 32,
                content_sha256="cd" * 32,
                vector=vector,
                class_scores=np.array([1.5, -2], np.float16) if n_classes else None,
            )
        )
    return rows


@settings(max_examples=25, deadline=None)
@given(rows=drawn_rows())
def test_digests_of_columns_are_those_of_rows(rows: list[Row]) -> None:
    n_classes = 0 if rows[0].class_scores is None else 2
    denies = any(row.exemplar.not_labels for row in rows)
    whole = to_arrow(rows, [0] * len(rows), MADE_BY, n_classes, not_labels=denies)
    # A part of a batch lies at an offset in its columns.
    for batch, own in ((whole, rows), (whole.slice(1), rows[1:])):
        exemplars = exemplar_digests(batch)
        assert exemplars == batch.column("exemplar_sha256").to_pylist()
        found = row_digests(batch, exemplars, vectors_of(batch, 3), class_scores_of(batch))
        assert found == [row_digest(row) for row in own]
        require_whole(batch, where="here")
    assert denies_any(whole) == denies
    # A column of what is not there, empty or not, changes no digest.
    full = fitted(whole, table_schema(MADE_BY, n_classes, not_labels=True), root=7)
    require_whole(full, where="here")
    assert set(full.column("root").to_pylist()) == {7}
    if not denies:
        require_whole(fitted(full, table_schema(MADE_BY, n_classes)), where="here")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", "other"),
        ("labels", ["owl"]),
        ("meta", '{"a": "b"}'),
        ("file_sha256", "ee" * 32),
        ("exemplar_sha256", "0" * 64),
        ("row_sha256", "0" * 64),
        ("vector", [0.0, 1.0, 0.0]),
        ("vector", [2.0, 0.0, 0.0]),
        ("class_scores", [0.0, 0.0]),
        ("class_scores", [float("nan"), 0.0]),
        ("start_s", 1.0),
    ],
)
def test_a_changed_value_is_found(name: str, value: object) -> None:
    row = Row(
        exemplar=Exemplar(id="a", audio=PurePosixPath("a.wav"), labels=("dog",)),
        root=Path("/nowhere"),
        duration_s=1.0,
        file_sha256="ab" * 32,
        content_sha256="cd" * 32,
        vector=np.array([1, 0, 0], np.float32),
        class_scores=np.array([1, 2], np.float16),
    )
    batch = to_arrow([row], [0], MADE_BY, 2)
    columns = batch.to_pydict() | {name: [value]}
    if name == "class_scores":
        columns[name] = [np.array(value, np.float16)]
    else:
        columns["class_scores"] = [np.array([1, 2], np.float16)]
    changed = type(batch).from_pydict(columns, schema=batch.schema)
    with pytest.raises(IndexFolderError, match=r"here: 1 row does not match their own|of 'a'|'a'"):
        require_whole(changed, where="here")


def test_gaps_are_refused() -> None:
    columns = {field.name: [None] for field in table_schema(MADE_BY)}
    import pyarrow as pa

    batch = pa.RecordBatch.from_pydict(columns, schema=table_schema(MADE_BY))
    with pytest.raises(IndexFolderError, match="column id has gaps"):
        require_whole(batch, where="here")
