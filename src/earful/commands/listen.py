"""``earful models listen``: whether a model's answers depend on what it hears."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from earful import console
from earful.commands.endpoint_options import EndpointOptions, is_endpoint
from earful.commands.load import load_few_shot, load_given_task, load_model
from earful.commands.option_families import expand_families
from earful.commands.options import (
    HELP_ORDER,
    NO_MODEL,
    AllowOutsideOption,
    DecodingOption,
    EmbedderOptions,
    JsonOption,
    ModelOptions,
    OptionalIndexOption,
    example,
    one_of,
    print_result,
    reject_unused,
)
from earful.errors import EvaluationError


@example("earful models listen earful-small --index sounds.index")
@expand_families(HELP_ORDER)
def models_listen(
    model: Annotated[
        str,
        typer.Argument(
            help="Name from `earful models list`, folder, or openai:NAME behind an endpoint.",
            metavar="MODEL",
        ),
    ],
    audio: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Recordings to ask about; none: rows of the index, the labels in turn.",
            metavar="RECORDING",
        ),
    ] = None,
    index: OptionalIndexOption = None,
    task: Annotated[
        str, typer.Option(help="Task file or built-in task; none: all labels of the index.")
    ] = "",
    allow_outside: AllowOutsideOption = False,
    question: Annotated[str, typer.Option(help="What to ask without an index or a task.")] = "",
    shots: Annotated[
        int | None, typer.Option(min=0, help="Number of exemplars beside each recording.")
    ] = None,
    shot_mode: Annotated[
        str, typer.Option(help="interleaved, montage, text, or auto as suits the model best.")
    ] = "auto",
    limit: Annotated[int, typer.Option(min=1, help="Most rows of the index to ask about.")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="For what is swapped.")] = 0,
    decoding: DecodingOption = "full",
    slots: Annotated[
        int | None, typer.Option(min=1, help="Audio slots of the model; default: as released.")
    ] = None,
    dtype: Annotated[
        str,
        typer.Option(
            help="Arithmetic: float32, bfloat16, float16, or auto as stored; int8 or int4 "
            "quantises one of the hub."
        ),
    ] = "auto",
    *,
    models: EmbedderOptions,
    endpoint: EndpointOptions,
    as_json: JsonOption = False,
) -> None:
    """Say whether a model's answers depend on the recording and on exemplars."""
    from earful.rag.evaluation import check_listening
    from earful.rag.task import SHOT_MODES

    mode = None if shot_mode == "auto" else one_of(SHOT_MODES, shot_mode, "--shot-mode")
    reject_unused(
        {"--question": bool(question) and (index is not None or bool(task))},
        "is asked without an index or a task; leave it out, or write it into the task",
    )
    if model in ("", NO_MODEL):
        raise typer.BadParameter(
            "expected a name from `earful models list`, or a folder", param_hint="MODEL"
        )
    given = load_given_task(task, allow_outside=allow_outside)
    if not audio and index is None:
        raise EvaluationError("nothing to ask about; give recordings, or rows of an --index")
    options = ModelOptions(
        embedder=models.embedder,
        device=models.device,
        model=model,
        decoding=decoding,
        slots=slots,
        dtype=dtype,
    )
    reject_unused(
        {"--keep-replies": endpoint.keep_replies and is_endpoint(model)},
        "would hide what merely asking again changes; leave it out",
    )
    few = load_few_shot(index, options, task=given, endpoint=endpoint)
    with console.counter("asking", sys.stderr) as progress:
        found = check_listening(
            few.model or load_model(options),
            index=few,
            recordings=audio or [],
            task=given,
            question=question,
            shots=shots,
            shot_mode=mode,
            limit=limit,
            seed=seed,
            progress=progress,
        )
    print_result(found.to_dict(), console.printable_lines(found.describe()), as_json=as_json)
