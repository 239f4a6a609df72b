"""A stub of Ray, without processes: actors that die when they are told to."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any


class RayError(Exception):
    pass


class RayTaskError(RayError):
    pass


class ActorDiedError(RayError):
    pass


class OutOfMemoryError(RayError):
    pass


class Death(BaseException):
    """Raised in a stub's actor to end it, with what Ray says of that."""

    def __init__(self, error: RayError) -> None:
        self.error = error


class _Reference:
    """An answer to come: computed when it is waited for, as an actor does one after the other."""

    def __init__(self, actor: "_Actor", call: Callable[[], Any]) -> None:
        self.actor = actor
        self.call = call
        self.answer: tuple[bool, Any] | None = None

    def settle(self) -> None:
        if self.answer is None:
            try:
                if self.actor.is_dead:
                    raise ActorDiedError("it was dead before")
                self.answer = (True, self.call())
            except RayError as error:
                self.answer = (False, error)
            except Death as death:
                self.actor.is_dead = True
                self.answer = (False, death.error)


class _Method:
    def __init__(self, actor: "_Actor", method: Callable[..., Any]) -> None:
        self.actor = actor
        self.method = method

    def remote(self, *arguments: Any) -> _Reference:
        return _Reference(self.actor, lambda: self.method(*arguments))


class _Actor:
    def __init__(self, kind: type) -> None:
        self._instance = kind()
        self.is_dead = False

    def __getattr__(self, name: str) -> _Method:
        return _Method(self, getattr(self._instance, name))


class StubRay:
    """The module, as far as ``RayWorkers`` uses it.

    Args:
        hangs: Whether an answer never comes, by its place among all that are waited for.
    """

    def __init__(self, hangs: Callable[[int], bool] = lambda place: False) -> None:
        self.exceptions = SimpleNamespace(
            RayError=RayError,
            RayTaskError=RayTaskError,
            ActorDiedError=ActorDiedError,
            OutOfMemoryError=OutOfMemoryError,
        )
        self.actors: list[_Actor] = []
        self.options: dict[str, Any] = {}
        self._hangs = hangs
        self._n_waits = 0

    def remote(self, **options: Any) -> Callable[[type], Any]:
        self.options.update(options)

        def decorate(kind: type) -> Any:
            def start() -> _Actor:
                self.actors.append(_Actor(kind))
                return self.actors[-1]

            def with_options(**more: Any) -> Any:
                self.options.update(more)
                return SimpleNamespace(remote=start)

            return SimpleNamespace(options=with_options)

        return decorate

    def put(self, value: Any) -> Any:
        return value

    def wait(
        self, answers: Sequence[_Reference], *, num_returns: int, timeout: float
    ) -> tuple[list[_Reference], list[_Reference]]:
        place, self._n_waits = self._n_waits, self._n_waits + 1
        if self._hangs(place):
            return [], list(answers)
        answers[0].settle()
        return [answers[0]], list(answers[1:])

    def get(self, answer: _Reference) -> Any:
        answer.settle()
        assert answer.answer is not None
        is_right, value = answer.answer
        if is_right:
            return value
        raise value

    def kill(self, actor: _Actor) -> None:
        actor.is_dead = True

    def available_resources(self) -> dict[str, float]:
        return {"CPU": 1.0}

    @property
    def n_alive(self) -> int:
        return sum(not actor.is_dead for actor in self.actors)
