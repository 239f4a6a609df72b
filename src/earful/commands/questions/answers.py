"""Answers of commands: printed one recording after the other."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from earful import console
from earful.commands.load import ahead, print_caveat
from earful.commands.options import SOME_FAILED, OutputOptions, print_json
from earful.commands.questions.long_recordings import advise
from earful.commands.stretch_options import StretchOptions
from earful.diagnostics import print_error
from earful.errors import EarfulError, EndpointError, FilterError, TaskError, help_link

if TYPE_CHECKING:
    from earful.rag import Answer, FewShot


def answer_each(
    few: FewShot,
    audio: Sequence[Path],
    answer: Callable[[os.PathLike[str]], Answer],
    output: OutputOptions,
    index: Path | None,
    stretch: StretchOptions,
) -> None:
    """Print an answer per recording; a recording that cannot be answered stops no other.

    Args:
        few: What answers.
        audio: The recordings.
        answer: Answers about one, whose samples may be waiting.
        output: How answers are printed.
        index: The index that was given.
        stretch: The stretch that was asked about.

    Raises:
        typer.Exit: With the code that says whether all or some of them failed.
    """
    from earful.model.chat import ReportsRequests

    n_failed, is_told = 0, False
    explained: set[str] = set()
    for path, file in zip(audio, ahead(few, audio, stretch.ask_options()), strict=True):
        found: Answer | EarfulError
        try:
            found = answer(file)
        except (TaskError, FilterError, EndpointError):
            raise  # it is the same for every recording
        except EarfulError as error:
            found = error
        if not is_told and not isinstance(found, EarfulError):
            print_caveat(few)
            is_told = True
        if isinstance(found, EarfulError):
            n_failed += 1
            why = advise(str(found), str(path), index)
            if output.as_json:
                place = {"audio": str(path), **stretch.place()}
                print_json({**place, "error": why, "help": help_link(found.anchor)})
            print_error(why, found.anchor, told=explained)
            continue
        found = advised(found, index)
        prompt = found.prompt.render() if output.show_prompt and found.prompt else ""
        if output.as_json:
            print_json({**found.to_dict(), **({"prompt": prompt} if prompt else {})})
            continue
        if prompt:
            typer.echo(console.printable_lines(prompt))
        typer.echo(console.describe_answer(found))
    if len(audio) > 1 and isinstance(few.model, ReportsRequests) and few.model.total.n_requests:
        console.warn(f"in all: {few.model.total.describe()}")
    if n_failed:
        raise typer.Exit(1 if n_failed == len(audio) else SOME_FAILED)


def advised(answer: Answer, index: Path | None) -> Answer:
    """Return an answer whose notes and reason name commands; see ``advise``."""

    def say(text: str) -> str:
        return advise(text, answer.audio, index)

    text = say(answer.text) if answer.declined else answer.text
    return replace(
        answer, text=text, reason=say(answer.reason), notes=tuple(map(say, answer.notes))
    )
