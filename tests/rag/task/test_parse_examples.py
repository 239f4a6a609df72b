"""Examples of a task: tables in its file, a table or a folder beside it."""

import re
from pathlib import Path

from earful.rag.task import check_task, load_task
from tests.support.task_files import problems_of, write_task, write_wave


def test_labels_of_examples_need_no_declaration_when_none_is_declared(tmp_path: Path) -> None:
    write_wave(tmp_path / "a.wav")
    task = load_task(write_task(tmp_path, '[[examples]]\naudio = "a.wav"\nlabel = "x"'))
    assert task.examples[0].exemplar.labels == ("x",)
    assert not task.labels


def test_a_multilabel_example_may_say_none_of_these(tmp_path: Path) -> None:
    write_wave(tmp_path / "a.wav")
    text = 'kind = "multilabel"\nlabels = ["x"]\n[[examples]]\naudio = "a.wav"\nlabels = []'
    assert load_task(write_task(tmp_path, text)).examples[0].exemplar.labels == ()


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


def test_a_row_that_only_says_what_is_not_there_is_no_example(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "file_name,labels,not_labels\na.wav,cat,dog\nb.wav,,dog\nc.wav,,owl\n"
    )
    for name in ("a.wav", "b.wav", "c.wav"):
        (tmp_path / name).write_bytes(b"")
    for kind in ("classify", "multilabel"):
        text = f'kind = "{kind}"\nlabels = ["dog", "cat"]\nexamples = "t.csv"'
        task = load_task(write_task(tmp_path, text))
        assert [(one.exemplar.labels, one.exemplar.not_labels) for one in task.examples] == [
            (("cat",), ())
        ]
