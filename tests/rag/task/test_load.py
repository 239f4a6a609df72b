"""Tasks by name and by path, and new task files."""

import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.errors import TaskError
from earful.rag.task import METRICS, Kind, Shots, check_task, list_tasks, load_task, new_task
from earful.rag.task.task import KINDS, label_fault
from tests.support.task_files import write_task, write_wave


@pytest.mark.parametrize("name", list_tasks())
def test_a_built_in_task_is_fine_and_named_after_its_file(name: str) -> None:
    assert check_task(name) == ()
    task = load_task(name)
    assert task.name == name
    assert task.question or task.protocol.dataset
    assert task.description.startswith("The task is ")


def test_the_built_in_tasks_cover_every_kind_they_promise() -> None:
    assert {"urban-sounds", "speech", "machine-state", "instrument-family", "emotion"} <= set(
        list_tasks()
    )
    assert len(load_task("urban-sounds").labels) == 10


def test_an_unknown_task_is_answered_with_near_ones() -> None:
    with pytest.raises(TaskError, match=r"did you mean 'urban-sounds'.*path that ends in \.toml"):
        load_task("urban-sound")
    with pytest.raises(TaskError, match=r"no-such\.toml: does not exist"):
        load_task("no-such.toml")


def test_text_with_a_slash_and_a_path_are_files(tmp_path: Path) -> None:
    (tmp_path / "speech").write_text('name = "other"')
    assert load_task(f"{tmp_path}/speech").name == "other"
    assert load_task(tmp_path / "speech").name == "other"


label_names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12).filter(
    lambda text: not label_fault(text)
)


@given(
    kind=st.sampled_from(KINDS),
    labels=st.lists(label_names, min_size=2, max_size=5, unique=True),
    stem=st.text("abz09_. -é", min_size=1, max_size=70),
)
def test_a_new_task_file_is_fine_as_written(
    tmp_path_factory: pytest.TempPathFactory, kind: Kind, labels: list[str], stem: str
) -> None:
    names = list(dict.fromkeys(unicodedata.normalize("NFC", label) for label in labels))
    if kind in ("ask", "caption") or len(names) < 2:
        names = []
    path = tmp_path_factory.mktemp("new") / f"{stem}.toml"
    new_task(path, kind=kind, labels=names)
    assert check_task(path) == ()
    task = load_task(path)
    assert (task.kind, list(task.labels), task.metric) == (kind, names, METRICS[kind][0])
    assert task.shots == Shots()


def test_what_a_new_task_file_comments_out_is_valid_too(tmp_path: Path) -> None:
    write_wave(tmp_path / "recording.wav")
    path = tmp_path / "t.toml"
    new_task(path, labels=["a", "b"])
    text = path.read_text()
    lines = [line for line in text.splitlines() if '# examples = "' not in line]
    plain = [re.sub(r"^# (?=\S+ = |\[\[)", "", line) for line in lines]
    path.write_text("\n".join(plain))
    assert check_task(path) == ()
    task = load_task(path)
    assert task.shots.max_per_label == 2
    assert task.examples[0].exemplar.labels == ("a",)


def test_a_task_file_is_never_overwritten(tmp_path: Path) -> None:
    path = write_task(tmp_path, "mine")
    with pytest.raises(TaskError, match="exists and is not overwritten"):
        new_task(path)
    assert path.read_text() == "mine"


def test_a_new_task_with_wrong_words_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "t.toml"
    for kind, labels, match in (
        ("classfy", ["a", "b"], "did you mean 'classify'"),
        ("caption", ["a", "b"], "labels go with classify and multilabel"),
        ("classify", ["a", "a"], "'a' is given twice"),
        ("classify", ["a"], "1 label, 'a'; a classify task has at least 2"),
        ("classify", ["a", "\x1b"], "control character"),
    ):
        with pytest.raises(TaskError, match=match):
            new_task(path, kind=kind, labels=labels)
    with pytest.raises(TaskError, match=r"ends in \.toml; write t\.toml"):
        new_task(tmp_path / "t.txt")
    with pytest.raises(TaskError, match="cannot be written"):
        new_task(tmp_path / "no/folder/t.toml")
    assert not path.exists()
