"""Plain values of parameters: what typer makes of them, without pydantic; any other is typer's."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from hypothesis import example, given, settings
from hypothesis import strategies as st
from typer.main import get_command
from typer.testing import CliRunner

from earful.command_line import LazyGroup

runner = CliRunner()


def take(
    text: str = "t",
    path: Path | None = None,
    number: Annotated[int, typer.Option(min=2, max=500)] = 8,
    share: Annotated[float | None, typer.Option(min=0.0)] = None,
    several: Annotated[list[str], typer.Option()] = [],  # noqa: B006 - typer copies it
    flag: Annotated[bool | None, typer.Option("--flag/--no-flag")] = None,
    present: Annotated[Path | None, typer.Option(exists=True)] = None,
) -> None:
    """Print what was taken."""
    print(repr((text, path, number, share, several, flag, present)))


def needs(audio: list[Path], index: Annotated[Path, typer.Option()]) -> None:
    """Print what was taken."""
    print(repr((audio, index)))


PLACES = {"take": f"{__name__}:take", "needs": f"{__name__}:needs"}


class Group(LazyGroup):
    """The group under test."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(PLACES, **settings)


lazy = typer.Typer(cls=Group, rich_markup_mode=None, add_completion=False)
plain = typer.Typer(rich_markup_mode=None, add_completion=False)


@lazy.callback()
@plain.callback()
def root() -> None:
    """Begin."""


plain.command("take")(take)
plain.command("needs")(needs)


@pytest.fixture(autouse=True)
def module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this module one that can be imported by its name."""
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or _this())


def _this() -> Any:
    from types import SimpleNamespace

    return SimpleNamespace(take=take, needs=needs)


OPTIONS = ("text", "path", "number", "share", "several", "present")
VALUES = st.text(max_size=6) | st.integers(-3, 600).map(str) | st.sampled_from(["/", "/no", "1e3"])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(OPTIONS), VALUES), max_size=4))
@example([("number", "\N{FULLWIDTH DIGIT TWO}")])
@example([("number", "1")])
@example([("number", "0500")])
@example([("path", "")])
@example([("path", "\0")])
@example([("present", "/no/such/file")])
def test_values_are_those_that_typer_makes(given: list[tuple[str, str]]) -> None:
    words = ["take", *(f"--{name}={value}" for name, value in given)]
    ours, theirs = runner.invoke(lazy, words), runner.invoke(plain, words)
    assert (ours.exit_code, ours.output) == (theirs.exit_code, theirs.output)


@pytest.mark.parametrize(
    "words",
    [
        ("needs", "a.wav", "-", "--index", "i"),
        ("needs", "--index", "i"),
        ("needs", "a.wav"),
        ("take", "--flag"),
        ("take", "--no-flag", "--number", "7"),
        ("take", "--none"),
        ("tke",),
        ("take", "--help"),
        ("--help",),
        ("needs", "--help"),
    ],
)
def test_usage_and_help_are_typers(words: tuple[str, ...]) -> None:
    ours, theirs = runner.invoke(lazy, words), runner.invoke(plain, words)
    assert (ours.exit_code, ours.output) == (theirs.exit_code, theirs.output)


def test_a_command_is_made_when_it_is_asked_for() -> None:
    group: Any = get_command(lazy)
    assert list(group.commands) == ["take", "needs"]
    assert not group.commands._made
    assert group.commands["take"].name == "take"
    assert list(group.commands._made) == ["take"]
    assert "other" not in group.commands


@pytest.mark.parametrize(("words", "code"), [(["--version"], 0), (["nonsense"], 2)])
def test_a_process_ends_with_its_code_and_all_of_its_output(words: list[str], code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "earful", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == code
    assert "earful" in done.stdout + done.stderr
