"""The command line: parse, call one library function, print.

Exit codes: 0 fine; 1 a failure, printed as one line; 2 wrong usage, an unknown name, or a
broken corpus table, task file or filter, with nothing written; 3 done, but some inputs failed
and are listed; 130 interrupted. Answers go to stdout, everything else to stderr.

The groups of commands are in ``earful.commands``; this file puts them together.
"""

from __future__ import annotations

import atexit
import gc
import itertools
import json
import logging
import os
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

import earful
from earful import console
from earful.command_line import (
    INTERRUPTED,
    InterruptedExit,
    LazyGroup,
    escape_what_streams_cannot_write,
)
from earful.commands.options import JsonOption, example, print_json, print_result, reject_unused
from earful.commands.store_options import (
    StorageOptions,
    index_path,
    set_options,
    storage_options_first,
)
from earful.diagnostics import (
    JsonStderr,
    is_debugging,
    is_stderr_json,
    log_traceback,
    print_error,
    show_logs,
)
from earful.errors import (
    BUG,
    MEMORY,
    SYSTEM,
    USAGE,
    CorpusError,
    EarfulError,
    FilterError,
    ScanMismatchError,
    TaskError,
    UnknownNameError,
    help_link,
)

_SELDOM = (100_000, 20, 20)  # objects, and collections of the younger ones, between two
USAGE_ERRORS = (CorpusError, TaskError, FilterError, UnknownNameError, ScanMismatchError)
# What typer raises for any wrong use; it has no name of its own there.
_UsageError: Any = typer.BadParameter.__base__
_INTERRUPTION = "interrupted; what was committed is kept"
COMMANDS = {
    "search": "earful.commands.questions:search",
    "classify": "earful.commands.questions:classify",
    "ask": "earful.commands.questions:ask",
    "caption": "earful.commands.questions:caption",
    "chat": "earful.commands.questions:chat",
    "evaluate": "earful.commands.evaluate:evaluate",
    "scan": "earful.commands.scan:scan",
    "events": "earful.commands.events:events_app",
    "labels": "earful.commands.labels:labels_app",
    "recordings": "earful.commands.recordings:recordings_app",
    "serve": "earful.commands.serve:serve",
    "doctor": "earful.cli:doctor",
    "demo": "earful.cli:demo",
    "index": "earful.commands.index:index_app",
    "tasks": "earful.commands.tasks:tasks_app",
    "models": "earful.commands.models:models_app",
    "datasets": "earful.commands.datasets:datasets_app",
}
"""Place of each command, in the order of ``earful --help``."""


def _with_help(error: _UsageError) -> _UsageError:
    error.message += f"\nhelp: {help_link(USAGE)}"
    return error


class _Commands(LazyGroup):
    """All commands; errors of usage name the value that was given."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(COMMANDS, **settings)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the options before the command, and storage options wherever they stand."""
        return super().parse_args(ctx, storage_options_first(args))

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was typed."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            # The check of numbers says what it expected, but not what it got.
            errors: Callable[[], list[Any]] = getattr(error.__cause__, "errors", list)
            if found := errors():
                message = error.message
                value = found[0]["input"]
                error.message = f"{message[:1].lower()}{message[1:]}, got {value!r}"
            raise _with_help(error) from error.__cause__
        except _UsageError as error:
            raise _with_help(error) from error.__cause__


