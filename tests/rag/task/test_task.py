import dataclasses
import re
import unicodedata
import wave
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.errors import TaskError
from earful.rag.task import (
    METRICS,
    Kind,
    Label,
    Protocol,
    Shots,
    Task,
    check_task,
    list_tasks,
    load_task,
    new_task,
)
from earful.rag.task.task import KINDS, label_fault


def write_wave(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(1600))
    return path


def write_task(folder: Path, text: str, name: str = "mine.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def problems_of(path: Path) -> list[str]:
    """Every problem as "line: what"."""
    found = [str(problem) for problem in check_task(path)]
    assert all(text.startswith(f"{path}:") for text in found)
    return [text.removeprefix(f"{path}:") for text in found]


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


def test_an_empty_file_is_a_task_named_after_it(tmp_path: Path) -> None:
    path = write_task(tmp_path, "", "my-task.toml")
    assert load_task(path) == Task(name="my-task", source=path)


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
        "5: label 7 is a whole number; expected text",
        "6: unknown metric 'accurracy' (did you mean 'accuracy'?); "
        "known: accuracy, balanced-accuracy, macro-f1",
        "8: unknown label 'dgo' (did you mean 'dog'?); known: dog. Declare it under labels",
        f"9: {tmp_path}/none.wav does not exist; expected an audio file",
        "9: start_s = -1: expected 0 or more",
        "10: unknown key 'lable' (did you mean 'label'?); known: audio, label, labels, answer, "
        "question, start_s, end_s, group",
        "10: the example has no audio; expected a path relative to the file",
        "10: expected either label or labels",
        f"12: a.wav is an example twice; it already occurs at {path}:11",
        "13: end_s = 1.5 is not after start_s = 2.0",
        "16: k = 0: expected 1 to 1000",
        "17: unknown strategy 'nearst' (did you mean 'nearest'?); "
        "known: nearest, balanced, diverse, random",
        "18: order = true is a boolean; expected text",
        "19: max_per_label = 1.5 is a number; expected a whole number",
        "20: diversity = nan: expected 0 to 1",
        "22: abstain_below = 1.5: expected 0 to 1",
    ]
    with pytest.raises(TaskError, match=re.escape("and 21 more")) as raised:
        load_task(path)
    assert str(raised.value).startswith(f"{path}:1: task name 'a b'")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "labels = 3",
            "1: labels = 3 is a whole number; expected an array of names or a table for each",
        ),
        ('labels = ["dog"]', "1: 1 label; a classify task has at least 2"),
        ("labels = []", "1: 0 labels; a classify task has at least 2"),
        (
            'labels = ["a", "b"]\nkind = "caption"',
            "2: a task of kind 'caption' has no labels; expected classify or multilabel",
        ),
        (
            "[labels]\na = 1\nb = {}",
            "2: label 'a' is a whole number; expected a table with wording",
        ),
        ("[labels.a]\nalias = 1\n[labels.b]", "2: unknown key 'alias' (did you mean 'aliases'?)"),
        (
            "[labels.a]\naliases = 1\n[labels.b]",
            "2: aliases = 1 is a whole number; expected an array",
        ),
        ("[labels.a]\naliases = [\n1]\n[labels.b]", "3: alias 1 is a whole number; expected text"),
        (
            '[labels.a]\naliases = ["b"]\n[labels.b]',
            "2: label or alias 'b' is claimed twice: by 'b' and by 'a'",
        ),
        (
            '[labels.a]\naliases = ["x"]\n[labels.b]\naliases = ["y",\n"x"]',
            "5: label or alias 'x' is claimed twice: by 'a' and by 'b'",
        ),
        ('[labels.a]\nwording = "x\\ny"\n[labels.b]', "2: wording 'x\\ny' holds a line break"),
        ("shots = 3", "1: shots = 3 is a whole number; expected a table [shots]"),
        ('[shots]\nk = "eight"', "2: k = 'eight' is text; expected a whole number"),
        ("[shots]\nk = true", "2: k = true is a boolean; expected a whole number"),
        ("name = 1979-05-27", "1: name is a date or a time; expected text"),
        ("examples = 1", "1: examples = 1 is a whole number; expected [[examples]] tables"),
        ("examples = [1]", "1: example = 1 is a whole number; expected a table"),
        ('examples = "none.csv"', "1: {folder}/none.csv does not exist; expected a table"),
        ('[[examples]]\naudio = "a.wav"', "1: expected either label or labels"),
        ('[[examples]]\naudio = "a.wav"\nlabels = []', "3: the example has no label"),
        (
            '[[examples]]\naudio = "a.wav"\nlabels = "x"',
            "3: labels = 'x' is text; expected an array of text",
        ),
        ('[[examples]]\naudio = "a.wav"\nlabels = ["x",\n"x"]', "4: label 'x' is given twice"),
        ('[[examples]]\naudio = "a.wav"\nlabel = ["x"]', "3: label is an array; expected text"),
        ('[[examples]]\naudio = "a.wav"\nlabel = "x"\nanswer = "y"', "4: answer goes with ask"),
        ('[[examples]]\naudio = "."\nlabel = "x"', "2: {folder} is a folder or a device"),
        ('[[examples]]\naudio = "a\\u0000.wav"\nlabel = "x"', "2: "),
        ('[[examples]]\naudio = "a.wav"\nlabel = " x"', "3: label ' x' begins or ends"),
        (
            '[[examples]]\naudio = "a.wav"\nlabel = "x"\nend_s = "1"',
            "4: end_s = '1' is text; expected a",
        ),
        (f'[[examples]]\naudio = "{"a" * 300}"\nlabel = "x"', "2: {folder}/aaa"),
        ('kind = "caption"\n[[examples]]\naudio = "a.wav"', "2: the example has no answer"),
        ('kind = "ask"', "1: a task of kind 'ask' needs a question"),
        (
            'kind = "caption"\n[[examples]]\naudio = "a.wav"\nlabel = "x"',
            "4: label goes with classify and multilabel; expected answer",
        ),
    ],
)
def test_one_mistake_is_one_line(tmp_path: Path, text: str, expected: str) -> None:
    write_wave(tmp_path / "a.wav")
    found = problems_of(write_task(tmp_path, text))
    assert found[0].startswith(expected.format(folder=tmp_path))


