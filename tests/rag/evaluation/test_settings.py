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
