"""What commands share: their options, their examples, their JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

SOME_FAILED = 3
"""Exit code: done, but some inputs failed and are listed."""

IndexOption = Annotated[
    Path, typer.Option("--index", "-i", help="Index folder.", metavar="DIR", show_default=False)
]
IndexArgument = Annotated[Path, typer.Argument(help="Index folder.", metavar="INDEX")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
EmbedderOption = Annotated[
    str,
    typer.Option(help="Embedder: a name from `earful models list`, or a folder."),
]
EmbedderDtypeOption = Annotated[
    str,
    typer.Option(help="Arithmetic of the embedder: float32, bfloat16, or auto for the fastest."),
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
ColumnOption = Annotated[
    list[str],
    typer.Option(
        "--column",
        metavar="FIELD=COLUMN",
        help="Which column of a table holds a field, such as audio=clip_path. Repeatable.",
    ),
]
QueryEmbedderOption = Annotated[
    str,
    typer.Option("--embedder", help="Where the index's own embedder lies now, when it was moved."),
]
RootOption = Annotated[
    Path | None, typer.Option(help="Folder the table's paths start from; default: its own.")
]

OptionalIndexOption = Annotated[
    Path | None,
    typer.Option(
        "--index", "-i", help="Index folder; a task with examples needs none.", metavar="DIR"
    ),
]
StartOption = Annotated[
    float, typer.Option("--start-s", min=0.0, help="Where the stretch asked about begins.")
]
EndOption = Annotated[
    float | None,
    typer.Option("--end-s", help="Where it ends; default: the end of the recording."),
]
ShotsOption = Annotated[
    int | None,
    typer.Option(min=0, help="Exemplars retrieved; 0 for none, which takes a --model."),
]
StrategyOption = Annotated[
    str, typer.Option(help="nearest, balanced, diverse or random; default: the task's.")
]
AllowOutsideOption = Annotated[
    bool, typer.Option("--allow-outside", help="Accept files outside the task's or table's folder.")
]
CorpusOutsideOption = Annotated[
    bool, typer.Option("--allow-outside", help="Accept files outside the corpus root.")
]
SeedOption = Annotated[int, typer.Option(min=0, help="For random choices.")]
GroupOption = Annotated[str, typer.Option(help="The recordings' group, kept out of the shots.")]
ShowPromptOption = Annotated[
    bool, typer.Option("--show-prompt", help="Print the interleaved prompt, too.")
]
_MODEL = "Language model: a name from `earful models list`, or a folder"
DEFAULT_MODEL = "earful-tiny"
NO_MODEL = "none"
ModelOption = Annotated[
    str, typer.Option("--model", "-m", envvar="EARFUL_MODEL", help=f"{_MODEL}.")
]
ModelOrNoneOption = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        envvar="EARFUL_MODEL",
        help=f"{_MODEL}; none: the vote alone.",
    ),
]
ShotModeOption = Annotated[
    str,
    typer.Option(help="interleaved: a --model hears the exemplars; text: it reads about them."),
]
DtypeOption = Annotated[
    str,
    typer.Option(help="Arithmetic of a --model: float32, bfloat16, float16, or auto as stored."),
]
DecodingOption = Annotated[
    str,
    typer.Option(
        help="full: written words look at all audio; compat: at the first slot, as released."
    ),
]
SlotsOption = Annotated[
    int | None,
    typer.Option(min=1, help="Places for audio of a --model; default: as released."),
]
MaxTokensOption = Annotated[int, typer.Option(min=1, help="Longest answer.")]
TemperatureOption = Annotated[
    float, typer.Option(min=0.0, help="0: the most probable words; above: drawn.")
]
TopKOption = Annotated[int, typer.Option(min=0, help="Draw among so many tokens; 0: all.")]
StopOption = Annotated[
    list[str], typer.Option("--stop", help="End an answer before this text. Repeatable.")
]
TopPOption = Annotated[
    float, typer.Option(min=0.0, max=1.0, help="Draw among tokens of so much probability.")
]


def example(text: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Append a command's example to its help."""

    def add(command: Callable[..., None]) -> Callable[..., None]:
        command.__doc__ = f"{command.__doc__}\n\n\b\nExample:\n  {text}"
        return command

    return add


def print_json(value: object) -> None:
    """Write one JSON value, a line, to stdout."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    # A file name that is not UTF-8 has lone surrogates; JSON spells them \\udcff.
    typer.echo(text.encode("utf-8", "backslashreplace").decode("utf-8"))
