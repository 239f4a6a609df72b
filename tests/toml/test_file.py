import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.toml import TomlFile, TomlProblem, read_toml
from earful.toml.file import MAX_BYTES
from earful.toml.lines import Key, find_lines, split_tokens

Tree = dict[str, "Value"] | list["Value"] | str | int | bool
Value = Tree

HAND_WORKED = """\
# comment = "not a key"
name = "x" # [neither]
"quoted.key" = 'l'
a.b."c d" = \"\"\"
multi \"\" line = 1
\"\"\\\"\"\"\"
[labels.siren]
aliases = [
  "p, ]", # a comment ]
  'q',
]
[[examples]]
audio = "x"
t = {a = 1, b.c = [1,{z=2}]}
[[examples]]
day = 1979-05-27 07:32:00
[examples.sub]
k=1
"""


def test_the_lines_of_a_file_with_everything_in_it() -> None:
    lines = find_lines(split_tokens(HAND_WORKED))
    assert lines == {
        ("name",): 2,
        ("quoted.key",): 3,
        ("a",): 4,
        ("a", "b"): 4,
        ("a", "b", "c d"): 4,
        ("labels",): 7,
        ("labels", "siren"): 7,
        ("labels", "siren", "aliases"): 8,
        ("labels", "siren", "aliases", 0): 9,
        ("labels", "siren", "aliases", 1): 10,
        ("examples",): 12,
        ("examples", 0): 12,
        ("examples", 0, "audio"): 13,
        ("examples", 0, "t"): 14,
        ("examples", 0, "t", "a"): 14,
        ("examples", 0, "t", "b"): 14,
        ("examples", 0, "t", "b", "c"): 14,
        ("examples", 0, "t", "b", "c", 0): 14,
        ("examples", 0, "t", "b", "c", 1): 14,
        ("examples", 0, "t", "b", "c", 1, "z"): 14,
        ("examples", 1): 15,
        ("examples", 1, "day"): 16,
        ("examples", 1, "sub"): 17,
        ("examples", 1, "sub", "k"): 18,
    }
    assert set(lines) == set(keys_of(tomllib.loads(HAND_WORKED)))


def keys_of(value: object, key: Key = ()) -> list[Key]:
    if isinstance(value, dict):
        items: list[tuple[str | int, object]] = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    else:
        return []
    return [k for name, item in items for k in ((*key, name), *keys_of(item, (*key, name)))]


texts = st.text(st.characters(codec="utf-8", exclude_characters="\r\x7f"), max_size=8)
scalars = st.one_of(texts, st.integers(-9, 9), st.booleans())
inline: st.SearchStrategy[Value] = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def render_inline(value: object, draw: st.DrawFn) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        pairs = (f"{quoted(k)} = {render_inline(v, draw)}" for k, v in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        gap = draw(st.sampled_from(["", " ", "\n", ' # ], "\n']))
        return "[" + "".join(f"{gap}{render_inline(v, draw)}{gap}," for v in value) + gap + "]"
    if isinstance(value, str):
        plain = not any(c in value for c in "'\\") and all(c >= " " or c == "\n" for c in value)
        if plain and draw(st.booleans()):
            return f"'''\n{value}'''"
        return quoted(value)
    return str(value)


@st.composite
def toml_texts(draw: st.DrawFn) -> str:
    """TOML with scalars first, then tables and arrays of tables, comments in between."""
    top = draw(st.dictionaries(texts, inline, max_size=3))
    lines = [f"{quoted(k)} = {render_inline(v, draw)}" for k, v in top.items()]
    for name in draw(st.lists(texts.filter(lambda t: t not in top), unique=True, max_size=3)):
        array = draw(st.booleans())
        for _ in range(draw(st.integers(1, 3)) if array else 1):
            lines.append(draw(st.sampled_from(["", "# [no] = ", "  "])))
            header = quoted(name)
            lines.append(f"[[ {header} ]]" if array else f"[{header}]")
            body = draw(st.dictionaries(texts, inline, max_size=2))
            lines += [f"{quoted(k)} = {render_inline(v, draw)} # x" for k, v in body.items()]
    return "\n".join(lines)


@given(toml_texts())
def test_the_keys_found_are_those_that_tomllib_finds(text: str) -> None:
    lines = find_lines(split_tokens(text))
    assert set(lines) == set(keys_of(tomllib.loads(text)))
    rows = text.split("\n")
    for key, line in lines.items():
        if isinstance(key[-1], str):
            assert quoted(key[-1]) in rows[line - 1]


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def problem(path: Path) -> str:
    found = read_toml(path, "task file")
    assert isinstance(found, TomlProblem)
    return str(found)


def test_windows_line_ends_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "t.toml", b"\xef\xbb\xbfa = 1\r\n\r\nb = 2\r\n")
    found = read_toml(path, "task file")
    assert isinstance(found, TomlFile)
    assert found.lines == {("a",): 1, ("b",): 3}


def test_the_line_of_a_missing_key_is_that_of_what_should_hold_it(tmp_path: Path) -> None:
    found = read_toml(write(tmp_path / "t.toml", b"\n\n[shots]\n\nk = 1\n"), "task file")
    assert isinstance(found, TomlFile)
    assert found.line("shots", "order") == 3
    assert found.line("shots", "k", 0, "x") == 5
    assert found.line("answer") == 1


@pytest.mark.parametrize(
    ("data", "line", "what"),
    [
        (b"a = 1\nb = \n", 2, "Invalid value"),
        (b"a = 1\na = 2\n", 2, "Cannot overwrite a value"),
        (b'a = 1\n\nb = """x\n', 4, "Unterminated string|Expected"),
        (b"a = 1\nb = '\xff'\n", 2, "is not UTF-8"),
    ],
)
def test_a_broken_file_is_reported_with_its_line(
    tmp_path: Path, data: bytes, line: int, what: str
) -> None:
    path = write(tmp_path / "t.toml", data)
    message = problem(path)
    assert message.startswith(f"{path}:{line}: ")
    assert any(part in message for part in what.split("|"))


def test_what_is_no_file_is_reported(tmp_path: Path) -> None:
    assert problem(tmp_path / "none.toml").endswith("does not exist; expected a TOML file")
    assert "is a folder" in problem(tmp_path)


def test_a_file_over_the_limit_is_refused(tmp_path: Path) -> None:
    fits = write(tmp_path / "fits.toml", b"#" * MAX_BYTES)
    assert isinstance(read_toml(fits, "task file"), TomlFile)
    large = write(tmp_path / "large.toml", b"#" * (MAX_BYTES + 1))
    assert f"has {MAX_BYTES + 1} bytes" in problem(large)


def test_deep_nesting_is_a_problem_and_no_crash(tmp_path: Path) -> None:
    path = write(tmp_path / "deep.toml", b"a = " + b"[" * 100_000)
    assert "nested too deeply" in problem(path)