app = typer.Typer(
    name="earful",
    cls=_Commands,
    help="Few-shot answers about sound, from a handful of labelled recordings.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def run() -> None:
    """Run the command line as a process of its own, and end the process."""
    # What imports make stays: to look through all of it again and again takes longer than it saves.
    gc.set_threshold(*_SELDOM)
    code: str | int | None = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
    others = [each for each in threading.enumerate() if not each.daemon]
    if others != [threading.main_thread()] or not isinstance(code, int | None):
        sys.exit(code)
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        sys.exit(code)  # which says so
    # The system takes memory back at once; to free objects one by one takes a tenth of an answer.
    atexit._run_exitfuncs()
    os._exit(code or 0)


def main() -> None:
    """Run the command line and turn every failure into one line and a code."""
    warnings.showwarning = _print_warning
    escape_what_streams_cannot_write()
    # A question's products are small: other threads would take longer to wake than to multiply.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    before_command = itertools.takewhile(lambda word: word.startswith("-"), sys.argv[1:])
    if "--log-json" not in before_command:
        _run()
        return
    # From the first line on: typer reports wrong usage before it has looked at any option.
    plain, sys.stderr = sys.stderr, JsonStderr(sys.stderr)
    try:
        _run()
    finally:
        sys.stderr.finish()
        sys.stderr = plain


def _run() -> None:
    try:
        app()
    except EarfulError as error:
        _raise_if_debugging()
        print_error(str(error), error.anchor)
        usage = isinstance(error, USAGE_ERRORS)
        sys.exit(2 if usage else 1)
    except KeyboardInterrupt:
        console.warn(_INTERRUPTION)
        sys.exit(INTERRUPTED)
    except SystemExit as end:
        # Typer turns an interruption inside a command into this code, without a message.
        if end.code == INTERRUPTED and not isinstance(end, InterruptedExit):
            console.warn(_INTERRUPTION)
        raise
    except Exception as error:  # the last resort: a user reads one line, not our code
        _raise_if_debugging()
        print_error(*_describe_unexpected(error))
        _discard_stdout()
        sys.exit(1)


def _raise_if_debugging() -> None:
    """Raise the exception at hand again, with its traceback, when debugging is on."""
    if is_debugging() or os.environ.get("EARFUL_DEBUG"):
        if not is_stderr_json():
            raise
        log_traceback()


def _describe_unexpected(error: Exception) -> tuple[str, str]:
    """Describe an error that nobody planned for in one line, and name the section about it."""
    message = " ".join(str(error).split())
    if isinstance(error, MemoryError):
        advice = "close other programs, or use fewer or shorter files"
        return f"there is not enough memory; {advice}", MEMORY
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}; `earful --debug ...` says where it came from", SYSTEM
    return (
        f"{type(error).__name__}: {message}; this is a bug in earful: run it again as "
        "`earful --debug ...` and report it with what `earful doctor --report` prints",
        BUG,
    )


