"""Counts of labels: what counting one by one gives, of the state that the table is in only."""

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earful.index import Index
from earful.index.cache import LabelCounts, label_counts
from tests.support.large_indexes import clustered_rows, empty_index

names = st.sampled_from(["dog", "cat", "Ω", "a b"])
label_lists = st.lists(st.tuples(st.lists(names), st.lists(names), st.sampled_from(["", "yes"])))


@settings(max_examples=40, deadline=None)
@given(rows=label_lists, cut=st.integers(1, 4))
def test_batches_are_counted_as_one_by_one(
    rows: list[tuple[list[str], list[str], str]], cut: int
) -> None:
    lists = pa.list_(pa.string())
    batches = [
        pa.record_batch(
            [
                pa.array([labels for labels, _, _ in some], lists),
                pa.array([answer for _, _, answer in some], pa.string()),
                pa.array([denied for _, denied, _ in some], lists),
            ],
            ["labels", "answer", "not_labels"],
        )
        for some in (rows[start : start + cut] for start in range(0, len(rows), cut))
    ]
    counts, one_by_one = LabelCounts.count(batches), LabelCounts()
    for labels, denied, answer in rows:
        one_by_one.add(labels, denied, is_negative=bool(denied) and not (labels or answer))
    assert counts == one_by_one
    assert counts.labels == Counter(label for labels, _, _ in rows for label in labels)
    without = LabelCounts.count(batch.select(["labels"]) for batch in batches)
    assert (without.labels, without.not_labels) == (counts.labels, Counter())


def test_what_is_kept_counts_for_its_state_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_counts, "_ROWS_WORTH_KEEPING", 3)
    index = empty_index(tmp_path / "sounds.index")
    index.add(clustered_rows(2, tmp_path))
    kept = index.path / "label_counts.json"
    assert not kept.exists()
    index.add(clustered_rows(9, tmp_path)[2:])
    expected = {"label 0": 2, "label 1": 2, **{f"label {n}": 1 for n in range(2, 7)}}
    with monkeypatch.context() as patched:
        patched.setattr(LabelCounts, "count", lambda _: pytest.fail("counted the rows again"))
        reader = Index.open(index.path)
        assert dict(reader.labels) == expected
        assert list(reader.labels)[:3] == ["label 0", "label 1", "label 2"]
        # The next commit begins with what was kept, too.
        reader.add(clustered_rows(1, tmp_path, seed=1))
        assert Index.open(index.path).labels["label 0"] == 3
    # Without what was kept, or where it is damaged, rows are counted.
    kept.write_bytes(kept.read_bytes()[:-1])
    assert Index.open(index.path).labels["label 0"] == 3
    old = kept.read_bytes()
    reader.remove(["1-00000"])
    kept.write_bytes(old)
    assert dict(Index.open(index.path).labels) == expected
    assert Index.open(index.path).info.labels == 7
