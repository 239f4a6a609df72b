"""Arms of an evaluation: ways to answer, all asked about the same items.

Arms that a task may choose: the language model without shots, with retrieved shots, its
blend with the neighbour vote, and the vote alone. Baselines that they have to beat: a linear
probe on the same vectors and the most frequent label. Controls that show whether the model
listens: random shots, shots with other shots' labels, and silence in the recording's place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self, get_args

from earful.errors import EvaluationError
from earful.model import ShotMode
from earful.rag.strategies import STRATEGIES
from earful.rag.task import MAX_SHOTS, SHOT_MODES, Task
from earful.wording import counted, unknown_name

How = Literal[
    "zero-shot", "retrieved", "blend", "vote", "random", "shuffled", "silent", "probe", "majority"
]  # fmt: skip
HOWS: tuple[How, ...] = get_args(How)
BY_MODEL: frozenset[How] = frozenset(
    {"zero-shot", "retrieved", "blend", "random", "shuffled", "silent"}
)
"""Ways for which a language model is asked."""
_DRAWN = frozenset({"random", "shuffled"})
_WITH_SHOTS = frozenset({"retrieved", "blend", "vote", "random", "shuffled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One way to answer.

    Attributes:
        how: Which way.
        k: Number of shots; 0 for none.
        strategy: The shot strategy; only ``retrieved``, ``blend`` and ``vote`` have a choice.
        is_default: Whether that is the task's own strategy, which the arm's name leaves out.
        shot_mode: How the model is shown exemplars; ``None`` for the way that suits it best.
        model: Name of the language model, where several are compared.
    """

    how: How
    k: int = 0
    strategy: str = "nearest"
    is_default: bool = True
    shot_mode: ShotMode | None = None
    model: str = ""

    @property
    def name(self) -> str:
        """Its name, such as ``retrieved@4``, ``retrieved-diverse@4`` or ``probe``.

        >>> Arm(how="retrieved", k=4, shot_mode="montage", model="my-model").name
        'my-model: retrieved-montage@4'
        """
        shots = f"@{self.k}" if self.how in _WITH_SHOTS or self.how == "silent" else ""
        return f"{self.curve}{shots}"

    @property
    def curve(self) -> str:
        """Its name without the number of shots, which arms that differ in nothing else share."""
        model = f"{self.model}: " if self.model else ""
        strategy = "" if self.is_default else f"-{self.strategy}"
        mode = f"-{self.shot_mode}" if self.shot_mode else ""
        return f"{model}{self.how}{strategy}{mode}"

    @property
    def by_model(self) -> bool:
        """Whether a language model is asked."""
        return self.how in BY_MODEL

    @property
    def is_drawn(self) -> bool:
        """Whether it makes random choices, so that the seed matters."""
        return self.how in _DRAWN or STRATEGIES[self.strategy].is_random

    @property
    def is_answerer(self) -> bool:
        """Whether a task may choose it: it is neither a baseline nor a control."""
        return self.how in ("zero-shot", "retrieved", "blend", "vote")

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values; model and mode of shots only where they are told apart."""
        values: dict[str, object] = {
            "name": self.name,
            "how": self.how,
            "k": self.k,
            "strategy": self.strategy,
        }
        if self.shot_mode is not None:
            values["shot_mode"] = self.shot_mode
        if self.model:
            values["model"] = self.model
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what ``to_dict`` wrote, with ``is_default`` beside it.

        Raises:
            KeyError: A field is missing.
        """
        return cls(
            how=values["how"],
            k=values["k"],
            strategy=values["strategy"],
            is_default=values["is_default"],
            shot_mode=values.get("shot_mode"),
            model=values.get("model", ""),
        )


# What is asked of the recording alone, or without it.
_BY_EAR = frozenset[How]({"zero-shot", "silent"})