def _discard_stdout() -> None:
    """Discard output that cannot be written: the interpreter would fail on it once more."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning as a note; only a warning about code needs its place in the code."""
    place = "" if issubclass(category, RuntimeWarning) else f"{filename}:{lineno}: "
    console.warn(f"note: {place}{message}")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"earful {earful.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Log on stderr what is being done.")
    ] = False,
    log_json: Annotated[
        bool,
        typer.Option(
            "--log-json",
            help="The same, and all else on stderr, as one JSON object per line.",
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Log everything, and show tracebacks.")
    ] = False,
    storage_option: StorageOptions = [],  # noqa: B006 - typer copies it
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    # The options before the command; a callback of its own answers --version.
    if verbose or log_json or debug:
        show_logs(logging.DEBUG if debug else logging.INFO, as_json=log_json)
    set_options(storage_option)


@example("earful doctor")
def doctor(
    hub: Annotated[bool, typer.Option(help="Try to reach the model hub.")] = True,
    report: Annotated[
        bool,
        typer.Option("--report", help="Print the details for a bug report instead, as JSON."),
    ] = False,
    index: Annotated[
        Path | None,
        typer.Option(
            "--index", "-i", help="Index whose counts the --report has.", parser=index_path
        ),
    ] = None,
    with_paths: Annotated[
        bool, typer.Option("--with-paths", help="Keep paths and names in the --report.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check versions, extras, devices, weights and the hub; print how to fix what is wrong.

    A report has versions, counts and limits, and no path, label, user or host name.
    """
    from earful.diagnostics import examine

    if report:
        from earful.diagnostics import failure_report

        typer.echo(json.dumps(failure_report(index, with_paths=with_paths), indent=1))
        return
    reject_unused(
        {"--index": index is not None, "--with-paths": with_paths},
        "is about a report; add --report",
    )
    findings = examine(hub=hub)
    rows = [[finding.state, finding.name, finding.found] for finding in findings]
    mends = [console.printable(f"{found.name}: {found.mend}") for found in findings if found.mend]
    text = "\n".join([console.table(rows), *mends])
    print_result([finding.to_dict() for finding in findings], text, as_json=as_json)
    if any(finding.state == "broken" for finding in findings):
        raise typer.Exit(1)


@example("earful demo")
def demo(
    index: Annotated[
        Path, typer.Option("--index", "-i", help="Where to build the demo's index.")
    ] = Path(".demo/sounds.index"),
    n_shown: Annotated[int, typer.Option(min=0, help="Answers shown with evidence.")] = 3,
    long: Annotated[
        bool,
        typer.Option(
            "--long", help="Mix a long recording of the demo's sounds instead, and scan it."
        ),
    ] = False,
    page: Annotated[
        bool,
        typer.Option("--page", help="Open the page of the demo's index and long recording."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Build an index from the demo recordings, then classify labels that it does not have."""
    if page:
        from earful.commands.serve import serve_demo

        reject_unused({"--long": long, "--json": as_json}, "goes without --page")
        serve_demo(index)
        return
    if long:
        _scan_long(index.parent, as_json=as_json)
        return
    from earful.demo import DemoCorpus, build_demo_index, classify_unseen
    from earful.index import Index
    from earful.model import DEFAULT_MODEL, load_language_model
    from earful.rag import FewShot
    from earful.rag.task import load_task

    corpus = DemoCorpus.find()
    index.parent.mkdir(parents=True, exist_ok=True)
    with console.progress_bar("embedding", sys.stderr) as progress:
        report = build_demo_index(corpus, index, progress=progress)
    model = load_language_model(DEFAULT_MODEL, device="cpu")
    console.warn(f"note: {model.capabilities.caveat}")
    opened = Index.open(index)
    few = FewShot.open(opened, model=model)
    task = load_task(corpus.task)
    if not as_json:
        typer.echo(f"$ earful index build {_shown(corpus.sounds)} --index {_shown(index)}")
        typer.echo(console.describe_build(report))
        info = opened.info
        typer.echo(f"{info.n} recordings, {info.labels} labels, by {info.fingerprint.name}\n")
        typer.echo(
            f"None of these labels is in the index. {_shown(corpus.task)} has a few examples of "
            f"each:\n  {', '.join(task.labels)}\n"
        )
    right = by_model = by_vote = n_answers = 0
    shown: set[str] = set()
    mistakes: list[str] = []
    for truth, answer in classify_unseen(corpus, few):
        n_answers += 1
        by_model += answer.model_scores[0].label == truth
        by_vote += answer.vote[0].label == truth
        is_right = answer.text == truth
        right += is_right
        if not is_right:
            mistakes.append(f"{Path(answer.audio).name} is {truth}, not {answer.text}")
        if as_json:
            print_json({"truth": truth, **answer.to_dict()})
        elif truth not in shown and len(shown) < n_shown:
            shown.add(truth)
            typer.echo(
                f"$ earful classify {_shown(Path(answer.audio))} --index {_shown(index)}"
                f" --task {_shown(corpus.task)}"
            )
            typer.echo(console.describe_answer(answer))
            typer.echo(f"{'correct' if is_right else f'WRONG: the right label is {truth}'}\n")
    if not as_json:
        typer.echo(
            f"{right} of {n_answers} clips right, {right / n_answers:.0%} (chance "
            f"{1 / len(task.labels):.0%}); the language model alone {by_model}, the vote alone "
            f"{by_vote}"
        )
        for mistake in mistakes:
            typer.echo(f"  wrong: {mistake}")


def _scan_long(folder: Path, *, as_json: bool) -> None:
    """Mix a long recording, look for laughter in it, and compare with the truth."""
    import earful
    from earful.commands.events import describe_evaluation
    from earful.commands.scan import describe_scan
    from earful.commands.scan_console import scan_meter
    from earful.demo import N_EXAMPLES, DemoCorpus, mix_long_recording
    from earful.rag.scan import ExampleSources, evaluate_scan, write_scan_page

    mixed = mix_long_recording(DemoCorpus.find(), folder)
    out = folder / "ward.scan"
    with scan_meter(sys.stderr) as meter:
        found = earful.scan(
            mixed.audio,
            examples=ExampleSources(
                annotations=(mixed.examples,), complete_until_s=mixed.complete_until_s
            ),
            out=out,
            on_progress=meter,
        )
    (evaluation,) = evaluate_scan(found, mixed.reference, n_given=N_EXAMPLES)
    page = out / "events.html"
    write_scan_page(found, page)
    if as_json:
        print_json({"events": len(found), "html": str(page), "evaluation": evaluation.to_dict()})
        return
    typer.echo(
        f"{_shown(mixed.audio)}: five minutes, mixed from the demo's sounds. Somebody laughs 20 "
        f"times.\n{_shown(mixed.examples)}: the first {N_EXAMPLES} laughs, marked as in Audacity.\n"
    )
    typer.echo(
        f"$ earful scan {_shown(mixed.audio)} --examples {_shown(mixed.examples)} "
        f"--complete-until {mixed.complete_until_s:g} --out {_shown(out)}"
    )
    typer.echo(f"{describe_scan(found, out, meter.last)}\n")
    typer.echo(
        f"$ earful events evaluate {_shown(out)} {_shown(mixed.reference)} --n-given {N_EXAMPLES}"
    )
    typer.echo(f"{describe_evaluation(evaluation)}\n")
    typer.echo(f"$ earful events page {_shown(out)}\nwrote {_shown(page)}")


def _shown(path: Path) -> str:
    """Return a path as one would type it: quoted, and relative if it is below this folder."""
    import shlex

    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))
