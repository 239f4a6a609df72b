"""Options that commands share, each declared once; their examples and their JSON."""

from __future__ import annotations

import inspect
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from earful.command_line import is_unicode
from earful.commands.store_options import IndexArgument as IndexArgument
from earful.commands.store_options import IndexOption as IndexOption
from earful.commands.store_options import OptionalIndexOption as OptionalIndexOption
from earful.commands.stretch_options import StretchOptions
from earful.model import DEFAULT_MODEL

if TYPE_CHECKING:
    from earful.index.corpus import Corpus, GroupBy
    from earful.model import GenerationOptions
    from earful.rag.retrieval import AskOptions

_Choice = TypeVar("_Choice", bound=str)

SOME_FAILED = 3
"""Exit code: done, but some inputs failed and are listed."""

NO_MODEL = "none"
_MODEL = (
    "Language model: a name from `earful models list`, a folder, or openai:NAME behind an endpoint"
)

# Single options, of commands without families.

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
RootOption = Annotated[
    Path | None, typer.Option(help="Folder that the table's paths start from; default: its own.")
]
CorpusOutsideOption = Annotated[
    bool, typer.Option("--allow-outside", help="Accept files outside the corpus root.")
]
AllowOutsideOption = Annotated[
    bool, typer.Option("--allow-outside", help="Accept files outside the task's or table's folder.")
]
ModelOption = Annotated[
    str, typer.Option("--model", "-m", envvar="EARFUL_MODEL", help=f"{_MODEL}.")
]
_ModelOrNoneOption = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        envvar="EARFUL_MODEL",
        help=f"{_MODEL}; none: the vote alone.",
    ),
]
DecodingOption = Annotated[
    str,
    typer.Option(
        help="full: written words look at all audio; compat: at the first slot, as released."
    ),
]
FreeTextOption = Annotated[
    bool,
    typer.Option(
        "--free-text",
        help="Let the model write, even where yes and no can be scored or it is too small to.",
    ),
]
MaxTokensOption = Annotated[int, typer.Option(min=1, help="Longest answer, in tokens.")]
_SlotsOption = Annotated[
    int | None, typer.Option(min=1, help="Audio slots of a --model; default: as released.")
]
_DtypeOption = Annotated[
    str,
    typer.Option(
        help="Arithmetic of a --model: float32, bfloat16, float16, or auto as stored; int8 or int4 "
        "quantises one of the hub."
    ),
]
_ShotsOption = Annotated[
    int | None,
    typer.Option(min=0, help="Number of exemplars; 0 for none, which takes a --model."),
]


# Families of options: see ``option_families.py``.

HELP_ORDER = (
    "index", "task", "labels", "allow_outside",
    "shots", "strategy", "seed", "group", "start_s", "end_s", "show_prompt",
    "model", "base_url", "key_variable", "scoring", "prices", "request_field", "request_timeout",
    "keep_replies", "shot_mode", "length", "prior", "blend", "vote_weight", "always_answer",
    "free_text", "max_tokens", "temperature", "top_k", "top_p", "stop", "keep_repetition",
    "decoding", "slots", "embedder", "device", "dtype", "as_json",
)  # fmt: skip
"""The order of options in every ``--help``: question, shots, model, writing, devices, output."""


