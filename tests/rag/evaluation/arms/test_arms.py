from typing import Any

import pytest

from earful.errors import EvaluationError
from earful.rag.evaluation.arms import arms_of
from earful.rag.task import Shots, Task
from tests.support.tone_evaluations import TASK


def test_arms_that_a_task_cannot_have_are_left_out_with_a_note() -> None:
    arms, notes = arms_of(TASK, shots=(0, 4, 8), has_model=True, most=7)
    assert {arm.k for arm in arms if arm.how == "retrieved"} == {4, 7}
    assert {arm.k for arm in arms if arm.how == "vote"} == {4, 8}
    assert notes == ("the language model hears 7 shots at most: 7 stand for 8",)
    arms, notes = arms_of(Task(name="c", kind="caption"), shots=(0,), has_model=True, most=7)
    assert {arm.how for arm in arms} == {"zero-shot", "silent"}
    assert len(notes) == 2
    arms, _ = arms_of(TASK, shots=(0, 2), has_model=False, most=None)
    assert {arm.name for arm in arms} == {"vote@2", "probe", "majority"}
    arms, _ = arms_of(
        TASK,
        shots=(2,),
        strategies=("nearest", "balanced"),
        only=("vote",),
        has_model=False,
        most=None,
    )
    assert [arm.name for arm in arms] == ["vote@2", "vote-balanced@2"]


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"shots": (-1,)}, "-1 shots: .*0 to 1000"),
        ({"shots": (1,), "strategies": ("nearst",)}, "did you mean 'nearest'"),
        ({"shots": (1,), "only": ("votes",)}, "did you mean 'vote'"),
        ({"shots": (0,), "only": ("retrieved",)}, "no arm is left"),
    ],
)
def test_unknown_arms_are_refused(choices: dict[str, Any], message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        arms_of(TASK, has_model=True, most=None, **choices)


def test_random_shots_are_asked_for_once() -> None:
    given: dict[str, Any] = {"shots": (0, 2, 4), "has_model": True, "most": None}
    arms, notes = arms_of(TASK, strategies=("nearest", "random"), **given)
    names = [arm.name for arm in arms]
    assert names.count("random@2") == names.count("random@4") == 1
    assert not [name for name in names if name.startswith("retrieved-random")]
    assert "vote-random@2" in names  # the vote has no such control
    assert "retrieved-random@2, retrieved-random@4 would ask the same as random@2" in notes[-1]
    own = Task(name="t", labels=TASK.labels, shots=Shots(strategy="random"))
    arms, _ = arms_of(own, **given)
    assert [
        arm.name for arm in arms if arm.strategy == "random" and arm.by_model and arm.k == 2
    ] == [
        "retrieved@2",
        "blend@2",
    ]
    arms, _ = arms_of(TASK, strategies=("random",), only=("retrieved",), **given)
    assert [arm.name for arm in arms] == ["retrieved-random@2", "retrieved-random@4"]
