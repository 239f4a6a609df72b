"""Tables checked against dataclasses: what is wrong, on which line, and what was expected."""

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, with_config

from earful.toml import MAX_PROBLEMS, STRICT, Many, TomlFile, TomlReader, read_toml
from earful.toml.reader import TooManyProblemsError


@dataclass(frozen=True, kw_only=True)
class Inner:
    on: bool = False
    words: Many[str] = ()


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class Outer:
    title: str = ""
    n: Annotated[int, Field(ge=1, le=9)] = 1
    seconds: Annotated[float, Field(ge=0)] | None = None
    colour: Literal["red", "blue"] = "red"
    either: str | int | float = ""
    inner: Inner = field(default_factory=Inner)
    inners: Many[Inner] = ()


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class Needed:
    title: str
    inners: Many[Inner]


def reader_of(folder: Path, text: str) -> TomlReader:
    path = folder / "t.toml"
    path.write_text(text)
    toml = read_toml(path, "file")
    assert isinstance(toml, TomlFile)
    return TomlReader(toml)


def problems_in(reader: TomlReader) -> list[str]:
    return [str(one).removeprefix(f"{reader.toml.path}:") for one in reader.problems()]


def test_a_table_becomes_a_dataclass(tmp_path: Path) -> None:
    text = "seconds = 2\neither = 3\ninners = {words = 'a'}\n[inner]\nwords = ['b', 'c']"
    reader = reader_of(tmp_path, text)
    found = reader.read(Outer, reader.toml.values)
    one, two = Inner(words=("a",)), Inner(words=("b", "c"))
    assert found == Outer(seconds=2.0, either=3, inners=(one,), inner=two)
    assert type(found.either) is int
    assert reader.problems() == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("titel = 1", "unknown key 'titel' (did you mean 'title'?); known: title, n, seconds, "),
        ("title = 1", "title = 1 is a whole number; expected text"),
        ("title = 07:32:00", "title is a date or a time; expected text"),
        ("n = 0", "n = 0: expected a whole number from 1 to 9"),
        ("n = 2.0", "n = 2.0 is a number; expected a whole number from 1 to 9"),
        ("n = '2'", "n = '2' is text; expected a whole number from 1 to 9"),
        ("seconds = -1", "seconds = -1: expected a number of 0 or more"),
        ("seconds = inf", "seconds = inf: expected a number of 0 or more"),
        ("colour = 'bleu'", "unknown colour 'bleu' (did you mean 'blue'?); known: red, blue"),
        ("colour = 3", "colour = 3 is a whole number; expected one of red, blue"),
        ("either = [1]", "either is an array; expected text or a number"),
        ("inner = 1", "inner = 1 is a whole number; expected a table [inner]"),
        ("inner.on = 1", "on = 1 is a whole number; expected true or false"),
        ("inner.words = [true]", "words holds true, a boolean; expected text"),
        ("inners = [1]", "inners holds 1, a whole number; expected a table"),
        (
            "[[inners]]\n[[inners]]\nwrods = 1",
            "unknown key 'wrods' (did you mean 'words'?); known: on, words",
        ),
    ],
)
def test_a_mistake_says_what_was_found_and_expected(tmp_path: Path, text: str, says: str) -> None:
    reader = reader_of(tmp_path, f"\n{text}")
    assert reader.read(Outer, reader.toml.values) is not None
    (problem,) = problems_in(reader)
    assert problem.startswith(f"{2 + text.count(chr(10))}: {says}")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    reader = reader_of(tmp_path, "")
    assert reader.read(Needed, reader.toml.values) is None
    assert problems_in(reader) == [
        "1: title is missing; expected text",
        "1: inners is missing; expected [[inners]] tables",
    ]


def test_what_is_right_is_read_beside_what_is_wrong(tmp_path: Path) -> None:
    reader = reader_of(tmp_path, "n = 0\ntitle = 'x'\nfoo = 1")
    assert reader.read(Outer, reader.toml.values) == Outer(title="x")
    assert [problem[:2] for problem in problems_in(reader)] == ["1:", "3:"]


def test_reading_ends_after_so_many_mistakes(tmp_path: Path) -> None:
    reader = reader_of(tmp_path, "".join(f"k{number} = 1\n" for number in range(1000)))
    with pytest.raises(TooManyProblemsError):
        reader.read(Outer, reader.toml.values)
    assert len(reader.problems()) == MAX_PROBLEMS


def test_pydantic_is_loaded_only_where_a_file_is_read() -> None:
    code = (
        "import earful; earful.Dataset, earful.load_declaration, earful.load_task, earful.Task;"
        "import sys; names = {'pydantic', 'pydantic_core'}; print(names & sys.modules.keys());"
        "earful.load_task('speech'); print(names <= sys.modules.keys())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["set()", "True"]
