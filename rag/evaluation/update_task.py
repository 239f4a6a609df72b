"""Task files with a verdict: its arm becomes the default; comments and order stay."""

from __future__ import annotations

import os
from pathlib import Path

import tomlkit
from tomlkit.items import Table

from earful.errors import TaskError
from earful.files import write_atomically
from earful.rag.evaluation.scores import Verdict, answerer_of
from earful.rag.task import Task


def file_to_write(task: Task) -> Path:
    """Return the file that a verdict on a task is written to; links are followed.

    Raises:
        TaskError: The task is built in or has no file, or the file is read-only.
    """
    path = task.source
    if path is None:
        raise TaskError(
            f"task {task.name!r} has no file of its own to write to; write one with "
            "`earful tasks new FILE` and evaluate that"
        )
    if path.is_relative_to(Path(__file__).parent.parent):
        raise TaskError(
            f"task {task.name!r} is built in and has no file of its own to write to; copy {path} "
            "to a file of yours and evaluate that"
        )
    target = path.resolve()
    try:
        is_writable = target.stat().st_mode & 0o222 and os.access(target, os.W_OK)
    except OSError as error:
        raise TaskError(f"{path}: cannot be written ({error.strerror})") from error
    if not is_writable:
        raise TaskError(
            f"{target}: is read-only, so the verdict cannot be written to it; `chmod u+w` it, or "
            "leave out --write-task"
        )
    return target


def write_verdict(task: Task, verdict: Verdict) -> str:
    """Make the arm of a verdict the default of a task file.

    Sets ``arm`` under ``[answer]`` and ``k`` and ``strategy`` under ``[shots]``.

    Args:
        task: A task that was read from a file of the user's.
        verdict: The verdict of its evaluation.

    Returns:
        The values that were written, as text for people.

    Raises:
        TaskError: The task is built in or has no file, a task cannot have the arm, or the
            file cannot be written.
    """
    path = file_to_write(task)
    arm = answerer_of(verdict.arm)
    if not arm:
        raise TaskError(
            f"the verdict is the {verdict.arm.how} arm, which a task file cannot ask for: expected "
            "blend, model, zero-shot or vote"
        )
    document = tomlkit.parse(path.read_text(encoding="utf-8"))
    _table(document, "answer")["arm"] = arm
    if verdict.arm.k:
        shots = _table(document, "shots")
        shots["k"] = verdict.arm.k
        shots["strategy"] = verdict.arm.strategy
    try:
        write_atomically(path, tomlkit.dumps(document))
    except OSError as error:
        raise TaskError(f"{path}: cannot be written ({error.strerror})") from error
    shown = f", k = {verdict.arm.k}, strategy = {verdict.arm.strategy}" if verdict.arm.k else ""
    # A task file names no model, and no way to show shots.
    asked = f"; ask with --model {verdict.arm.model}" if verdict.arm.model else ""
    if asked and verdict.arm.shot_mode:
        asked += f" --shot-mode {verdict.arm.shot_mode}"
    return f"arm = {arm}{shown}{asked}"


def _table(document: tomlkit.TOMLDocument, name: str) -> Table:
    found = document.get(name)
    if not isinstance(found, Table):
        found = tomlkit.table()
        document[name] = found
    return found
