"""What questions ask for: yes or no, a name, a description, and which label."""

import pytest

from earful.rag.generation import (
    affirmed,
    asks_for_a_description,
    asks_for_a_name,
    is_yes_no_question,
    label_asked_about,
    labels_to_choose_from,
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
        "Is it a dog, yes or no?",
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


MACHINES = ["bearing", "cavitation", "compressor", "normal"]


@pytest.mark.parametrize(
    ("question", "label"),
    [
        ("Is the machine normal?", "normal"),
        ("Is this machine running normally?", "normal"),
        ("Is the old pump running normally?", "normal"),
        ("Does the machine run normally?", "normal"),
        ("Does this sound normal?", "normal"),
        ("Is everything normal?", "normal"),
        ("Is this a normal operation?", "normal"),
        ("Is the machine working normally or not?", "normal"),
        ("Can you tell whether the machine is normal?", "normal"),
        ("Is this a bearing fault?", "bearing"),
        ("Are there bearing problems?", "bearing"),
        ("Is it a bearing, yes or no?", "bearing"),
        ("Is there a bearing's noise?", "bearing"),
        ("Is the pump cavitating?", "cavitation"),
        ("Does the pump cavitate?", "cavitation"),
        ("Is there a sign of cavitation?", "cavitation"),
        ("Is cavitation present?", "cavitation"),
        ("Is that the compressor?", "compressor"),
        # Something else is asked, or more.
        ("Is the bearing normal?", None),
        ("Is the bearing faulty?", None),
        ("Is the machine abnormal?", None),
        ("Is there a fault?", None),
        ("Is the loud compressor broken?", None),
        ("Is the machine always normal?", None),
        ("Is it cavitation and a bearing?", None),
        ("Is the machine not normal?", None),
    ],
)
def test_words_of_a_label_are_found_in_other_forms(question: str, label: str | None) -> None:
    assert label_asked_about(question, MACHINES) == label


@pytest.mark.parametrize(
    ("question", "label"),
    [
        ("Is the dog barking?", "dog_bark"),
        ("Does the dog bark?", "dog_bark"),
        ("Is it raining?", "rain"),
        ("Is the bird a crow?", "crow"),
        ("Is there a crow call?", "crow"),
        ("Is the second speaker a woman?", "woman"),
        ("Is someone humming?", None),
        ("Is it humming?", "hum"),
        ("Is there a bearing?", None),  # which is no bear
        ("Is this a bearing fault?", None),
        ("Do you hear the small bear?", None),
        ("Is this the rainy day?", None),
    ],
)
def test_verbs_are_of_their_labels_and_nouns_are_not(question: str, label: str | None) -> None:
    labels = ["bear", "dog_bark", "rain", "crow", "woman", "hum"]
    assert label_asked_about(question, labels) == label


@pytest.mark.parametrize(
    ("question", "labels"),
    [
        ("Is it cavitation or a bearing?", ("cavitation", "bearing")),
        ("bearing or cavitation?", ("bearing", "cavitation")),
        ("Which is it: normal, bearing or cavitation?", ("normal", "bearing", "cavitation")),
        ("Is the machine normal or does it have a bearing fault?", ("normal", "bearing")),
        ("Is it more like cavitation or more like a bearing?", ("cavitation", "bearing")),
        ("Is it normal or faulty?", ()),
        ("Is it a bearing or not?", ()),
        ("Is it a bearing, yes or no?", ()),
        ("Is it a bearing?", ()),
        ("Is it a bearing and cavitation?", ()),
        ("Is it a dog or a cat?", ()),
        ("", ()),
    ],
)
def test_a_choice_between_labels(question: str, labels: tuple[str, ...]) -> None:
    assert labels_to_choose_from(question, MACHINES) == labels
    assert not labels or not is_yes_no_question(question)


def test_negations_are_told() -> None:
    for question in ("Is it not cavitation?", "Is there no cavitation?", "Is it never cavitation?"):
        assert label_asked_about(question, MACHINES) is None
        assert label_asked_about(affirmed(question), MACHINES) == "cavitation"
    for question in ("Isn't it cavitation?", "Is it cavitation or not?", "Is it a knot?", "No?"):
        assert affirmed(question) == question
