import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.rag.evaluation.metrics import (
    exact_match,
    match_label,
    near_label,
    normalise,
    select_subset,
    set_f1,
    split_labels,
    token_f1,
)
from earful.rag.task import Subset


@pytest.mark.parametrize(
    ("text", "compared"),
    [("Yes.", "yes"), ("  a   dog . ", "a dog"), ("p.m.", "p.m"), ("", ""), ("STRASSE", "strasse")],
)
def test_texts_are_compared_without_case_spaces_and_a_final_full_stop(
    text: str, compared: str
) -> None:
    assert normalise(text) == compared


@given(st.text())
def test_comparing_twice_changes_nothing_but_another_full_stop(text: str) -> None:
    once = normalise(text)
    assert normalise(once) in (once, once.removesuffix(".").rstrip())
    assert once == once.strip()


def test_three_annotators_are_matched_by_the_answer_of_most() -> None:
    assert exact_match("Two.", ["two", "two", "three"]) == 1.0
    assert exact_match("three", ["two", "two", "three"]) == 0.0
    # Where nobody agrees, each answer is right.
    assert exact_match("three", ["two", "one", "three"]) == 1.0
    assert exact_match("four", ["two", "one", "three"]) == 0.0
    assert exact_match("", []) == 0.0


def test_words_shared_are_counted_as_squad_does() -> None:
    # "large dog" of two words, "the dog barks" of two: one shared, 2 * 1 / 4.
    assert token_f1("a large dog", ["the dog barks"]) == 0.5
    assert token_f1("a dog", ["the dog", "rain"]) == 1.0
    assert token_f1("the", ["a"]) == 1.0
    assert token_f1("", ["dog"]) == 0.0


def test_sets_of_labels_share_what_they_share() -> None:
    assert set_f1(["a", "b"], ["b", "c", "d"]) == pytest.approx(2 / 5)
    assert set_f1([], []) == 1.0
    assert set_f1([], ["a"]) == 0.0


@given(st.sets(st.sampled_from("abcdef")), st.sets(st.sampled_from("abcdef")))
def test_set_f1_is_symmetric_and_one_for_equal_sets(one: set[str], other: set[str]) -> None:
    assert set_f1(sorted(one), sorted(other)) == set_f1(sorted(other), sorted(one))
    assert (set_f1(sorted(one), sorted(other)) == 1.0) == (one == other)


def test_a_label_is_named_exactly_or_not_at_all() -> None:
    known = ["dog bark", "siren"]
    assert match_label("Dog bark.", known) == "dog bark"
    assert match_label("it is a siren", known) is None
    assert near_label("it is a siren", known) == "siren"
    assert near_label("rain", known) is None
    # As near to one as to the other is near to none.
    assert near_label("dog siren", ["dog", "siren"]) is None


def test_labels_with_commas_in_them_are_told_apart() -> None:
    known = ["keys", "keys, jangling", "jangling, loud", "car"]
    assert split_labels("Keys, jangling, car, bus", known) == ("keys, jangling", "car")
    assert split_labels("car, car", known) == ("car",)
    assert split_labels("", known) == ()


@pytest.mark.parametrize(
    ("answers", "subsets"),
    [
        (["yes", "Yes", "yes"], {"unanimous", "majority", "binary"}),
        (["yes", "no", "yes"], {"majority", "binary"}),
        (["two", "two", "two"], {"unanimous", "majority", "non-binary", "numerical"}),
        (["bird", "birds", "3"], {"non-binary"}),
        (["4", "4", "bird"], {"majority", "non-binary", "numerical"}),
    ],
)
def test_questions_are_sorted_by_the_answers_of_annotators(
    answers: list[str], subsets: set[Subset]
) -> None:
    every: tuple[Subset, ...] = ("unanimous", "majority", "binary", "non-binary", "numerical")
    assert {name for name in every if select_subset(answers, [name])} == subsets
    assert select_subset(answers, sorted(subsets))
    assert select_subset(answers, [])
    assert not select_subset([], ["majority"])
