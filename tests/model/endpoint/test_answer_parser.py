"""The strict parser: a table of texts, and that it never names what was not said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.model.endpoint import parse_answer, strip_reasoning

LABELS = ("dog", "dog bark", "church bell", "rain", "no speech")
ALIASES = (("hound",), (), ("chime", "bell"), (), ())


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("dog", "dog"),
        ("Dog.", "dog"),
        ("**dog**", "dog"),
        ('"A dog"', "dog"),
        ("the hound!", "dog"),
        ("church_bell", "church bell"),
        ("The answer is: rain", "rain"),
        ("It sounds like rain falling on a roof.", "rain"),
        ("a dog bark", "dog bark"),
        ("I hear a bell", "church bell"),
        ("rain, and rain again", "rain"),
        ("no speech", "no speech"),
        ("There is no speech here", "no speech"),
        ("rain\nIt could also be a dog.", "rain"),
        ("<think>a dog? no.</think>\nrain", "rain"),
        ("dog? no.</think> rain", "rain"),
        ("DOG BARK", "dog bark"),
        # None of them, several, negated, or only like one.
        ("", None),
        ("cat", None),
        ("dogs", None),
        ("raining", None),
        ("dog or rain", None),
        ("a dog, then a dog bark", None),
        ("not a dog", None),
        ("It isn't rain", None),
        ("I cannot hear any rain", None),
        ("hotdog", None),
        ("<think>it must be a dog", None),
        ("I don\N{RIGHT SINGLE QUOTATION MARK}t think that it is a dog", None),
    ],
)
def test_a_text_names_one_label_or_none(text: str, label: str | None) -> None:
    found = parse_answer(text, LABELS, ALIASES)
    assert (None if found is None else LABELS[found]) == label


def test_one_name_of_two_labels_names_neither() -> None:
    assert parse_answer("bell", ["church", "bicycle"], [("bell",), ("bell",)]) is None


@given(st.text(), st.lists(st.text(min_size=1), min_size=1, max_size=4, unique=True))
def test_a_label_is_never_named_that_does_not_occur(text: str, labels: list[str]) -> None:
    found = parse_answer(text, labels)
    if found is not None:
        said = " ".join(strip_reasoning(text).casefold().replace("_", " ").split())
        for word in labels[found].casefold().replace("_", " ").split():
            letters = "".join(filter(str.isalnum, word))
            assert letters in "".join(filter(str.isalnum, said)) or word in ("a", "an", "the")


@given(st.sampled_from(LABELS), st.sampled_from(["", "The ", "it is a ", "Answer: "]))
def test_a_label_alone_is_always_named(label: str, before: str) -> None:
    assert LABELS[parse_answer(f"{before}{label}.", LABELS, ALIASES) or 0] == label
