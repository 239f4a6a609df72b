"""Mistakes in a TOML file are told in plain words, on the line where they are."""

from pathlib import Path

import pytest

from earful.toml import TomlProblem, read_toml


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (
            'labels = ["a", "b"]\nexamples = "t.csv"\n[[examples]]\naudio = "x.wav"\n',
            3,
            "'examples' is given in two ways: examples = on line 2 and [[examples]] here",
        ),
        ('labels = ["a"]\n[labels.a]\n', 2, "labels = on line 1 and [labels.a] here"),
        ('name = "x"\nname = "y"\n', 2, "'name' is given twice, on line 1 and here"),
        ("[shots]\nk = 1\n[shots]\n", 3, "'shots' is given twice, on line 1 and here"),
        ('labels = ["a, "b"]\n', 1, "a quote is left open in"),
        ('name = "x\nkind = "ask"\n', 1, "a quote is left open in 'name = \"x'"),
        ("labels = a, b\n", 1, "expected text in quotes"),
        ('labels = ["a" "b"]\n', 1, "lacks a comma"),
        ('examples = "C:\\Users"\n', 1, "write / in paths"),
        ("two words\n", 1, "expected KEY = VALUE"),
        ('[[examples]\naudio = "a.wav"\n', 1, "expected [name] or [[name]]"),
    ],
)
def test_a_mistake_is_told_in_plain_words(tmp_path: Path, text: str, line: int, says: str) -> None:
    path = tmp_path / "t.toml"
    path.write_text(text)
    found = read_toml(path, "task file")
    assert isinstance(found, TomlProblem)
    assert str(found).startswith(f"{path}:{line}: is not TOML: ")
    assert says in str(found)
