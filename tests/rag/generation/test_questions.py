"""What questions ask for: yes or no, a name, a description, and which label."""

import pytest

from earful.rag.generation import (
    asks_for_a_description,
    asks_for_a_name,
    is_yes_no_question,
    label_asked_about,
)

LABELS = ["bell", "church_bell", "dog", "footsteps", "gun_shot", "Glass", "noise", "woman"]


@pytest.mark.parametrize(
    "question",
    [
        "Is there a dog?",
        "is it near",
        "ISN\N{RIGHT SINGLE QUOTATION MARK}T it loud?",
        "Please, do you hear footsteps?",
        "Any birds?",
        "Can you hear whether it rains?",
        "Could you tell me if this is a bell?",
        "Is it a dog or not?",
        "Please answer this question: was there a crash?",
        "How about it?\nOPTIONS:\nyes.\nno.",
    ],
)
def test_a_question_for_yes_or_no(question: str) -> None:
    assert is_yes_no_question(question)


@pytest.mark.parametrize(
    "question",
    [
        "",
        "?",
        "What is this?",
        "Isabel is here?",
        "Is it a dog or a cat?",
        "Can you describe the sound?",
        "Could you please tell me what this is?",
        "Do you know who is speaking?",
        "Is it this?\nOPTIONS:\n - dog.\n - cat.",
        "How many dogs are there?",
    ],
)
def test_a_question_for_something_else(question: str) -> None:
    assert not is_yes_no_question(question)


@pytest.mark.parametrize(
    ("question", "label"),
    [
        ("Is there a dog in this?", "dog"),
        ("Do you hear footsteps?", "footsteps"),
        ("Do you hear a footstep?", "footsteps"),
        ("Is this a bell?", "bell"),
        ("Is this the church bell?", "church_bell"),
        ("Are these church bells?", "church_bell"),
        ("Does the recording contain gun shots?", "gun_shot"),
        ("Is this the sound of a glass?", "Glass"),
        ("Isn't there any glass?", "Glass"),
        ("Do you hear women here?", "woman"),
        ("Is there noise in this recording?", "noise"),
        ("Is this the noise of a dog?", "dog"),
        ("Any dogs?", "dog"),
        ("Is it a dog or not?", "dog"),
        # Something else is asked, or more.
        ("Is the dog close?", None),
        ("Is this a hot dog?", None),
        ("Is there no dog?", None),
        ("Do you hear two dogs?", None),
        ("Do you hear a dog and footsteps?", None),
        ("Is it a cat?", None),
        ("Is it a dogma?", None),
        ("Is it?", None),
        ("", None),
    ],
)
def test_the_label_that_a_question_is_about(question: str, label: str | None) -> None:
    assert label_asked_about(question, LABELS) == label


def test_questions_for_a_name_or_a_description() -> None:
    for question in ("What is this sound?", "What do you hear?", "Which sound is it?"):
        assert asks_for_a_name(question)
        assert not asks_for_a_description(question)
    for question in ("What is the dog doing?", "How many sounds do you hear?", "Why?", ""):
        assert not asks_for_a_name(question)
    assert asks_for_a_description("Describe the sound in a sentence.")
    assert not asks_for_a_description("Describe the dog.")
