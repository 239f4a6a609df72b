import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from earful.commands.option_families import expand_families


@dataclass(frozen=True, slots=True, kw_only=True)
class Inks:
    """Two options, a list, and a field that is none."""

    ink: Annotated[str, typer.Option("--ink", "-n", help="Colour.")] = "black"
    copies: Annotated[int, typer.Option(min=1)]
    also: Annotated[list[str], typer.Option()] = field(default_factory=list)
    paper: str = "white"


@dataclass(frozen=True, slots=True, kw_only=True)
class RedInks(Inks):
    """The same with another default."""

    ink: Annotated[str, typer.Option("--ink", "-n", help="Colour.")] = "red"


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One option."""

    quiet: Annotated[bool, typer.Option("--quiet")] = False


def invoke(command: Callable[..., None], *words: str) -> str:
    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(app, words, env={"COLUMNS": "88", "NO_COLOR": "1"})
    return result.output


def test_a_command_is_given_its_families() -> None:
    found = []

    @expand_families(order=())
    def paint(context: typer.Context, wall: Path, *, inks: Inks, output: Output) -> None:
        found.append((context.get_parameter_source("ink"), wall, inks, output))

    assert invoke(paint, "north", "--copies", "2", "--also", "a", "--also", "b", "-n", "blue") == ""
    ((source, wall, inks, output),) = found
    assert source is not None
    assert source.name == "COMMANDLINE"
    assert wall == Path("north")
    assert inks == Inks(ink="blue", copies=2, also=["a", "b"], paper="white")
    assert output == Output(quiet=False)


def test_defaults_and_checks_are_those_of_the_family() -> None:
    found = []

    @expand_families(order=())
    def paint(inks: RedInks) -> None:
        found.append(inks)

    assert invoke(paint, "--copies", "1") == ""
    assert found == [RedInks(copies=1)]
    assert (found[0].ink, found[0].also) == ("red", [])
    assert "--copies" in invoke(paint)
    assert "equal to 1" in invoke(paint, "--copies", "0")
    assert "--paper" in invoke(paint, "--copies", "1", "--paper", "grey")
    assert len(found) == 1


def test_help_lists_options_in_the_order_given_whatever_their_family() -> None:
    @expand_families(order=("quiet", "copies", "wall", "ink"))
    def paint(
        wall: Annotated[str, typer.Option()] = "",
        coat: Annotated[str, typer.Option()] = "",
        *,
        inks: Inks,
        output: Output,
    ) -> None:
        """Paint a wall."""

    # What is not named stays behind its neighbour: coat behind wall, also behind copies.
    names = ["quiet", "copies", "also", "wall", "coat", "ink"]
    assert list(inspect.signature(paint).parameters) == names
    shown = invoke(paint, "--help")
    assert "Paint a wall." in shown
    assert sorted(names, key=lambda name: shown.index(f"--{name}")) == names
    assert "Colour." in shown
    assert "black" in shown
    assert "paper" not in shown


def test_an_option_of_two_families_is_a_mistake() -> None:
    def paint(inks: Inks, more: RedInks) -> None: ...

    with pytest.raises(TypeError, match=r"paint .*'also'"):
        expand_families(order=())(paint)
