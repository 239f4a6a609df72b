"""What holds for all lengths, prompts and answers."""

from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.model import ClipRef, Place, Prompt, Text
from earful.model.hub_models.families import FAMILIES
from earful.model.hub_models.messages import to_messages
from earful.model.hub_models.self_test import run_self_test
from tests.model.hub_models.conftest import RATE, ask, noise

# What counting reads of processors, as they are by default.
PROCESSOR = SimpleNamespace(
    max_audio_len=600,
    audio_seq_length=750,
    feature_extractor=SimpleNamespace(
        nb_max_frames=3000, frame_length=320, get_num_audio_codes=lambda n: -(-n // 320)
    ),
    audio_processor=SimpleNamespace(projector_window_size=15, projector_downsample_rate=5),
)


@given(st.integers(RATE // 10, 100 * RATE), st.integers(0, RATE))
def test_a_longer_recording_never_takes_fewer_tokens(n_samples: int, more: int) -> None:
    for family in FAMILIES:
        found = family.count_tokens(n_samples, PROCESSOR)
        assert 0 <= found <= family.count_tokens(n_samples + more, PROCESSOR)


WORDS = st.text(min_size=1, max_size=9)
SHOTS = st.lists(st.tuples(st.booleans(), WORDS, WORDS), max_size=5)


@given(SHOTS, WORDS, st.booleans())
def test_every_recording_opens_a_turn_and_no_word_is_lost(
    shots: list[tuple[bool, str, str]], question: str, system_text: bool
) -> None:
    parts: list[Text | Place] = [Text(kind="system", text="S")]
    for has_audio, asked, answer in shots:
        if has_audio:
            parts.append(ClipRef(audio=Path("shot.wav")))
        parts.append(Text(kind="exemplar", text=asked))
        parts.append(Text(kind="exemplar", text=answer, is_answer=True))
    parts += [ClipRef(audio=Path("query.wav")), Text(kind="user", text=question)]
    messages = to_messages(Prompt(parts=tuple(parts)), name="m", system_text=system_text)
    roles = [message["role"] for message in messages]
    assert roles[-1] == "user"
    assert all(a != b for a, b in pairwise(roles))
    kinds = [[part["type"] for part in message["content"]] for message in messages]
    assert sum("audio" in own for own in kinds) == 1 + sum(shown for shown, _, _ in shots)
    assert all(own in (["text"], ["audio", "text"]) for own in kinds)
    said = "\n".join(part["text"] for m in messages for part in m["content"] if "text" in part)
    for text in ("S", question, *(word for _, *pair in shots for word in pair)):
        assert text in said


@pytest.mark.slow
def test_the_self_test_finds_what_is_wrong(flamingo, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    network = flamingo.network
    score = network.score
    monkeypatch.setattr(
        network,
        "score",
        lambda *a: [own + (0.1 if network.reuses_prompt else 0.0) for own in score(*a)],
    )
    assert not run_self_test(flamingo.renderer, network).reuses_prompt
    assert len(flamingo.score(ask(noise(0.5)), ["a", "b"])) == 2
    monkeypatch.undo()
    assert run_self_test(flamingo.renderer, network).reuses_prompt
    monkeypatch.setattr(
        network, "score", lambda *a: [own * (1 + network.batches_answers) for own in score(*a)]
    )
    found = run_self_test(flamingo.renderer, network)
    assert (found.reuses_prompt, found.batch_safe) == (True, False)
    monkeypatch.undo()
    run_self_test(flamingo.renderer, network)
