"""Task files: read as written, and every mistake with its line."""

import dataclasses
import re
from pathlib import Path

import pytest

from earful.errors import TaskError
from earful.rag.task import Label, Protocol, Shots, Task, check_task, load_task
from tests.support.task_files import problems_of, write_task, write_wave


def test_a_task_file_is_read_as_written(tmp_path: Path) -> None:
    write_wave(tmp_path / "monday.wav")
    path = write_task(
        tmp_path,
        """
        name = "machines"
        kind = "classify"
        question = "Is it healthy?"
        description = "The task is machine classification."
        metric = "macro-f1"
        [labels.normal]
        wording = "a machine running normally"
        aliases = ["ok"]
        [labels.faulty]
        [shots]
        k = 3
        strategy = "balanced"
        order = "nearest-first"
        max_per_label = 2
        diversity = 0.5
        [answer]
        abstain_below = 0.4
        [[examples]]
        audio = "monday.wav"
        label = "ok"
        start_s = 0.05
        end_s = 1
        group = "hall 3"
        """,
    )
    task = load_task(path)
    assert dataclasses.replace(task, examples=()) == Task(
        name="machines",
        question="Is it healthy?",
        description="The task is machine classification.",
        metric="macro-f1",
        labels={
            "normal": Label(wording="a machine running normally", aliases=("ok",)),
            "faulty": Label(),
        },
        shots=Shots(
            k=3, strategy="balanced", order="nearest-first", max_per_label=2, diversity=0.5
        ),
        abstain_below=0.4,
        source=path,
    )
    (example,) = task.examples
    assert example.path == (tmp_path / "monday.wav").resolve()
    assert example.where == f"{path}:19"
    assert example.exemplar.id == "machines:monday.wav#0.05-1"
    assert example.exemplar.labels == ("normal",)
    assert (example.exemplar.start_s, example.exemplar.end_s) == (0.05, 1.0)
    assert example.exemplar.group == "hall 3"


def test_a_file_with_one_key_is_a_task_named_after_it(tmp_path: Path) -> None:
    path = write_task(tmp_path, 'kind = "classify"\n', "my-task.toml")
    assert load_task(path) == Task(name="my-task", source=path)


@pytest.mark.parametrize("text", ["", "# labels to come\n"])
def test_a_file_without_any_key_is_no_task(tmp_path: Path, text: str) -> None:
    path = write_task(tmp_path, text, "my-task.toml")
    (problem,) = check_task(path)
    assert "holds no key" in str(problem)
    with pytest.raises(TaskError, match="holds no key"):
        load_task(path)


def test_a_task_says_who_answers_and_how_it_is_evaluated(tmp_path: Path) -> None:
    path = write_task(
        tmp_path,
        """kind = "ask"
aliases = ["audio question answering"]
question = "Is it near?"
[answer]
arm = "vote"
lists_labels = false
yes_no_options = true
[evaluation]
dataset = "clotho-aqa"
split = "test"
answers = "written"
subset = ["binary", "unanimous"]
source = "the paper"
""",
    )
    task = load_task(path)
    assert (task.arm, task.lists_labels, task.yes_no_options) == ("vote", False, True)
    assert task.is_named("audio question answering")
    assert not task.is_named("captioning")
    assert task.protocol == Protocol(
        dataset="clotho-aqa",
        split="test",
        answers="written",
        subset=("unanimous", "binary"),
        source="the paper",
    )
    assert "evaluated clotho-aqa, split test, unanimous, binary, written" in task.describe()
    assert task.to_dict()["evaluation"] == {
        "dataset": "clotho-aqa",
        "split": "test",
        "answers": "written",
        "subset": ["unanimous", "binary"],
        "source": "the paper",
    }