def test_labels_of_examples_need_no_declaration_when_none_is_declared(tmp_path: Path) -> None:
    write_wave(tmp_path / "a.wav")
    task = load_task(write_task(tmp_path, '[[examples]]\naudio = "a.wav"\nlabel = "x"'))
    assert task.examples[0].exemplar.labels == ("x",)
    assert not task.labels


def test_a_multilabel_example_may_say_none_of_these(tmp_path: Path) -> None:
    write_wave(tmp_path / "a.wav")
    text = 'kind = "multilabel"\nlabels = ["x"]\n[[examples]]\naudio = "a.wav"\nlabels = []'
    assert load_task(write_task(tmp_path, text)).examples[0].exemplar.labels == ()


def test_equal_names_in_two_unicode_forms_are_one_label(tmp_path: Path) -> None:
    text = 'labels = ["caf\u00e9", "cafe\u0301"]'
    assert problems_of(write_task(tmp_path, text))[0].startswith("1: label or alias")


def test_examples_come_from_a_table_beside_the_file(tmp_path: Path) -> None:
    write_wave(tmp_path / "sounds/a.wav")
    (tmp_path / "t.csv").write_text("audio,label,group\nsounds/a.wav,ok,g\n")
    text = 'name = "t"\nexamples = "t.csv"\n[labels.normal]\naliases = ["ok"]\n[labels.faulty]'
    (example,) = load_task(write_task(tmp_path, text)).examples
    assert example.path == (tmp_path / "sounds/a.wav").resolve()
    assert example.exemplar.id == "t:sounds/a.wav"
    assert (example.exemplar.labels, example.exemplar.group) == (("normal",), "g")


def test_examples_come_from_a_folder_per_label(tmp_path: Path) -> None:
    for name in ("dog/1.wav", "dog/2.wav", "cat/1.wav"):
        write_wave(tmp_path / "examples" / name)
    task = load_task(write_task(tmp_path, 'examples = "examples"\nlabels = ["cat", "dog"]'))
    assert [example.exemplar.labels[0] for example in task.examples] == ["cat", "dog", "dog"]


def test_answers_come_from_a_table_too(tmp_path: Path) -> None:
    write_wave(tmp_path / "a.wav")
    write_wave(tmp_path / "b.wav")
    table = tmp_path / "t.jsonl"
    table.write_text('{"audio": "a.wav", "answer": "rain"}\n{"audio": "b.wav", "label": "x"}\n')
    path = write_task(tmp_path, 'kind = "caption"\nexamples = "t.jsonl"')
    # An exemplar with labels and no answer has its labels for one.
    assert [example.exemplar.answer for example in load_task(path).examples] == ["rain", "x"]
    table.write_text('{"audio": "a.wav"}\n')
    assert [str(problem).endswith("the row has no answer") for problem in check_task(path)] == [
        True
    ]


def test_two_names_of_one_label_in_a_row_are_one(tmp_path: Path) -> None:
    write_wave(tmp_path / "a.wav")
    (tmp_path / "t.csv").write_text("audio,labels\na.wav,dog|hound\n")
    text = 'kind = "multilabel"\nexamples = "t.csv"\n[labels.dog]\naliases = ["hound"]'
    assert load_task(write_task(tmp_path, text)).examples[0].exemplar.labels == ("dog",)


