from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.errors import CorpusError
from earful.index.corpus import open_corpus
from earful.index.corpus.seen_ids import SeenIds


@given(st.lists(st.text(max_size=2), max_size=50))
def test_an_id_was_seen_when_a_set_holds_it(ids: list[str]) -> None:
    seen, expected = SeenIds(), set[str]()
    for id_ in ids:
        assert seen.add(id_) == (id_ in expected)
        expected.add(id_)


def test_many_ids_take_at_most_32_bytes_each() -> None:
    seen = SeenIds()
    n = 100_000
    assert not any(seen.add(str(number)) for number in range(n))
    assert all(seen.add(str(number)) for number in range(0, n, 97))
    assert len(seen._slots) * seen._slots.itemsize <= 32 * n


def test_the_hash_of_ids_finds_what_occurs_twice_among_many(tmp_path: Path) -> None:
    rows = "".join(f"clip{n}.wav,dog,{n}\n" for n in range(5000))
    table = tmp_path / "many.csv"
    table.write_text(f"audio,label,id\n{rows}")
    assert sum(1 for _ in open_corpus(table)) == 5000
    table.write_text(f"audio,label,id\n{rows}x.wav,dog,77\n")
    with pytest.raises(CorpusError, match=r"many.csv:5002: id '77' already occurs at .*:79"):
        list(open_corpus(table))
