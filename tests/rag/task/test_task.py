"""Tasks made in Python, and how they are shown."""

from pathlib import Path

import pytest

from earful.errors import TaskError
from earful.rag.task import Label, Shots, Task, load_task
from tests.support.task_files import write_task, write_wave


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
