"""``earful tasks``: write, check and show task files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from earful import console
from earful.commands.options import (
    AllowOutsideOption,
    JsonOption,
    example,
    print_json,
    print_result,
    split_names,
)
from earful.diagnostics import print_error
from earful.errors import TaskError
from earful.wording import as_argument

tasks_app = typer.Typer(help="Write, check and show task files.", no_args_is_help=True)


@tasks_app.command("new")
@example("earful tasks new machines.toml --labels normal,faulty")
def tasks_new(
    path: Annotated[Path, typer.Argument(help="TOML file to write.")],
    labels: Annotated[str, typer.Option(help="Labels, separated by commas.")] = "",
    kind: Annotated[str, typer.Option(help="classify, multilabel, ask or caption.")] = "classify",
) -> None:
    """Write a commented task file to start from."""
    from earful.rag.task import new_task

    new_task(path, kind=kind, labels=split_names(labels))
    shown = console.printable(str(path))
    typer.echo(f"wrote {shown}; next: earful tasks check {as_argument(path)}")


@tasks_app.command("list")
@example("earful tasks list")
def tasks_list(as_json: JsonOption = False) -> None:
    """List the built-in tasks."""
    from earful.rag.task import list_tasks, load_task

    tasks = [load_task(name) for name in list_tasks()]
    if as_json:
        for task in tasks:
            print_json({"name": task.name, "kind": task.kind, "question": task.question})
        return
    typer.echo(
        console.table(
            [[task.name, task.kind, task.question] for task in tasks],
            header=["name", "kind", "question"],
        )
    )


@tasks_app.command("check")
@example("earful tasks check machines.toml")
def tasks_check(
    task: Annotated[str, typer.Argument(help="Task file, or the name of a built-in task.")],
    allow_outside: AllowOutsideOption = False,
) -> None:
    """Read a task file and list every mistake with its line."""
    from earful.rag.task import check_task

    problems = check_task(task, allow_outside=allow_outside)
    explained: set[str] = set()
    for problem in problems:
        print_error(str(problem), TaskError.anchor, told=explained)
    if problems:
        raise typer.Exit(2)
    typer.echo("fine")


@tasks_app.command("show")
@example("earful tasks show urban-sounds")
def tasks_show(
    task: Annotated[str, typer.Argument(help="Task file, or the name of a built-in task.")],
    allow_outside: AllowOutsideOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show a task as earful reads it: question, labels, shots, examples."""
    from earful.rag.task import load_task

    loaded = load_task(task, allow_outside=allow_outside)
    text = console.printable_lines(loaded.describe())
    print_result(loaded.to_dict(), text, as_json=as_json)
