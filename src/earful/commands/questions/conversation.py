"""``earful chat``: a conversation about one recording, typed or from a file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earful import console
from earful.commands.endpoint_options import EndpointOptions
from earful.commands.load import load_few_shot, print_caveat
from earful.commands.option_families import expand_families
from earful.commands.options import (
    HELP_ORDER,
    SOME_FAILED,
    ChatQueryOptions,
    ModelOptions,
    OptionalIndexOption,
    OutputOptions,
    WritingOptions,
    example,
    print_json,
)
from earful.commands.questions.answers import advised
from earful.commands.questions.long_recordings import advising
from earful.diagnostics import print_error
from earful.errors import USAGE, EarfulError, PromptError, help_link

if TYPE_CHECKING:
    from earful.rag import Answer
    from earful.rag.generation import Chat

_OnText = Callable[[str], None] | None

_HELP = """\
  /again       answer the last question anew
  /evidence    show the exemplars behind the last answer, and its notes
  /save FILE   write the conversation as JSON
  /help        this
  /quit        leave, as does the end of input (Ctrl-D); Ctrl-C stops an answer"""


@example("earful chat street.wav --model audio-flamingo-chat")
@expand_families(HELP_ORDER)
def chat(
    audio: Annotated[Path, typer.Argument(help="Recording.", metavar="AUDIO")],
    turns: Annotated[
        Path | None,
        typer.Option(help="Ask the questions in this file, one a line, instead of reading them."),
    ] = None,
    index: OptionalIndexOption = None,
    *,
    query: ChatQueryOptions,
    models: ModelOptions,
    endpoint: EndpointOptions,
    writing: WritingOptions,
    output: OutputOptions,
) -> None:
    """Talk about a recording: type questions, or /help for the other commands."""
    from earful.rag.generation import read_turns

    questions = read_turns(turns) if turns is not None else None
    ask_options = query.ask_options()
    options = writing.generation(query.seed)
    few = load_few_shot(index, models, query=query, needs_model="chat", endpoint=endpoint)
    with advising(audio, index):
        talk = few.chat(audio, options=options, **ask_options)
    print_caveat(few)
    conversation = _Conversation(talk, output, index)
    if questions is not None:
        for question in questions:
            conversation.echo(question)
            conversation.ask(question)
        conversation.finish()
    elif sys.stdin.isatty():
        console.warn("ask about the recording; /help says what else there is")
        for line in _typed():
            with _stoppable():
                conversation.run(line)
    else:
        for line in _piped():
            conversation.echo(line)
            conversation.run(line)
        conversation.finish()


class _Conversation:
    """A ``Chat`` on a console; it goes on after a line that fails."""

    def __init__(self, talk: Chat, output: OutputOptions, index: Path | None) -> None:
        self._talk = talk
        self._output = output
        self._index = index
        self._n_lines = 0
        self._n_failed = 0
        self._explained: set[str] = set()

    def echo(self, line: str) -> None:
        """Show a line that was not typed on this terminal."""
        if not self._output.as_json:
            typer.echo(console.printable(f"> {line}"))

    def run(self, line: str) -> None:
        """Ask a line as a question, or run it as a command if it begins with a slash."""
        command, _, rest = line.partition(" ")
        if not line.startswith("/"):
            self.ask(line)
            return
        self._n_lines += 1
        if command == "/again":
            question = self._talk.turns[-1].user if self._talk.turns else ""
            self._answer(question, lambda on_text: self._talk.again(on_text=on_text))
        elif command == "/evidence":
            self._show_evidence()
        elif command == "/save":
            self._save(rest.strip())
        elif command == "/help":
            console.warn_lines(_HELP)
        else:
            self._fail(f"{command} is no command; /help lists them")

    def ask(self, question: str) -> None:
        """Ask the next question and show the answer."""
        self._n_lines += 1
        self._answer(question, lambda on_text: self._talk.ask(question, on_text=on_text))

    def finish(self) -> None:
        """Exit with a code that shows whether a line failed."""
        if self._n_failed:
            raise typer.Exit(1 if self._n_failed == self._n_lines else SOME_FAILED)

    def _fail(self, why: str, anchor: str = USAGE) -> None:
        self._n_failed += 1
        print_error(why, anchor, told=self._explained)

    def _answer(self, question: str, ask: Callable[[_OnText], Answer]) -> None:
        try:
            answer = advised(ask(None if self._output.as_json else _show_piece), self._index)
        except EarfulError as error:
            if self._output.as_json:
                told = {"error": str(error), "help": help_link(error.anchor)}
                print_json({"question": question, **told})
            self._fail(str(error), error.anchor)
            return
        prompt = answer.prompt.render() if self._output.show_prompt and answer.prompt else ""
        if self._output.as_json:
            shown = {"prompt": prompt} if prompt else {}
            print_json({"question": question, **answer.to_dict(), **shown})
            return
        typer.echo("" if answer.text else "(wrote nothing)")
        for note in answer.notes:
            typer.echo(console.printable(f"  note: {note}"))
        if prompt:
            typer.echo(console.printable_lines(prompt))

    def _show_evidence(self) -> None:
        if not self._talk.answers:
            self._fail("nothing has been asked yet; ask a question first")
            return
        last = advised(self._talk.answers[-1], self._index)
        if self._output.as_json:
            hits = [hit.to_dict() for hit in last.evidence]
            print_json({"evidence": hits, "notes": list(last.notes)})
            return
        nothing = "no exemplars: the model was given the recording only"
        typer.echo(console.describe_hits(last.evidence) or nothing)
        for note in last.notes:
            typer.echo(console.printable(f"  note: {note}"))

    def _save(self, name: str) -> None:
        if not name:
            self._fail("/save takes a file, such as /save talk.json")
            return
        path = Path(name).expanduser()
        try:
            self._talk.save(path)
        except EarfulError as error:
            self._fail(str(error), error.anchor)
        else:
            console.warn(f"saved to {path}")


def _show_piece(text: str) -> None:
    sys.stdout.write("\n".join(map(console.printable, text.split("\n"))))
    sys.stdout.flush()


@contextmanager
def _stoppable() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        console.warn_lines("\nstopped; this answer is not part of the conversation")


def _typed() -> Iterator[str]:
    """Yield the lines of a terminal, with its history; Ctrl-C drops the line at hand."""
    with suppress(ImportError):
        # It gives input() the arrow keys; not every system has it.
        import readline  # noqa: F401

    while True:
        try:
            line = _prompt()
        except KeyboardInterrupt:
            console.warn_lines("\n/quit leaves, as does the end of input (Ctrl-D)")
            continue
        except EOFError:
            console.warn("")
            return
        if line.strip().partition(" ")[0] == "/quit":
            return
        if line.strip():
            yield line.strip()


def _prompt() -> str:
    if sys.stdout.isatty():
        return input("> ")
    # A file that stdout goes to gets answers only.
    if sys.stderr.isatty():
        sys.stderr.write("> ")
        sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line


def _piped() -> Iterator[str]:
    """Yield the lines of a pipe or a file up to ``/quit``."""
    try:
        for line in sys.stdin:
            if line.strip().partition(" ")[0] == "/quit":
                return
            if line.strip():
                yield line.strip()
    except UnicodeDecodeError as error:
        raise PromptError(f"standard input: cannot be read as UTF-8 text ({error})") from error
