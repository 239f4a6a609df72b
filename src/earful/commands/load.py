"""Load the index or the task's examples, and the language model, that answer a command."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from earful import console
from earful.commands.endpoint_options import EndpointOptions, is_endpoint
from earful.commands.options import (
    NO_MODEL,
    EmbedderOptions,
    ModelOptions,
    QueryOptions,
    one_of,
    reject_unused,
)
from earful.wording import nearest_name

if TYPE_CHECKING:
    from earful.index import Index
    from earful.index.builder import BuildOptions, DoubtfulAudio
    from earful.index.corpus import Corpus, Survey
    from earful.index.distributed import Shard
    from earful.model import Embedder, LanguageModel
    from earful.model.endpoint import EndpointSettings
    from earful.rag import FewShot
    from earful.rag.retrieval import AskOptions
    from earful.rag.task import Task

_HUB_RATE_HZ = 48_000
_MOST_PREPARED = 10_000  # rows; to fit on more would hold up the end of a build
DECODINGS = ("full", "compat")
MODEL_DTYPES = ("auto", "float32", "bfloat16", "float16", "int8", "int4")
_WITHOUT_TASK = ("caption", "chat")
_BETTER_EARS = "laion/clap-htsat-unfused"


def load_few_shot(
    index: Path | None,
    models: EmbedderOptions,
    *,
    task: Task | None = None,
    query: QueryOptions | None = None,
    needs_model: str = "",
    reads_audio: bool = True,
    endpoint: EndpointOptions | None = None,
    keep_replies: bool = False,
    needs_embedder: bool = False,
) -> FewShot:
    """Load a ``FewShot`` as a command's options say.

    Args:
        index: Index folder.
        models: The embedder; with ``ModelOptions``, the language model as well.
        task: The question; its examples stand in for an index.
        query: Options about exemplars, to refuse them where there are none.
        needs_model: The command, when it takes a language model.
        reads_audio: Whether a recording will be decoded.
        endpoint: Where the endpoint of a language model is, and how it is asked.
        keep_replies: Whether its replies are kept in any case.
        needs_embedder: Whether an embedder is loaded even where a language model answers alone.

    Raises:
        typer.BadParameter: Something that the command needs is not given, or something is
            given that would have no effect.
    """
    from earful.model.audio import warm_up

    if reads_audio:
        # Decoders start in the background, while all else is imported and loaded.
        warm_up()
    from earful.model import DEFAULT_EMBEDDER
    from earful.rag import FewShot

    if isinstance(models, ModelOptions):
        one_of(DECODINGS, models.decoding, "--decoding")
        one_of(MODEL_DTYPES, models.dtype, "--dtype")
    asks_model = isinstance(models, ModelOptions) and models.model not in ("", NO_MODEL)
    settings = None
    if isinstance(models, ModelOptions) and endpoint is not None:
        is_behind = is_endpoint(models.model)
        reject_misplaced(models, endpoint, is_here=not is_behind, is_behind=is_behind)
        if is_behind:
            settings = endpoint.settings(keep_replies=keep_replies)
    if needs_model and not asks_model:
        raise typer.BadParameter(
            f"{needs_model} takes a language model: a name from `earful models list`, or a folder "
            "made by `earful models pull` or `earful models convert`",
            param_hint="--model",
        )
    if index is None and task is None and (needs_embedder or not asks_model):
        raise typer.BadParameter("give an index, or a task with examples", param_hint="--index")
    has_exemplars = (
        index is not None or needs_embedder or not asks_model or bool(task and task.examples)
    )
    if not has_exemplars:
        reject_unused(
            {
                "--strategy": bool(query and query.strategy),
                "--group": bool(query and query.group),
                "--embedder": bool(models.embedder),
            },
            "is about exemplars; give an --index"
            + ("" if needs_model in _WITHOUT_TASK else " or a --task with examples"),
        )
    model = None
    if isinstance(models, ModelOptions) and asks_model:
        model = load_model(models, endpoint=settings)
    device = models.device
    if index is not None:
        return FewShot.open(index, embedder=models.embedder or None, model=model, device=device)
    if task is not None and has_exemplars:
        embedder = models.embedder or DEFAULT_EMBEDDER
        return FewShot.from_task(task, embedder=embedder, model=model, device=device)
    return FewShot(model=model)


def load_model(models: ModelOptions, *, endpoint: EndpointSettings | None = None) -> LanguageModel:
    """Load the language model that options name.

    Args:
        models: The options.
        endpoint: How a model behind an endpoint is asked.

    Raises:
        ModelError: It cannot be loaded.
    """
    from earful.model import load_language_model

    return load_language_model(
        models.model,
        device=models.device,
        dtype=models.dtype,
        decoding=models.decoding,
        slots=models.slots,
        endpoint=endpoint,
    )


def reject_misplaced(
    models: ModelOptions, endpoint: EndpointOptions, *, is_here: bool, is_behind: bool
) -> None:
    """Refuse options about language models of a kind that is not asked.

    Args:
        models: Options about models on this machine.
        endpoint: Options about models behind an endpoint.
        is_here: Whether one on this machine may be asked.
        is_behind: Whether one behind an endpoint is asked.

    Raises:
        typer.BadParameter: An option would have no effect.
    """
    if not is_here:
        about_weights = {
            "--decoding": models.decoding != "full",
            "--slots": models.slots is not None,
            "--dtype": models.dtype != "auto",
        }
        reject_unused(about_weights, "is about a model on this machine, not behind an endpoint")
    if not is_behind:
        reject_unused(
            endpoint.given(), "is about an endpoint; name a model there: --model openai:NAME"
        )


def load_names_alone(
    models: EmbedderOptions,
    *,
    task: Task | None,
    labels: Sequence[str] | None,
    query: QueryOptions,
) -> FewShot | None:
    """Load the default embedder, to answer by the names of labels without any exemplar.

    Args:
        models: The embedder, if another is given.
        task: The question, without examples; its labels.
        labels: Or labels alone.
        query: Options about exemplars, to refuse them.

    Returns:
        ``None`` where the embedder does not know what the names mean.

    Raises:
        typer.BadParameter: Something is given that would have no effect.
    """
    from earful.model import DEFAULT_EMBEDDER, ExplainsTexts, LabelNamer, load_embedder
    from earful.model.audio import warm_up
    from earful.rag import FewShot

    warm_up()
    embedder = load_embedder(models.embedder or DEFAULT_EMBEDDER, device=models.device)
    if not isinstance(embedder, LabelNamer):
        return None
    few = FewShot(embedder=embedder)
    asked = few.retriever.task(task, shots=None, strategy=None)
    if not few.retriever.names_can_answer(asked, labels):
        if isinstance(embedder, ExplainsTexts):
            names = [asked.wording(label) for label in labels or asked.labels]
            if why := next(filter(None, map(embedder.explain_text, names)), ""):
                console.warn(console.printable(f"note: the names alone cannot answer: {why}"))
        return None
    reject_unused(
        {
            "--shots": bool(query.shots),
            "--strategy": bool(query.strategy),
            "--group": bool(query.group),
        },
        "is about exemplars; give an --index or a --task with examples",
    )
    return few


def print_better_ears(embedder: str) -> None:
    """Name a larger embedder where one that ships begins an index, if its weights can be had.

    Args:
        embedder: Name of the one that begins it.
    """
    from earful.model import list_embedders
    from earful.model.runtime import place_on_hub

    if embedder not in {entry.name for entry in list_embedders() if entry.kind == "shipped"}:
        return
    place = place_on_hub(_BETTER_EARS, one_of=("model.safetensors", "pytorch_model.bin"))
    if place:
        at = "at hand" if place == "cache" else "on the model hub"
        console.warn(
            f"note: {embedder} is small; --embedder {_BETTER_EARS}, which was trained on far more "
            "sounds, with music and speech among them, takes any sentence for a search, too: it "
            f"needs the extra 'clap' (pip install 'earful[clap]'), and its weights are {at}"
        )


def print_caveat(few: FewShot) -> None:
    """Print the model's caveat before its first answer."""
    if few.model is not None and few.model.capabilities.caveat:
        console.warn(f"note: {few.model.capabilities.caveat}")


