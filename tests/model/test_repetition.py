"""The stop for repetition: what counts as one, what stays, what may be shown before."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.model.repetition import LONGEST, RepetitionStop, find_repetition, trim_separators


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a drum a drum a drum a drum", "a drum"),
        ("it is a drum a drum a drum", "it is a drum"),
        ("drum drum drum drum drum", "drum"),
        ("a dog , a dog , a dog , and", "a dog ,"),
        # What people write.
        ("ha ha", None),
        ("ha ha ha", None),
        ("knock knock knock", None),
        ("very very very loud", None),
        ("tick tock tick tock", None),
        ("a dog barks and a dog barks again", None),
        ("a b a b a c a b a b", None),
        ("", None),
    ],
)
def test_three_copies_of_a_phrase_or_four_of_a_word_are_a_repetition(
    text: str, kept: str | None
) -> None:
    words = text.split()
    n_kept = find_repetition(words)
    assert (None if n_kept is None else " ".join(words[:n_kept])) == kept


def test_only_pieces_up_to_a_length_are_looked_for() -> None:
    def copies(length: int) -> list[int]:
        return list(range(length)) * 3

    assert find_repetition(copies(LONGEST)) == LONGEST
    assert find_repetition(copies(LONGEST + 1)) is None


def plain_oracle(tokens: list[int]) -> int | None:
    """The definition, tried at every place."""
    for end in range(1, len(tokens) + 1):
        for length in range(1, LONGEST + 1):
            n_copies = 4 if length == 1 else 3
            tail = tokens[max(end - n_copies * length, 0) : end]
            if len(tail) == n_copies * length and tail == tail[:length] * n_copies:
                return end - (n_copies - 1) * length
    return None


TOKENS = st.lists(st.integers(0, 2), max_size=40)


@given(tokens=TOKENS)
def test_it_is_what_its_definition_says(tokens: list[int]) -> None:
    assert find_repetition(tokens) == plain_oracle(tokens)


@given(start=TOKENS, piece=st.lists(st.integers(0, 9), min_size=1, max_size=LONGEST))
def test_nothing_repeats_for_ever(start: list[int], piece: list[int]) -> None:
    n_kept = find_repetition(start + piece * 4)
    assert n_kept is not None
    assert n_kept <= len(start) + len(piece)


@given(tokens=TOKENS)
def test_what_is_settled_is_never_cut_off(tokens: list[int]) -> None:
    watch, settled = RepetitionStop(), 0
    for token in tokens:
        watch.add(token)
        if (n_kept := watch.n_kept) is not None:
            assert settled <= n_kept
            return
        assert settled <= watch.n_settled
        settled = watch.n_settled


def test_separators_before_another_copy_go() -> None:
    assert trim_separators("rain, wind,\n and ,") == "rain, wind"
    assert trim_separators("a band") == "a band"
    assert trim_separators("it is over or") == "it is over"
