"""Control strings: broken wherever they stand, and nothing else touched."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.model.chat import break_control_strings, control_strings_in

KNOWN = (
    *("<sound>", "<|sound_bos|>", "<|AUDIO|>", "<|audio_bos|>", "<|audio_pad|>", "<|audio_start|>"),
    *("<audio_soft_token>", "<start_of_audio>", "<|audio|>", "<|begin_of_audio|>", "<|pad|>"),
    *("[AUDIO]", "[BEGIN_AUDIO]", "<|im_start|>", "<|im_end|>", "<start_of_turn>"),
    *("<end_of_turn>", "[INST]", "[/INST]", "<__media__>", "</s>"),
)


@pytest.mark.parametrize("mark", KNOWN)
def test_every_known_string_is_broken_within_words(mark: str) -> None:
    broken = break_control_strings(f"a{mark}b{mark}")
    assert mark not in broken
    assert broken.replace(" ", "") == f"a{mark}b{mark}"
    assert control_strings_in(f"a{mark}")
    assert not control_strings_in(broken)


@given(st.lists(st.sampled_from([*KNOWN, "<", "|", "[", "]", "dog ", ">"]), max_size=12))
def test_nothing_is_left_and_no_letter_lost(pieces: list[str]) -> None:
    text = "".join(pieces)
    broken = break_control_strings(text)
    assert not any(mark in broken for mark in KNOWN)
    assert broken.replace(" ", "") == text.replace(" ", "")
    assert break_control_strings(broken) == broken


@given(st.text(alphabet="abc XYZ.,;:!?-()'\"0123"))
def test_plain_words_stay_as_they_are(text: str) -> None:
    assert break_control_strings(text) == text