_GROUPS_BY: Sequence[GroupBy] = ("auto", "site", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusOptions:
    """Options for reading a corpus of the user's own."""

    column: Annotated[
        list[str],
        typer.Option(
            metavar="FIELD=COLUMN",
            help="Column of the table that holds a field, such as audio=clip_path; FIELD= leaves "
            "the field out. Repeatable.",
        ),
    ] = field(default_factory=list)
    label_separator: Annotated[
        str, typer.Option(metavar="TEXT", help="What stands between the labels of a cell.")
    ] = "|"
    drop_missing: Annotated[
        bool, typer.Option("--drop-missing", help="Leave out labels such as NA, NaN and None.")
    ] = False
    merge_rows: Annotated[
        bool,
        typer.Option("--merge-rows", help="Make rows of one stretch one row with all its labels."),
    ] = False
    group_pattern: Annotated[
        str,
        typer.Option(
            metavar="REGEX",
            help="Finds a recording's group in its path, such as 'press[0-9]+', if no column "
            "gives one.",
        ),
    ] = ""
    group_by: Annotated[
        str,
        typer.Option(
            help="site: groups are the sites that field recorders write, if no column gives one; "
            "auto: where labels occur at several; none."
        ),
    ] = "auto"

    def given(self) -> dict[str, bool]:
        """Return the options, and whether each is given."""
        return {
            "--column": bool(self.column),
            "--label-separator": self.label_separator != "|",
            "--drop-missing": self.drop_missing,
            "--merge-rows": self.merge_rows,
            "--group-pattern": bool(self.group_pattern),
            "--group-by": self.group_by != "auto",
        }

    def open(self, source: Path, *, root: Path | None = None, allow_outside: bool) -> Corpus:
        """Open a corpus with them.

        Raises:
            CorpusError: There is none.
            typer.BadParameter: A ``--column`` is of another form.
        """
        from earful.index.corpus import open_corpus

        columns: dict[str, str] = {}
        for pair in self.column:
            name, equals, column = pair.partition("=")
            if not (name and equals):
                raise typer.BadParameter(
                    f"expected FIELD=COLUMN, or FIELD= to leave it out, got {pair!r}",
                    param_hint="--column",
                )
            columns[name] = column
        return open_corpus(
            source,
            columns=columns,
            root=root,
            label_separator=self.label_separator,
            drop_missing=self.drop_missing,
            merge_rows=self.merge_rows,
            group_pattern=self.group_pattern,
            group_by=one_of(_GROUPS_BY, self.group_by, "--group-by"),
            allow_outside=allow_outside,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedderOptions:
    """The embedder of an index, and the device of all models."""

    embedder: Annotated[
        str, typer.Option(help="Present place of the index's own embedder, if it was moved.")
    ] = ""
    device: DeviceOption = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions(EmbedderOptions):
    """The embedder, and a language model and how it runs."""

    model: ModelOption = DEFAULT_MODEL
    decoding: DecodingOption = "full"
    slots: _SlotsOption = None
    dtype: _DtypeOption = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifyModelOptions(ModelOptions):
    """The same, where the neighbour vote can answer alone."""

    model: _ModelOrNoneOption = DEFAULT_MODEL


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateModelOptions(EmbedderOptions):
    """The embedder, and one language model or several, and how they run."""

    # A variable's value would be split at spaces, which a folder's name may have.
    model: Annotated[
        list[str],
        typer.Option(
            "--model",
            "-m",
            help=f"{_MODEL}; none: the vote alone. Repeat it to compare several. Default: what "
            f"EARFUL_MODEL says, or {DEFAULT_MODEL}.",
        ),
    ] = field(default_factory=list)
    slots: _SlotsOption = None
    dtype: _DtypeOption = "auto"

    def one(self) -> ModelOptions:
        """Return the options of the only language model, or of none where there are several."""
        names = self.model or [os.environ.get("EARFUL_MODEL") or DEFAULT_MODEL]
        return self.of(names[0] if len(names) == 1 else NO_MODEL)

    def several(self) -> tuple[str, ...]:
        """Return the language models that are compared; none where there is only one.

        Raises:
            typer.BadParameter: One is named twice, or is none.
        """
        if len(self.model) < 2:
            return ()
        for name in self.model:
            if name in ("", NO_MODEL):
                raise typer.BadParameter(
                    "the vote is among the answers in any case; leave it out beside other models",
                    param_hint=f"--model {name}",
                )
            if self.model.count(name) > 1:
                raise typer.BadParameter("it is given twice", param_hint=f"--model {name}")
        return tuple(self.model)

    def of(self, name: str) -> ModelOptions:
        """Return the options of one language model by its name."""
        return ModelOptions(
            embedder=self.embedder,
            device=self.device,
            model=name,
            slots=self.slots,
            dtype=self.dtype,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOptions:
    """The task that has the question and the labels."""

    task: Annotated[str, typer.Option(help="Task file, or the name of a built-in task.")] = ""
    allow_outside: AllowOutsideOption = False


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryOptions(StretchOptions):
    """The segment of the recording, and the shots that go with it."""

    shots: _ShotsOption = None
    strategy: Annotated[
        str, typer.Option(help="nearest, balanced, diverse or random; default: the task's.")
    ] = ""
    seed: Annotated[int, typer.Option(min=0, help="For random choices.")] = 0
    group: Annotated[str, typer.Option(help="Group of the recordings, kept out of the shots.")] = ""
    shot_mode: Annotated[
        str,
        typer.Option(
            help="interleaved: a --model hears each exemplar; montage: all in one recording with "
            "the query; text: it reads about them; auto: as suits it best."
        ),
    ] = "auto"

    def ask_options(self) -> AskOptions:
        """Return them as the ``AskOptions`` of ``FewShot``.

        Raises:
            typer.BadParameter: There is no such mode of shots, or the stretch ends before it
                begins.
        """
        from earful.rag.task import SHOT_MODES

        return {
            **StretchOptions.ask_options(self),
            "shots": self.shots,
            "strategy": self.strategy or None,
            "shot_mode": None
            if self.shot_mode == "auto"
            else one_of(SHOT_MODES, self.shot_mode, "--shot-mode"),
            "seed": self.seed,
            "group": self.group,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatQueryOptions(QueryOptions):
    """The same, without shots by default."""

    shots: _ShotsOption = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WritingOptions:
    """Generation of an answer by a language model."""

    max_tokens: MaxTokensOption = 128
    temperature: Annotated[
        float, typer.Option(min=0.0, help="0: the most probable words; above: drawn.")
    ] = 0.0
    top_k: Annotated[int, typer.Option(min=0, help="Draw among this many tokens; 0: all.")] = 0
    top_p: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="Draw among tokens of this much probability in all."),
    ] = 1.0
    stop: Annotated[list[str], typer.Option(help="End an answer before this text. Repeatable.")] = (
        field(default_factory=list)
    )
    keep_repetition: Annotated[
        bool,
        typer.Option("--keep-repetition", help="Let an answer go on that repeats itself."),
    ] = False

    def generation(self, seed: int) -> GenerationOptions:
        """Return them in the form that a language model takes.

        Args:
            seed: For words that are drawn.

        Raises:
            typer.BadParameter: One is outside its range or has no effect.
        """
        from earful.model import GenerationOptions

        if not self.temperature:
            reject_unused(
                {"--top-k": self.top_k > 0, "--top-p": self.top_p < 1.0},
                "narrows what is drawn, and at temperature 0 nothing is; give a --temperature "
                "above 0",
            )
        try:
            return GenerationOptions(
                max_new_tokens=self.max_tokens,
                temperature=self.temperature,
                top_k=self.top_k,
                top_p=self.top_p,
                seed=seed,
                stop=tuple(self.stop),
                stop_repetition=not self.keep_repetition,
            )
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOptions:
    """The printed form of answers."""

    show_prompt: Annotated[
        bool, typer.Option("--show-prompt", help="Print the interleaved prompt, too.")
    ] = False
    as_json: JsonOption = False


def one_of(choices: Sequence[_Choice], given: str, option: str) -> _Choice:
    """Return the choice that an option was given.

    Raises:
        typer.BadParameter: It is none of the choices.
    """
    for choice in choices:
        if choice == given:
            return choice
    *others, last = choices
    raise typer.BadParameter(
        f"expected {', '.join(others)} or {last}, got {given!r}", param_hint=option
    )


def reject_unused(given: Mapping[str, bool], why: str) -> None:
    """Refuse the first option that is given and would have no effect.

    Args:
        given: Options, and whether each is given.
        why: Why it would have none and what it takes, to be read after "it".

    Raises:
        typer.BadParameter: One is given.
    """
    for option, is_given in given.items():
        if is_given:
            raise typer.BadParameter(f"it {why}", param_hint=option)


def example(text: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Append a command's example to its help."""

    def add(command: Callable[..., None]) -> Callable[..., None]:
        command.__doc__ = f"{inspect.cleandoc(command.__doc__ or '')}\n\n\b\nExample:\n  {text}"
        return command

    return add


def print_result(value: object, text: str, *, as_json: bool) -> None:
    """Write a result to stdout: as one JSON value, or as text for people."""
    if as_json:
        print_json(value)
    else:
        typer.echo(text)


def print_json(value: object) -> None:
    """Write one JSON value, a line, to stdout."""
    # Escapes of JSON's own, where the stream would need others.
    text = json.dumps(value, ensure_ascii=not is_unicode(sys.stdout), allow_nan=False)
    # A file name that is not UTF-8 has lone surrogates; JSON spells them \\udcff.
    typer.echo(text.encode("utf-8", "backslashreplace").decode("utf-8"))


def split_names(given: str) -> tuple[str, ...]:
    """Split names at commas, and leave out empty ones."""
    return tuple(name.strip() for name in given.split(",") if name.strip())


def split_labels(given: str, option: str = "--labels", what: str = "label") -> list[str]:
    """Split labels, or other names of which none may be empty, at commas.

    Raises:
        typer.BadParameter: One of them is empty.
    """
    labels = [label.strip() for label in given.split(",")]
    if "" in labels:
        number = labels.index("") + 1
        raise typer.BadParameter(
            f"{what} {number} of {given!r} is empty: expected a name between all commas",
            param_hint=option,
        )
    return labels
