"""Writing: what is shown while an answer comes is the answer, whatever is cut off of it."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from earful.model import GenerationOptions
from earful.model.hub_models.language_model import without_thoughts
from earful.model.writing import ShownText, write_answer

_END = 0


def decode(ids: Sequence[int]) -> str:
    return without_thoughts("".join(chr(id_) for id_ in ids if id_ != _END)).strip()


def written(text: str, options: GenerationOptions = GenerationOptions()) -> tuple[str, list[str]]:
    pieces: list[str] = []
    steps = [(ord(character), 0.0) for character in text] + [(_END, 0.0)]
    found = write_answer(steps, options, end_ids=[_END], decode=decode, on_text=pieces.append)
    return found.text, pieces


@given(st.text(alphabet="ab. ", max_size=60), st.lists(st.text("ab. ", min_size=1), max_size=2))
def test_the_pieces_are_the_answer(text: str, stops: list[str]) -> None:
    options = GenerationOptions(stop=tuple(stops), stop_repetition=False)
    answer, pieces = written(text, options)
    assert "".join(pieces) == answer
    assert not any(stop.strip() and stop in answer for stop in stops)


def test_a_thought_that_shows_late_is_followed_by_the_whole_answer() -> None:
    answer, pieces = written("I hear something that barks.</think>a dog")
    assert answer == "a dog"
    assert "".join(pieces) == "I hear something that bark\na dog"


def test_what_is_cut_off_at_the_end_is_not_shown_again() -> None:
    pieces: list[str] = []
    shown = ShownText(pieces.append, GenerationOptions(), held_back=2)
    shown.show("a dog a dog")
    shown.finish("a dog")
    assert pieces == ["a dog a d"]
