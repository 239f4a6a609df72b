"""The arms of an evaluation: ways to answer, all asked about the same items.

What may be used in earnest: the language model without shots, with retrieved shots, its
blend with the neighbour vote, and the vote alone. What they have to beat: a linear probe
on the same vectors and the most frequent label. What shows whether the model listens:
random shots, shots with other shots' labels, and silence in the recording's place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from earful.errors import EvaluationError
from earful.rag.strategies import STRATEGIES
from earful.rag.task import MAX_SHOTS, Task
from earful.wording import counted, unknown_name

How = Literal[
    "zero-shot",
    "retrieved",
    "blend",
    "vote",
    "random",
    "shuffled",
    "silent",
    "probe",
    "majority",
]
HOWS: tuple[How, ...] = get_args(How)
_BY_MODEL = frozenset({"zero-shot", "retrieved", "blend", "random", "shuffled", "silent"})
_DRAWN = frozenset({"random", "shuffled"})
_WITH_SHOTS = frozenset({"retrieved", "blend", "vote", "random", "shuffled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One way to answer.

    Attributes:
        how: Which way.
        k: Shots; 0 for none.
        strategy: How they are chosen; only ``retrieved``, ``blend`` and ``vote`` have a
            choice.
        is_default: Whether that is the task's own strategy, which a name leaves out.
    """

    how: How
    k: int = 0
    strategy: str = "nearest"
    is_default: bool = True

    @property
    def name(self) -> str:
        """Such as ``retrieved@4``, ``retrieved-diverse@4`` or ``probe``."""
        chosen = "" if self.is_default else f"-{self.strategy}"
        shots = f"@{self.k}" if self.how in _WITH_SHOTS or self.how == "silent" else ""
        return f"{self.how}{chosen}{shots}"

    @property
    def by_model(self) -> bool:
        """Whether a language model is asked."""
        return self.how in _BY_MODEL

    @property
    def is_drawn(self) -> bool:
        """Whether it draws, so that seeds make a difference."""
        return self.how in _DRAWN or STRATEGIES[self.strategy].is_random

    @property
    def has_choice(self) -> bool:
        """Whether it may be used in earnest, and is not a control."""
        return self.how in ("zero-shot", "retrieved", "blend", "vote")

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {"name": self.name, "how": self.how, "k": self.k, "strategy": self.strategy}


def arms_of(
    task: Task,
    *,
    shots: Sequence[int],
    strategies: Sequence[str] = (),
    only: Sequence[str] = (),
    has_model: bool,
    most: int | None,
) -> tuple[tuple[Arm, ...], tuple[str, ...]]:
    """List the arms of an evaluation.

    Controls stand at every number of shots for random ones, and at the greatest for
    shuffled labels and silence. Arms that a task cannot have are left out with a note.

    Args:
        task: What is asked.
        shots: Numbers of shots; 0 asks the model without any.
        strategies: How shots are retrieved; none for the task's own way.
        only: Ways to answer that are wanted; none for all.
        has_model: Whether there is a language model.
        most: How many shots it can hear; ``None`` for any number.

    Returns:
        The arms in the order of ``How``, and notes about what was left out.

    Raises:
        EvaluationError: A number, a strategy or a way is none that there is, or no arm
            is left.
    """
    for k in shots:
        if not 0 <= k <= MAX_SHOTS:
            raise EvaluationError(f"{k} shots; want 0 to {MAX_SHOTS}")
    for strategy in strategies:
        if strategy not in STRATEGIES:
            raise EvaluationError(unknown_name("strategy", strategy, tuple(STRATEGIES)))
    for how in only:
        if how not in HOWS:
            raise EvaluationError(unknown_name("arm", how, HOWS))
    notes: list[str] = []
    numbers = sorted(set(shots))
    heard = [k for k in numbers if most is None or k <= most]
    if most is not None and has_model and (beyond := [k for k in numbers if k > most]):
        heard = sorted({*heard, most})
        told = ", ".join(map(str, beyond))
        notes.append(
            f"the language model hears {counted(most, 'shot')} at most: {most} stand for {told}"
        )
    named = [known for known in STRATEGIES if known in strategies] or [task.shots.strategy]
    with_shots = [k for k in heard if k]
    arms: list[Arm] = []
    for how in HOWS:
        if only and how not in only:
            continue
        if how in _BY_MODEL and not has_model:
            continue
        if how in ("retrieved", "blend", "vote"):
            if how == "blend" and (not task.has_labels or task.protocol.answers == "written"):
                continue
            wanted = [k for k in numbers if k] if how == "vote" else with_shots
            arms += [
                Arm(how=how, k=k, strategy=name, is_default=name == task.shots.strategy)
                for name in named
                for k in wanted
            ]
        elif how == "zero-shot":
            arms += [Arm(how=how)] if 0 in numbers else []
        elif how == "random":
            arms += [Arm(how=how, k=k, strategy="random") for k in with_shots]
        elif how == "shuffled":
            arms += [Arm(how=how, k=max(with_shots), strategy=named[0])] if with_shots else []
        elif how == "silent":
            ks = ([0] if 0 in numbers else []) + ([max(with_shots)] if with_shots else [])
            arms += [Arm(how=how, k=k, strategy=named[0]) for k in ks]
        elif how == "probe" and not task.has_labels:
            notes.append("a linear probe needs labels, so there is none")
        elif how == "majority" and task.kind == "caption":
            notes.append("no caption is the most frequent one, so that arm is left out")
        else:
            arms.append(Arm(how=how))
    if not arms:
        raise EvaluationError(
            f"no arm is left for task {task.name!r}: {', '.join(only) or 'none'} of {numbers} shots"
            + ("" if has_model else ", without a language model")
        )
    return tuple(arms), tuple(notes)