def prepare_answers(index: Path, embedder: Embedder) -> None:
    """Prepare what the first answer among all labels of a small index would."""
    from earful.errors import TaskError
    from earful.index import Index
    from earful.rag import FewShot

    opened = Index.open(index)
    if len(opened) <= _MOST_PREPARED:
        few = FewShot(embedder=embedder, index=opened, model=usual_model(embedder))
        # An index without labels answers other questions.
        with console.counter("preparing", sys.stderr) as progress, suppress(TaskError):
            few.prepare(progress=progress)


def usual_model(embedder: Embedder) -> LanguageModel | None:
    """Return the language model that ships with an embedder; ``None`` for any other embedder.

    It is the one that commands ask unless told otherwise, and what it takes of an index's
    exemplars can be kept before.
    """
    from earful.model import DEFAULT_MODEL, load_language_model

    if embedder.fingerprint.name != DEFAULT_MODEL:
        return None
    return load_language_model(DEFAULT_MODEL)


def recordings_of(given: Sequence[Path]) -> list[Path]:
    """Return the recordings that were given, those of a folder in a fixed order.

    ``-`` stands for paths on standard input, one a line.

    Raises:
        CorpusError: A folder cannot be read.
        typer.BadParameter: A folder holds no recording.
    """
    from earful.index.corpus import audio_files, source_path

    found: list[Path] = []
    if Path("-") in given:
        listed = [Path(line) for line in sys.stdin.read().splitlines() if line]
        given = [path for each in given for path in (listed if each == Path("-") else [each])]
    for path in map(source_path, given):
        inside = list(audio_files(path, follow_links=True)) if path.is_dir() else [path]
        if not inside:
            raise typer.BadParameter(f"{path}: is a folder without a recording", param_hint="AUDIO")
        found += inside
    return found


