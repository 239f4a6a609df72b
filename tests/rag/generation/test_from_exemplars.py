"""Sentences from exemplars: theirs, or of their labels, or none."""

from pathlib import Path, PurePosixPath

import pytest

from earful.index.corpus import Exemplar
from earful.index.search import Hit
from earful.rag.answer import LabelScore
from earful.rag.generation import Heard, answer_heard, describe_heard, name_heard


def hit(
    name: str,
    *labels: str,
    answer: str = "",
    question: str = "",
    task: str = "",
    similarity: float = 0.8,
) -> Hit:
    exemplar = Exemplar(
        id=name,
        audio=PurePosixPath(f"{name}.wav"),
        labels=labels,
        answer=answer,
        question=question,
        task=task,
    )
    return Hit(
        exemplar=exemplar,
        similarity=similarity,
        rank=0,
        path=Path(f"{name}.wav"),
        content_sha256=name,
    )


def heard(*hits: Hit, likeness: float = 0.9, exclusive: bool = True, **by_label: float) -> Heard:
    ranked = sorted(by_label.items(), key=lambda item: -item[1])
    return Heard(
        ranked=tuple(LabelScore(label=label, score=score) for label, score in ranked),
        labelled=hits if by_label else (),
        answered=() if by_label else hits,
        likeness=likeness,
        exclusive=exclusive,
    )


def test_labels_alone_make_a_plain_sentence() -> None:
    said = describe_heard(heard(hit("a", "bell"), hit("b", "dog"), bell=0.8, dog=0.2))
    assert said.text == "a recording of a bell"
    assert said.confidence == 0.8
    assert "'bell' 80%" in said.note
    assert not said.declined
    several = heard(hit("a", "rain", "owl"), rain=0.9, owl=0.7, dog=0.2, exclusive=False)
    assert describe_heard(several).text == "a recording of rain and an owl"


def test_the_nearest_with_the_winning_label_lends_its_caption() -> None:
    said = describe_heard(
        heard(
            hit("far", "dog", answer="a dog barks at a cat"),
            hit("plain", "bell"),
            hit("told", "bell", answer="a bell rings in a tower"),
            hit("later", "bell", answer="bells ring"),
            bell=0.7,
            dog=0.3,
        )
    )
    assert said.text == "a bell rings in a tower"
    assert "told" in said.note
    assert len(said.evidence) == 4


@pytest.mark.parametrize(
    "other",
    [
        hit("a", "bell", answer="yes", question="Is it loud?"),
        hit("a", "bell", answer="seven", task="counting"),
        hit("a", "church_bell", "bell", answer="Church bell, bell"),
    ],
)
def test_what_is_no_caption_is_not_taken_for_one(other: Hit) -> None:
    assert describe_heard(heard(other, bell=0.9)).text == "a recording of a bell"


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (heard(hit("a", "bell"), likeness=0.3, bell=0.9), "nothing in the index is like it"),
        (heard(hit("a", "bell"), bell=0.4, dog=0.3), "disagree ('bell' 40%, 'dog' 30%)"),
        (heard(hit("a", answer="a bell"), likeness=0.3), "nothing in the index is like it"),
        (
            heard(hit("a", answer="bells"), hit("b", answer="a dog"), hit("c", answer="rain")),
            "about other things",
        ),
        (Heard(), "no exemplars"),
    ],
)
def test_a_description_is_declined_rather_than_made_up(found: Heard, why: str) -> None:
    said = describe_heard(found)
    assert said.declined
    assert said.confidence == 0.0
    assert said.text.startswith("I cannot describe this: ")
    assert why in said.text
    assert ("the nearest is" in said.text) == (found.nearest is not None)


def test_captions_without_labels_have_to_be_alike() -> None:
    hits = (
        hit("a", answer="a dog barks"),
        hit("b", answer="The dog is barking."),
        hit("c", answer="rain on a roof"),
    )
    said = describe_heard(heard(*hits))
    assert (said.text, said.declined) == ("a dog barks", False)
    assert said.confidence == pytest.approx(2 / 3)
    assert describe_heard(heard(hits[2], *hits[:2])).declined


def test_a_name_is_the_winning_label() -> None:
    assert name_heard(heard(hit("a", "owl"), owl=0.8)).text == "an owl"
    assert "I cannot answer this: the exemplars have no labels" in name_heard(heard(hit("a"))).text
    assert name_heard(heard(hit("a", "owl"), owl=0.8, likeness=0.2)).declined


def test_a_question_is_answered_as_the_exemplars_answered_it() -> None:
    asked = "How many dogs?"
    hits = [hit(str(n), question="how many dogs", answer=x) for n, x in enumerate(("Two.", "two"))]
    other = hit("x", question="how many cats?", answer="one")
    said = answer_heard(heard(other, *hits), asked)
    assert (said.text, said.confidence, said.evidence) == ("Two.", 1.0, tuple(hits))
    third = hit("y", question=asked, answer="three")
    assert answer_heard(heard(*hits, third), asked).confidence == pytest.approx(2 / 3)
    assert "differently" in answer_heard(heard(hits[0], third), asked).text
    assert "no exemplar near" in answer_heard(heard(other), asked).text
    assert "is like it" in answer_heard(heard(*hits, likeness=0.1), asked).text
    assert "no exemplars" in answer_heard(Heard(), asked).text
