"""Loading and checking of task files, built-in tasks by name, and new task files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from earful.errors import TaskError
from earful.rag.task.task import KINDS, Label, Task
from earful.toml import TomlProblem
from earful.wording import unknown_name

TaskProblem = TomlProblem
"""One mistake in a task file, or in a table that it names: ``where`` and ``what``."""

_BUILT_IN = Path(__file__).parent / "builtin"


def load_task(
    source: str | Path, *, allow_outside: bool = False, takes_one_label: bool = False
) -> Task:
    """Read a task file, or a built-in task by its name.

    Args:
        source: A ``Path``, or text: with a slash or ending in ``.toml`` it is a path,
            else the name of a built-in task.
        allow_outside: Whether its examples may lie outside the file's folder.
        takes_one_label: Whether a task of kind classify may have a single label, which a scan looks
            for and an answer cannot choose from.

    Raises:
        TaskError: There is no such task, or the file has mistakes; the message names the
            first with its line, and how many more there are.
    """
    from earful.rag.task.parse import read_task

    path = _find_file(source)
    task, problems = read_task(path, allow_outside=allow_outside, takes_one_label=takes_one_label)
    if task is None or problems:
        more = len(problems) - 1
        others = f" (and {more} more: `earful tasks check {source}` lists them)" if more else ""
        raise TaskError(f"{problems[0]}{others}")
    return task


def check_task(source: str | Path, *, allow_outside: bool = False) -> tuple[TaskProblem, ...]:
    """Return the mistakes in a task file, in the order of its lines; empty when fine.

    Args:
        source: As for ``load_task``.
        allow_outside: As for ``load_task``.

    Raises:
        TaskError: There is no built-in task of that name.
    """
    from earful.rag.task.parse import read_task

    return read_task(_find_file(source), allow_outside=allow_outside)[1]


def list_tasks() -> tuple[str, ...]:
    """Return the names of the built-in tasks, sorted."""
    return tuple(sorted(path.stem for path in _BUILT_IN.glob("*.toml")))


def new_task(path: str | Path, *, kind: str = "classify", labels: Sequence[str] = ()) -> None:
    """Write a new task file, with comments that explain each key.

    Args:
        path: File to write; its stem becomes the task's name.
        kind: One of ``KINDS``.
        labels: Label names, each once; none for all labels of the index.

    Raises:
        TaskError: The file exists, cannot be written or does not end in .toml, or the kind or a
            label is wrong.
    """
    from earful.rag.task.template import render_template

    path = Path(path)
    if path.suffix != ".toml":
        raise TaskError(
            f"{path}: a task file ends in .toml; write {path.with_suffix('.toml').name}"
        )
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", path.stem)[:64].strip("-") or "task"
    if kind not in KINDS:
        raise TaskError(unknown_name("kind", kind, KINDS))
    # The task's own checks of its labels come before anything is written.
    task = Task(
        name=name,
        kind=next(known for known in KINDS if known == kind),
        labels={label: Label() for label in labels},
    )
    if len(task.labels) != len(labels):
        twice = next(label for label in labels if list(labels).count(label) > 1)
        raise TaskError(f"label {twice!r} is given twice; expected each label once")
    if kind == "classify" and len(labels) == 1:
        raise TaskError(
            f"1 label, {labels[0]!r}; a classify task has at least 2, or none for all labels of "
            "the index; kind multilabel takes one"
        )
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(render_template(task))
    except FileExistsError:
        raise TaskError(f"{path} exists and is not overwritten; choose another name") from None
    except OSError as error:
        raise TaskError(f"{path}: cannot be written ({error.strerror})") from error


def _find_file(source: str | Path) -> Path:
    if isinstance(source, Path) or "/" in source or source.endswith(".toml"):
        return Path(source)
    known = list_tasks()
    if source not in known:
        raise TaskError(
            f"{unknown_name('task', source, known)}. For a task file give a path that ends in .toml"
        )
    return _BUILT_IN / f"{source}.toml"