def ahead(few: FewShot, audio: Sequence[Path], ask: AskOptions) -> Iterator[os.PathLike[str]]:
    """Go over recordings that are asked about, while the next ones are decoded."""
    from earful.model import decode_ahead

    embedder, model = few.retriever.embedder, few.model
    if embedder is not None:
        rate = embedder.fingerprint.sample_rate
    elif model is not None:
        rate = model.capabilities.sample_rate
    if len(audio) < 2 or (embedder is None and model is None):
        return iter(audio)
    start_s, end_s = ask.get("start_s", 0.0), ask.get("end_s")
    return decode_ahead(audio, sample_rate=rate, start_s=start_s, end_s=end_s)


def print_near_labels(index: Index, names: Sequence[str]) -> None:
    """Name the label that was meant, where one is nearly spelt like it and no exemplar has it."""
    known = sorted({label for row in index.vectors().exemplars for label in row.labels})
    for name in names:
        if name not in known and (near := nearest_name(name, known)):
            console.warn(f"note: no exemplar has the label {name!r}; did you mean {near!r}?")


def load_given_task(task: str, *, allow_outside: bool) -> Task | None:
    """Load the task that a command was given, if any.

    Raises:
        TaskError: There is no such task, or it has mistakes.
        typer.BadParameter: Without a task, its examples cannot lie outside.
    """
    from earful.rag.task import load_task

    if task:
        return load_task(task, allow_outside=allow_outside)
    reject_unused({"--allow-outside": allow_outside}, "is about the examples of a task; give one")
    return None


def is_typed(context: typer.Context, name: str) -> bool:
    """Tell whether an option was given on the command line, not by a default or a variable."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def rehearse(
    corpus: Corpus, found: Survey, embedder: str, options: BuildOptions, shard: Shard | None
) -> tuple[Survey, tuple[DoubtfulAudio, ...], int]:
    """Decode a corpus as a build would, and add what that found to a survey's counts.

    Args:
        corpus: The corpus.
        found: Counts of all of its rows.
        embedder: Name of the embedder.
        options: Options of the build.
        shard: The part of the corpus that is decoded; ``None`` for all.

    Returns:
        The counts, audio of which an encoder hears little, and how many rows were decoded.
    """
    from earful.index.builder import rehearse_build
    from earful.model import list_embedders, load_embedder

    # What has to be fetched first is not loaded to count; such encoders all hear 48 kHz.
    sample_rate, model = _HUB_RATE_HZ, None
    if not any(known.name == embedder and known.kind == "hub" for known in list_embedders()):
        model = load_embedder(embedder)
        sample_rate = model.fingerprint.sample_rate
    with console.counter("decoding", sys.stderr) as progress:
        heard = rehearse_build(
            corpus,
            sample_rate=sample_rate,
            listener=model,
            options=options,
            shard=shard,
            progress=lambda done: progress(done, found.n),
        )
    decoded = replace(
        found,
        rejected=heard.rejected,
        total_s=heard.total_s,
        shortest_s=heard.shortest_s,
        longest_s=heard.longest_s,
    )
    return decoded, heard.doubtful, heard.n
