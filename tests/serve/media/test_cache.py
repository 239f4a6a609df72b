"""The cache: bounded, the oldest forgotten first, the same as no cache."""

from hypothesis import given
from hypothesis import strategies as st

from earful.serve.media import ByteCache


def test_what_was_not_asked_for_the_longest_is_forgotten() -> None:
    cache = ByteCache[bytes](10, len)
    for key in "ab":
        cache.get(key, lambda: b"12345")
    cache.get("a", lambda: b"")
    cache.get("c", lambda: b"1")
    assert [cache.find(key) is not None for key in "abc"] == [True, False, True]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 30)), max_size=40))
def test_it_never_holds_more_than_it_may(asked: list[tuple[int, int]]) -> None:
    cache = ByteCache[bytes](40, len)
    for key, size in asked:
        wanted = bytes([key]) * size
        found = cache.get((key, size), lambda wanted=wanted: wanted)  # type: ignore[misc]
        assert found == wanted
        assert cache.n_bytes <= 40