def test_mistakes_in_how_it_is_evaluated_have_their_lines(tmp_path: Path) -> None:
    path = write_task(
        tmp_path,
        """[answer]
arm = "votes"
lists_labels = "yes"
[evaluation]
answers = "spoken"
subset = ["unanimus"]
shots = 3
""",
    )
    assert problems_of(path) == [
        "2: unknown arm 'votes' (did you mean 'vote'?); known: blend, model, zero-shot, vote",
        "3: lists_labels = 'yes' is text; expected true or false",
        "5: unknown answers 'spoken'; known: scored, written",
        "6: unknown subset 'unanimus' (did you mean 'unanimous'?); known: unanimous, majority, "
        "binary, non-binary, numerical",
        "7: unknown key 'shots'; known: dataset, split, answers, subset, source",
    ]


def test_every_mistake_is_listed_with_its_line(tmp_path: Path) -> None:
    write_wave(tmp_path / "a.wav")
    path = write_task(
        tmp_path,
        """name = "a b"
kind = "clasify"
quesiton = "?"
question = 3
labels = ["dog", "dog", " cat", 7]
metric = "accurracy"
examples = [
  {audio = "a.wav", label = "dgo"},
  {audio = "none.wav", label = "dog", start_s = -1},
  {label = "dog", labels = ["dog"], lable = 1},
  {audio = "a.wav", label = "dog"},
  {audio = "a.wav", label = "dog"},
  {audio = "a.wav", label = "dog", start_s = 2, end_s = 1.5},
]
[shots]
k = 0
strategy = "nearst"
order = true
max_per_label = 1.5
diversity = nan
[answer]
abstain_below = 1.5
""",
    )
    assert problems_of(path) == [
        "1: task name 'a b': expected 1 to 64 of A-Z a-z 0-9 dot, hyphen, underscore",
        "2: unknown kind 'clasify' (did you mean 'classify'?); "
        "known: classify, multilabel, ask, caption",
        "3: unknown key 'quesiton' (did you mean 'question'?); known: name, kind, aliases, "
        "question, "
        "description, labels, shots, answer, metric, evaluation, examples",
        "4: question = 3 is a whole number; expected text",
        "5: label or alias 'dog' is claimed twice: by 'dog' and by 'dog'",
        "5: label ' cat' begins or ends with a space",
        "5: labels holds 7, a whole number; expected text",
        "6: unknown metric 'accurracy' (did you mean 'accuracy'?); "
        "known: accuracy, balanced-accuracy, macro-f1",
        "8: unknown label 'dgo' (did you mean 'dog'?); known: dog. Declare it under labels",
        "9: start_s = -1: expected a number of 0 or more",
        f"9: {tmp_path}/none.wav does not exist; expected an audio file",
        "10: unknown key 'lable' (did you mean 'label'?); known: audio, label, labels, answer, "
        "question, start_s, end_s, group",
        "10: the example has no audio; expected a path relative to the file",
        "10: expected either label or labels",
        f"12: a.wav is an example twice; it already occurs at {path}:11",
        "13: end_s = 1.5 is not after start_s = 2.0",
        "16: k = 0: expected a whole number from 1 to 1000",
        "17: unknown strategy 'nearst' (did you mean 'nearest'?); "
        "known: nearest, balanced, diverse, random",
        "18: order = true is a boolean; expected one of nearest-last, nearest-first, random",
        "19: max_per_label = 1.5 is a number; expected a whole number from 1 to 1000",
        "20: diversity = nan: expected a number from 0 to 1",
        "22: abstain_below = 1.5: expected a number from 0 to 1",
    ]
    with pytest.raises(TaskError, match=re.escape("and 21 more")) as raised:
        load_task(path)
    assert str(raised.value).startswith(f"{path}:1: task name 'a b'")


