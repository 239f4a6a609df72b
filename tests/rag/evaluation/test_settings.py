from typing import Any

import pytest

from earful.errors import EvaluationError
from earful.rag.evaluation import EvaluationSettings


@pytest.mark.parametrize(
    "wrong", [{"seeds": 0}, {"limit": 0}, {"leaks": "no"}, {"confidence": 1.0}, {"resamples": 5}]
)
def test_settings_outside_their_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(EvaluationError, match=next(iter(wrong))):
        EvaluationSettings(**wrong)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"shots": 2}, r"shots=2: expected several, such as \(0, 4\)"),
        ({"shots": (0.5,)}, "shots=0.5: expected a whole number"),
        ({"seeds": (0, 1)}, "expected a whole number"),
        ({"arms": "vote"}, "arms='vote': expected several"),
        ({"shot_modes": "text"}, "shot_modes='text': expected several"),
        ({"limit": 2.0}, "limit=2.0: expected a whole number"),
    ],
)
def test_settings_of_another_form_are_refused_with_the_right_one(
    wrong: dict[str, Any], told: str
) -> None:
    with pytest.raises(TypeError, match=told):
        EvaluationSettings(**wrong)


def test_a_list_of_shots_is_kept_as_a_run_s_file_would_give_it_back() -> None:
    settings = EvaluationSettings(shots=[0, 2])  # type: ignore[arg-type]
    assert settings == EvaluationSettings.from_dict(settings.to_dict())
    assert hash(settings)