def arms_of(
    task: Task,
    *,
    shots: Sequence[int],
    strategies: Sequence[str] = (),
    only: Sequence[str] = (),
    has_model: bool,
    most: int | None,
    shot_modes: Sequence[ShotMode] = (),
    blends: bool = True,
    hears: bool = True,
) -> tuple[tuple[Arm, ...], tuple[str, ...]]:
    """List the arms of an evaluation.

    Random shots are tried with every number of shots, shuffled labels and silence with the
    greatest number only. Arms that a task cannot have are left out with a note. Of several modes
    of shots, controls take the first.

    Args:
        task: The task that arms answer.
        shots: Numbers of shots; 0 asks the model without any.
        strategies: Shot strategies; none for the task's own.
        only: Ways to answer; none for all.
        has_model: Whether there is a language model.
        most: The most shots it can take, each as a recording of its own; ``None`` for any number,
            0 for a model that is asked without shots only.
        shot_modes: How it is shown them, each as an arm; none for the way that suits it best.
        blends: Whether it tells probabilities, which a blend needs.
        hears: Whether it is given the recording, without which it has shots alone to judge by.

    Returns:
        The arms in the order of ``How``, and notes about what was left out.

    Raises:
        EvaluationError: A number of shots is out of range, a strategy or a way to answer is
            unknown, or no arm is left.
    """
    check_choices(shots, strategies, only)
    notes: list[str] = []
    # Numbers of shots: for the vote all, for the model as many as it can take.
    numbers = sorted(set(shots))
    taken = [k for k in numbers if most is None or k <= most]
    is_heard = not shot_modes or "interleaved" in shot_modes
    if most and has_model and is_heard and (beyond := [k for k in numbers if k > most]):
        taken = sorted({*taken, most})
        notes.append(
            f"the language model hears {counted(most, 'shot')} at most: {most} stand for "
            + ", ".join(map(str, beyond))
        )
    # Strategies in the order of their table.
    named = [name for name in STRATEGIES if name in strategies] or [task.shots.strategy]
    # Arms, one way to answer after the other.
    arms: list[Arm] = []
    for how in HOWS:
        if (only and how not in only) or (how in BY_MODEL and not has_model):
            continue
        if how == "blend" and (not task.has_labels or task.protocol.answers == "written"):
            continue
        if how in _BY_EAR and not hears:
            notes.append(
                f"the language model is given no recording, so the arm {how} is left out: it has "
                "nothing but exemplars to judge by"
            )
        elif how == "blend" and not blends:
            notes.append(
                "the language model tells no probability, so there is nothing to blend and no "
                "calibration of its arms"
            )
        elif how == "probe" and not task.has_labels:
            notes.append("a linear probe needs labels, so there is none")
        elif how == "majority" and task.kind == "caption":
            notes.append("no caption is the most frequent one, so that arm is left out")
        else:
            ks = numbers if how == "vote" else taken
            if how in BY_MODEL and shot_modes:
                for mode in shot_modes if how in ("retrieved", "blend") else shot_modes[:1]:
                    ks = taken if mode == "interleaved" else numbers
                    arms += (
                        replace(arm, shot_mode=mode if arm.k else None)
                        for arm in _arms(how, ks, named, task.shots.strategy, zero=0 in numbers)
                    )
            else:
                arms += _arms(how, ks, named, task.shots.strategy, zero=0 in numbers)
    if not arms:
        raise EvaluationError(
            f"no arm is left for task {task.name!r}: {', '.join(only) or 'none'} of {numbers} shots"
            + ("" if has_model else ", without a language model")
        )
    return _each_once(arms, notes), tuple(notes)


def _each_once(arms: list[Arm], notes: list[str]) -> tuple[Arm, ...]:
    """Leave out arms of random shots that ask the same under another name, with a note."""
    drawn = [arm for arm in arms if arm.how in ("random", "retrieved") and arm.strategy == "random"]
    # A task's own strategy stays: the other controls are compared with it.
    keeps_own = any(arm.how == "retrieved" and arm.is_default for arm in drawn)
    kept, dropped = ("retrieved", "random") if keeps_own else ("random", "retrieved")
    asked = {(arm.k, arm.shot_mode) for arm in drawn if arm.how == kept}
    twice = [arm for arm in drawn if arm.how == dropped and (arm.k, arm.shot_mode) in asked]
    if twice:
        names = ", ".join(arm.name for arm in twice)
        same = ", ".join(f"{kept}@{arm.k}" for arm in twice)
        notes.append(f"{names} would ask the same as {same}: left out")
    return tuple(arm for arm in arms if arm not in twice)


def _arms(
    how: How, ks: Sequence[int], strategies: Sequence[str], default: str, *, zero: bool
) -> Iterator[Arm]:
    """Yield the arms of one way to answer.

    Args:
        how: The way.
        ks: Numbers of shots; 0 is skipped.
        strategies: Shot strategies, the first one for controls.
        default: The task's own strategy.
        zero: Whether the model is also asked without shots.
    """
    some = [k for k in ks if k]
    if how in ("retrieved", "blend", "vote"):
        for strategy in strategies:
            for k in some:
                yield Arm(how=how, k=k, strategy=strategy, is_default=strategy == default)
    elif how == "zero-shot":
        if zero:
            yield Arm(how=how)
    elif how == "random":
        for k in some:
            yield Arm(how=how, k=k, strategy="random")
    elif how in ("shuffled", "silent"):
        if how == "silent" and zero:
            yield Arm(how=how, k=0, strategy=strategies[0])
        if some:
            yield Arm(how=how, k=max(some), strategy=strategies[0])
    else:
        yield Arm(how=how)


def check_choices(
    shots: Sequence[int],
    strategies: Sequence[str],
    only: Sequence[str],
    shot_modes: Sequence[str] = (),
) -> None:
    """Check the choices of an evaluation.

    Args:
        shots: As for ``arms_of``, like the two that follow.
        strategies: Names of ways to choose shots.
        only: Names of ways to answer.
        shot_modes: Names of ways to show shots.

    Raises:
        EvaluationError: There is no such number, strategy, way or mode, or a mode is named twice.
    """
    for k in shots:
        if not 0 <= k <= MAX_SHOTS:
            raise EvaluationError(f"{k} shots: expected 0 to {MAX_SHOTS}")
    for strategy in strategies:
        if strategy not in STRATEGIES:
            raise EvaluationError(unknown_name("strategy", strategy, tuple(STRATEGIES)))
    for how in only:
        if how not in HOWS:
            raise EvaluationError(unknown_name("arm", how, HOWS))
    for mode in shot_modes:
        if mode not in SHOT_MODES:
            raise EvaluationError(unknown_name("mode of shots", mode, SHOT_MODES))
        if shot_modes.count(mode) > 1:
            raise EvaluationError(f"mode of shots {mode!r}: expected once, got it twice")
