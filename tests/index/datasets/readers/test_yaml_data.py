from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from earful.errors import CorpusError
from earful.index.datasets.readers.yaml_data import read_yaml

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=8)


def test_values_are_texts_as_written(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text("tags: [no, yes, on, 1_0, 2020-01-01, 0x10, ~, 'no']\nempty:\n")
    written = ["no", "yes", "on", "1_0", "2020-01-01", "0x10", "~", "no"]
    assert read_yaml(path) == {"tags": written, "empty": ""}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: &x [1]\nb: *x\n", "2: refers to 'x'; write the value out"),
        ("a: 1\nb: 2\na: 3\n", "3: key 'a' occurs twice"),
        ("? [1]\n: 2\n", "1: key "),
        ("a: " + "[" * 1000, "1: is nested deeper than 20 levels"),
        ("a: [1", " is not YAML ("),
        ("a: 1\n---\nb: 2\n", " is not YAML ("),
        ("a: \x07", " is not YAML ("),
    ],
)
def test_what_a_file_may_not_hold_is_reported(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(text)
    with pytest.raises(CorpusError) as caught:
        read_yaml(path)
    assert str(caught.value).startswith(f"{path}:{says}")
    assert "\n" not in str(caught.value)


def test_a_tag_runs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text("!!python/object/apply:os.system ['exit 1']\n")
    assert read_yaml(path) == ["exit 1"]


def test_a_file_over_the_limit_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.yaml"
    path.write_text("a: 1234567\n")
    monkeypatch.setattr("earful.index.datasets.readers.yaml_data._MAX_BYTES", 8)
    with pytest.raises(CorpusError, match="has 11 bytes; expected at most 8 of YAML"):
        read_yaml(path)


@given(st.recursive(TEXTS, lambda x: st.lists(x) | st.dictionaries(TEXTS, x), max_leaves=8))
def test_texts_come_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, value: object
) -> None:
    path = tmp_path_factory.mktemp("yaml") / "t.yaml"
    path.write_text(yaml.safe_dump(value, allow_unicode=True), encoding="utf-8")
    assert read_yaml(path) == value