def test_an_unreadable_path_is_told(tmp_path: Path) -> None:
    (found,) = check_task(tmp_path / ("a" * 300 + ".toml"))
    assert "cannot be read (File name too long)" in str(found)


def test_mistakes_in_a_table_name_its_rows(tmp_path: Path) -> None:
    write_wave(tmp_path / "a.wav")
    table = tmp_path / "t.csv"
    table.write_text("audio,label,id\na.wav,dgo,1\nnone.wav,dog,2\na.wav,dog,3\na.wav,,4\n")
    path = write_task(tmp_path, 'labels = ["dog", "cat"]\nexamples = "t.csv"')
    found = [str(problem) for problem in check_task(path)]
    places = [re.search(r"t\.csv:(\d+): ", text) for text in found]
    assert [place and place[1] for place in places] == ["2", "3", "4", "5", "5"]
    assert "did you mean 'dog'?" in found[0]
    assert "none.wav does not exist" in found[1]
    assert "already occurs at" in found[2]
    assert "the row has no label" in found[3]


def test_a_broken_table_is_one_problem_of_the_line_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("label\ndog\n")
    (found,) = problems_of(write_task(tmp_path, '\nexamples = "t.csv"'))
    assert found.startswith("2: ")
    assert "no column" in found


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
    told = [re.sub(r"^# (?=\S+ = |\[\[)", "", line) for line in lines]
    path.write_text("\n".join(told))
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
        ("classify", ["a", "\x1b"], "control character"),
    ):
        with pytest.raises(TaskError, match=match):
            new_task(path, kind=kind, labels=labels)
    with pytest.raises(TaskError, match="cannot be written"):
        new_task(tmp_path / "no/folder/t.toml")
    assert not path.exists()


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"name": "a/b"}, "task name 'a/b'"),
        ({"kind": "x"}, "unknown kind 'x'"),
        ({"metric": "cider"}, "unknown metric 'cider'"),
        ({"abstain_below": float("nan")}, "abstain_below=nan"),
        ({"kind": "ask", "labels": {"a": Label()}}, "labels go with"),
        ({"labels": {"a": Label(aliases=("b",)), "b": Label()}}, "'b' occurs twice"),
        ({"labels": {"": Label()}}, "is empty"),
    ],
)
def test_a_task_made_in_python_obeys_the_same_rules(fields: dict[str, object], match: str) -> None:
    with pytest.raises(TaskError, match=match):
        Task(**{"name": "t", **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fields",
    [{"k": 0}, {"k": 1001}, {"strategy": "best"}, {"order": "up"}, {"max_per_label": 0}],
)
def test_shots_out_of_range_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(TaskError):
        Shots(**fields)  # type: ignore[arg-type]


def test_a_task_is_shown_as_it_is_understood() -> None:
    task = load_task("machine-state")
    assert task.to_dict()["labels"] == {
        "normal": {"wording": "normal operation", "aliases": ["ok", "good", "healthy"]},
        "faulty": {
            "wording": "a fault",
            "aliases": list(task.labels["faulty"].aliases),
        },
    }
    assert task.describe().splitlines() == [
        "name      machine-state",
        "kind      classify",
        "question  Is this machine running normally?",
        "says      The task is machine condition classification.",
        "shots     8, nearest, nearest-last",
        "metric    balanced-accuracy",
        "examples  none of its own",
        "label     normal = normal operation; also ok, good, healthy",
        "label     faulty = a fault; also fault, abnormal, anomaly, anomalous, defect, defective,"
        " broken",
    ]


def test_a_task_with_examples_counts_them(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        write_wave(tmp_path / name)
    text = """name = "t"
        examples = [{audio = "a.wav", label = "x"}, {audio = "b.wav", label = "x"}]
        labels = ["x", "y"]
        answer = {abstain_below = 0.25}
        shots = {max_per_label = 2}
        """
    task = load_task(write_task(tmp_path, text))
    assert task.describe().splitlines()[2:] == [
        "question  (the default of the kind)",
        "shots     8, nearest, nearest-last, at most 2 of a label",
        "abstains  below 25% confidence",
        "metric    accuracy",
        "examples  2",
        "label     x (2 examples)",
        "label     y",
    ]
    assert "labels    those of its examples" in Task(name="t").describe()
    assert task.to_dict()["examples"] == [
        {
            "id": f"t:{name}",
            "audio": str(tmp_path / name),
            "start_s": 0.0,
            "end_s": None,
            "labels": ["x"],
            "answer": "x",
        }
        for name in ("a.wav", "b.wav")
    ]
    with pytest.raises(TaskError, match="diversity=2"):
        Shots(diversity=2)