@pytest.mark.parametrize(
    ("text", "found", "keyword"),
    [
        ("labels = 3", "1: labels = 3", "array"),
        ('labels = ["dog"]', "1: 1 label", "at least 2"),
        ("labels = []", "1: 0 labels", "at least 2"),
        (
            '[[labels]]\nname = "dog"\n[[labels]]\nname = "big cat"',
            '1: labels holds tables; expected names, labels = ["dog", "big cat"], or',
            "[labels.dog]",
        ),
        ('labels = ["a", {wording = "x"}]', "1: labels holds tables", "[labels.a]"),
        (
            'labels = ["a", "b"]\nkind = "caption"',
            "2: a task of kind 'caption'",
            "classify or multilabel",
        ),
        ("[labels]\na = 1\nb = {}", "2: a = 1 is a whole number", "[labels.a]"),
        ("[labels.a]\nalias = 1\n[labels.b]", "2: unknown key 'alias'", "mean 'aliases'"),
        ("[labels.a]\naliases = 1\n[labels.b]", "2: aliases = 1", "an array of text"),
        ("[labels.a]\naliases = [\n1]\n[labels.b]", "3: aliases holds 1", "text"),
        ('[labels.a]\naliases = ["b"]\n[labels.b]', "2: label or alias 'b'", "'b' and by 'a'"),
        (
            '[labels.a]\naliases = ["x"]\n[labels.b]\naliases = ["y",\n"x"]',
            "5: label or alias 'x'",
            "'a' and by 'b'",
        ),
        ('[labels.a]\nwording = "x\\ny"\n[labels.b]', "2: wording = 'x\\ny'", "line break"),
        ("shots = 3", "1: shots = 3", "[shots]"),
        ('[shots]\nk = "eight"', "2: k = 'eight'", "whole number"),
        ("[shots]\nk = true", "2: k = true", "whole number"),
        ("name = 1979-05-27", "1: name is a date", "text"),
        ("examples = 1", "1: examples = 1", "[[examples]]"),
        ("examples = [1]", "1: examples holds 1", "a table"),
        ('examples = "none.csv"', "1: {folder}/none.csv", "does not exist"),
        ('[[examples]]\naudio = "a.wav"', "1: ", "label or labels"),
        ('[[examples]]\naudio = "a.wav"\nlabels = []', "3: the example", "no label"),
        ('[[examples]]\naudio = "a.wav"\nlabels = "x"', "3: labels = 'x'", "an array of text"),
        ('[[examples]]\naudio = "a.wav"\nlabels = ["x",\n"x"]', "4: label 'x'", "twice"),
        ('[[examples]]\naudio = "a.wav"\nlabel = ["x"]', "3: label is an array", "text"),
        (
            '[[examples]]\naudio = "a.wav"\nlabel = "x"\nanswer = "y"',
            "4: answer",
            "ask and caption",
        ),
        ('[[examples]]\naudio = "."\nlabel = "x"', "2: {folder} ", "folder or a device"),
        ('[[examples]]\naudio = "a\\u0000.wav"\nlabel = "x"', "2: ", "U+0000"),
        ('[[examples]]\naudio = "a.wav"\nlabel = " x"', "3: label ' x'", "begins or ends"),
        ('[[examples]]\naudio = "a.wav"\nlabel = "x"\nend_s = "1"', "4: end_s = '1'", "a number"),
        (f'[[examples]]\naudio = "{"a" * 300}"\nlabel = "x"', "2: {folder}/aaa", "does not exist"),
        ('kind = "caption"\n[[examples]]\naudio = "a.wav"', "2: the example", "no answer"),
        ('kind = "ask"', "1: a task of kind 'ask'", "question"),
        ('kind = "caption"\n[[examples]]\naudio = "a.wav"\nlabel = "x"', "4: label", "answer"),
    ],
)
def test_one_mistake_is_one_line(tmp_path: Path, text: str, found: str, keyword: str) -> None:
    write_wave(tmp_path / "a.wav")
    first, *_ = problems_of(write_task(tmp_path, text))
    assert first.startswith(found.format(folder=tmp_path))
    assert keyword in first


def test_equal_names_in_two_unicode_forms_are_one_label(tmp_path: Path) -> None:
    text = 'labels = ["caf\u00e9", "cafe\u0301"]'
    assert problems_of(write_task(tmp_path, text))[0].startswith("1: label or alias")


def test_an_unreadable_path_is_reported(tmp_path: Path) -> None:
    (found,) = check_task(tmp_path / ("a" * 300 + ".toml"))
    assert "cannot be read (File name too long)" in str(found)
