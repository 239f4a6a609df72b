"""Options in families: a command names a family, and its ``--help`` lists each of its options.

A family is a frozen dataclass whose fields are annotated as typer's options are. Typer knows
single parameters only, so a command's signature is rewritten before typer sees it::

    @dataclass(frozen=True, slots=True, kw_only=True)
    class OutputOptions:
        as_json: Annotated[bool, typer.Option("--json")] = False

    @app.command()
    @expand_families(order=("as_json",))
    def info(index: Path, output: OutputOptions) -> None: ...
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Annotated, Any, get_origin, get_type_hints

Command = Callable[..., None]


def expand_families(order: Sequence[str]) -> Callable[[Command], Command]:
    """Replace each parameter of a command that is a family by the family's options.

    Args:
        order: Names of options as ``--help`` lists them, whichever family they are in. An
            option that is not named keeps its place behind the one before it.

    Returns:
        A decorator. Its result takes single options and hands the command its families.

    Raises:
        TypeError: Two of a command's parameters or families have an option of one name.
    """

    def expand(command: Command) -> Command:
        hints = get_type_hints(command, include_extras=True)
        families: dict[str, Any] = {
            name: kind for name, kind in hints.items() if dataclasses.is_dataclass(kind)
        }
        parameters = list(_parameters(command, hints))
        names = [parameter.name for parameter in parameters]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise TypeError(f"{command.__name__} has two options of the name {twice[0]!r}")

        @functools.wraps(command)
        def run(**given: Any) -> None:
            for name, family in families.items():
                options = [option.name for option in _options(family)]
                given[name] = family(**{option: given.pop(option) for option in options})
            command(**given)

        in_order = _sorted(parameters, order)
        # Typer reads both.
        run.__signature__ = inspect.Signature(in_order)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in in_order}
        return run

    return expand


def _parameters(command: Command, hints: dict[str, Any]) -> Iterator[inspect.Parameter]:
    for parameter in inspect.signature(command).parameters.values():
        kind = hints[parameter.name]
        if dataclasses.is_dataclass(kind):
            yield from _options(kind)
        else:
            # Keyword-only, so that any order of defaults makes a signature.
            yield parameter.replace(annotation=kind, kind=inspect.Parameter.KEYWORD_ONLY)


def _options(family: Any) -> Iterator[inspect.Parameter]:
    """Yield a family's options; a field that is not annotated as one keeps its default."""
    hints = get_type_hints(family, include_extras=True)
    for field in dataclasses.fields(family):
        if get_origin(hints[field.name]) is not Annotated:
            continue
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        yield inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if default is dataclasses.MISSING else default,
            annotation=hints[field.name],
        )


def _sorted(
    parameters: Iterable[inspect.Parameter], order: Sequence[str]
) -> list[inspect.Parameter]:
    rank = {name: place for place, name in enumerate(order)}
    place = -1
    placed: list[tuple[int, inspect.Parameter]] = []
    for parameter in parameters:
        place = rank.get(parameter.name, place)
        placed.append((place, parameter))
    return [parameter for _, parameter in sorted(placed, key=lambda pair: pair[0])]
