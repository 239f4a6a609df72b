"""Lazy commands: each is imported, and its options are read, when it is typed or listed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from functools import cache
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from earful.command_line.plain_values import without_checks


class LazyCommands(MutableMapping[str, Any]):
    """Commands by name, for the ``commands`` of a ``TyperGroup``.

    To read the options of all commands takes longer than to run most of them.

    Args:
        places: ``"module:attribute"`` of each command by its name, in the order of ``--help``:
            a function, or a ``Typer`` with further commands.
    """

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = dict(places)
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            module, _, attribute = self._places[name].partition(":")
            self._made[name] = _made(name, getattr(import_module(module), attribute))
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._places.setdefault(name, "")
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._places[name]
        self._made.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places


class LazyGroup(TyperGroup):
    """Group of commands that are made when they are typed; see ``LazyCommands``.

    Args:
        places: The commands.
        settings: As typer gives them.
    """

    def __init__(self, places: Mapping[str, str], **settings: Any) -> None:
        super().__init__(**{**settings, "commands": LazyCommands(places)})

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options before the command."""
        return without_checks(super().get_params(ctx))


@cache
def _made(name: str, source: Any) -> Any:
    """Make typer's command of a function or of a ``Typer``, once a process.

    To read the signatures takes longer than a small command: a program that runs several pays once.
    """
    alone = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    if isinstance(source, typer.Typer):
        alone.add_typer(source, name=name)
        group: Any = get_command(alone)
        made = group.commands[name]
    else:
        alone.command(name)(source)
        made = get_command(alone)
    for command in (made, *getattr(made, "commands", {}).values()):
        command.get_params = _unchecked(command.get_params)
    return made


def _unchecked(get_params: Callable[[Any], list[Any]]) -> Callable[[Any], list[Any]]:
    return lambda context: without_checks(get_params(context))
