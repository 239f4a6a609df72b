"""``earful chat``: a conversation about one recording, typed or from a file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earful import console
from earful.commands.opening import open_few, shot_mode_of
from earful.commands.options import (
    DecodingOption,
    DeviceOption,
    DtypeOption,
    GroupOption,
    JsonOption,
    MaxTokensOption,
    ModelOption,
    OptionalIndexOption,
    QueryEmbedderOption,
    SeedOption,
    ShotModeOption,
    ShotsOption,
    ShowPromptOption,
    SlotsOption,
    StopOption,
    StrategyOption,
    TemperatureOption,
    TopKOption,
    TopPOption,
    example,
    print_json,
)
from earful.errors import EarfulError

if TYPE_CHECKING:
    from earful.rag.answer import Answer
    from earful.rag.chat import Chat

_HELP = """\
  /again       answer the last question anew
  /evidence    show the exemplars behind the last answer, and its notes
  /save FILE   write the conversation as JSON
  /help        this
  /quit        leave, as does the end of input"""


@example("earful chat street.wav --model audio-flamingo-chat")
def chat(
    audio: Annotated[Path, typer.Argument(help="Recording.", metavar="AUDIO")],
    turns: Annotated[
        Path | None,
        typer.Option(help="Ask the questions in this file, one a line, instead of reading them."),
    ] = None,
    index: OptionalIndexOption = None,
    shots: ShotsOption = 0,
    strategy: StrategyOption = "",
    seed: SeedOption = 0,
    group: GroupOption = "",
    show_prompt: ShowPromptOption = False,
    model: ModelOption = "",
    shot_mode: ShotModeOption = "interleaved",
    max_tokens: MaxTokensOption = 128,
    temperature: TemperatureOption = 0.0,
    top_k: TopKOption = 0,
    top_p: TopPOption = 1.0,
    stop: StopOption = [],  # noqa: B006 - typer copies it
    decoding: DecodingOption = "full",
    slots: SlotsOption = None,
    embedder: QueryEmbedderOption = "",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Talk about a recording: type questions, or /help for what else there is."""
    from earful.model.protocols import GenerationOptions
    from earful.rag.chat import read_turns

    questions = read_turns(turns) if turns is not None else None
    mode = shot_mode_of(shot_mode)
    few = open_few(
        index,
        embedder=embedder,
        model=model,
        needs_model="chat",
        device=device,
        dtype=dtype,
        decoding=decoding,
        slots=slots,
    )
    talk = few.chat(
        audio,
        shots=shots,
        strategy=strategy or None,
        shot_mode=mode,
        options=GenerationOptions(
            max_new_tokens=max_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
            stop=tuple(stop),
        ),
        seed=seed,
        group=group,
    )
    if questions is None:
        _converse(talk, as_json=as_json, show_prompt=show_prompt)
        return
    for question in questions:
        if not as_json:
            typer.echo(console.printable(f"> {question}"))
        _say(lambda on_text: talk.ask(question, on_text=on_text), as_json, show_prompt)  # noqa: B023


def _converse(talk: Chat, *, as_json: bool, show_prompt: bool) -> None:
    """Read lines until the input ends; a question that fails ends nothing."""
    is_terminal = sys.stdin.isatty()
    if is_terminal:
        console.warn("ask about the recording; /help says what else there is")
    while True:
        if is_terminal:
            sys.stderr.write("> ")
            sys.stderr.flush()
        line = sys.stdin.readline()
        if not line or line.strip() == "/quit":
            return
        try:
            _obey(talk, line.strip(), as_json=as_json, show_prompt=show_prompt)
        except EarfulError as error:
            console.warn(f"error: {error}")


def _obey(talk: Chat, line: str, *, as_json: bool, show_prompt: bool) -> None:
    command, _, rest = line.partition(" ")
    if not line:
        return
    if not line.startswith("/"):
        _say(lambda on_text: talk.ask(line, on_text=on_text), as_json, show_prompt)
    elif command == "/again":
        _say(lambda on_text: talk.again(on_text=on_text), as_json, show_prompt)
    elif command == "/evidence":
        typer.echo(_evidence(talk))
    elif command == "/save" and rest.strip():
        talk.save(rest.strip())
        console.warn(f"saved to {rest.strip()}")
    elif command == "/help":
        typer.echo(_HELP)
    else:
        console.warn_lines(f"{command} is no command; there are\n{_HELP}")


def _say(
    speak: Callable[[Callable[[str], None] | None], Answer], as_json: bool, show_prompt: bool
) -> None:
    if as_json:
        answer = speak(None)
        prompt = {"prompt": answer.prompt.render()} if show_prompt and answer.prompt else {}
        print_json({**answer.to_dict(), **prompt})
        return

    def show(text: str) -> None:
        sys.stdout.write(console.printable(text))
        sys.stdout.flush()

    answer = speak(show)
    sys.stdout.write("\n")
    for note in answer.notes:
        typer.echo(console.printable(f"  note: {note}"))
    if show_prompt and answer.prompt:
        typer.echo(console.printable_lines(answer.prompt.render()))


def _evidence(talk: Chat) -> str:
    if not talk.answers:
        return "nothing has been asked yet"
    last = talk.answers[-1]
    shown = (
        console.describe_hits(last.evidence) or "no exemplars: the model heard the recording only"
    )
    return "\n".join([shown, *(console.printable(f"note: {note}") for note in last.notes)])
