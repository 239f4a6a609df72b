"""``earful models``: list, fetch, convert and verify embedders and language models."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earful import console
from earful.commands.endpoint_options import ENDPOINT_PREFIX, EndpointOptions, is_endpoint
from earful.commands.listen import models_listen
from earful.commands.option_families import expand_families
from earful.commands.options import (
    HELP_ORDER,
    JsonOption,
    example,
    one_of,
    print_json,
    print_result,
    reject_unused,
)
from earful.errors import ModelError, UnknownNameError
from earful.wording import counted, known_names

if TYPE_CHECKING:
    from earful.model.endpoint import CheckReport
    from earful.model.flamingo.checkpoint import ConversionReport

models_app = typer.Typer(
    help="List, fetch, convert and verify embedders and language models.", no_args_is_help=True
)

models_app.command("listen")(models_listen)

StoredDtypeOption = Annotated[
    str,
    typer.Option("--dtype", help="Type of the stored weights: bfloat16, float32 or float16."),
]


@models_app.command("list")
@example("earful models list")
def models_list(as_json: JsonOption = False) -> None:
    """List embedders and language models by name, with licence and requirements."""
    from earful.model import list_embedders, list_language_models

    embedders, models = list_embedders(), list_language_models()
    if as_json:
        for embedder in embedders:
            print_json({"role": "embedder", **embedder.to_dict()})
        for model in models:
            print_json({"role": "language model", **model.to_dict()})
        return
    typer.echo(
        console.table(
            [
                [
                    entry.name,
                    entry.kind,
                    "audio, text" if entry.text else "audio",
                    f"earful[{entry.extra}]" if entry.extra else "",
                    entry.licence,
                    entry.description,
                ]
                for entry in embedders
            ],
            header=["embedder", "kind", "embeds", "needs", "licence", "what it is"],
        )
    )
    typer.echo()
    typer.echo(
        console.table(
            [[entry.name, entry.kind, entry.licence, entry.description] for entry in models],
            header=["language model", "kind", "licence", "what it is"],
        )
    )


@models_app.command("info")
@example("earful models info nvidia/audio-flamingo-3-hf")
def models_info(
    name: Annotated[str, typer.Argument(help="A name, a hub id that was fetched, or a folder.")],
    as_json: JsonOption = False,
) -> None:
    """Tell of an embedder or language model what is known before it is loaded."""
    from earful.model import list_embedders, list_language_models
    from earful.model.hub_models import is_fetched, is_hub_folder, is_hub_id, open_hub_folder

    found: list[dict[str, object]] = [
        {"role": role, **entry.to_dict()}
        for role, entries in (
            ("embedder", list_embedders()),
            ("language model", list_language_models()),
        )
        for entry in entries
        if entry.name == name
    ]
    if is_hub_folder(name) or is_fetched(name):
        opened = open_hub_folder(name).to_dict()
        known = found[0] if found else {"role": "language model"}
        stated = {key: value for key, value in opened.items() if value or key not in known}
        found = [{**known, "fetched": True, **stated}]
    elif is_hub_id(name) and any(model["role"] == "language model" for model in found):
        # Its licence stands on its card, which was not read yet.
        found = [{**model, "fetched": False, "next": _pull_advice(name)} for model in found]
    if not found:
        raise UnknownNameError(
            f"no model named {name!r}: expected a name from `earful models list`, a hub id that "
            "was fetched by `earful models pull`, or a folder in the hub's layout"
        )
    for place, model in enumerate(found):
        rows = [[key, str(value)] for key, value in model.items() if value != ""]
        text = console.table(rows)
        print_result(model, f"\n{text}" if place else text, as_json=as_json)


def _pull_advice(name: str) -> str:
    return f"`earful models pull {name}` shows its licence, and fetches it once that is accepted"


@models_app.command("pull")
@example("earful models pull Qwen/Qwen2-Audio-7B-Instruct")
def models_pull(
    name: Annotated[
        str,
        typer.Argument(
            help="A hub id, owner/name or owner/name@revision, or audio-flamingo-foundation or "
            "audio-flamingo-chat."
        ),
    ],
    accept_noncommercial: Annotated[
        bool,
        typer.Option("--accept-noncommercial", help="Accept that it is for research only."),
    ] = False,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="Accept the licence that is shown.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to write Audio Flamingo v1 to; default: by its name."),
    ] = None,
    dtype: StoredDtypeOption = "bfloat16",
    as_json: JsonOption = False,
) -> None:
    """Show a model's licence, download and check it; offline from then on."""
    from earful.model import naming_extra
    from earful.model.hub_models import is_hub_id, pull_hub_model

    _require_fetchable(name)
    if is_hub_id(name):
        reject_unused({"--out": out is not None}, "is for Audio Flamingo v1; leave it out")
        pulled = pull_hub_model(
            name,
            accept_licence=accept_licence or accept_noncommercial,
            progress=lambda line: console.warn(console.printable(line)),
        )
        told = (
            f"{pulled.name} at {pulled.revision[:12]} in {pulled.folder}, "
            f"{pulled.n_bytes / 1e9:.1f} GB; ask it with --model {pulled.name}"
        )
        print_result(pulled.to_dict(), console.printable(told), as_json=as_json)
        return
    with naming_extra("fetching Audio Flamingo", "flamingo"):
        from earful.model.flamingo.checkpoint import DTYPE_NAMES, LICENCE_NOTICE, pull_flamingo
    console.warn_lines(LICENCE_NOTICE)
    report = pull_flamingo(
        name,
        accept_licence=accept_noncommercial or accept_licence,
        folder=out,
        dtype=one_of(DTYPE_NAMES, dtype, "--dtype"),
        progress=console.warn,
    )
    _print_report(report, as_json=as_json)


@models_app.command("convert")
@example(
    "earful models convert --checkpoint parts/ --msclap clapcap_weights_2023.pth"
    " --tokenizer opt-iml-max-1.3b/ --out flamingo/"
)
def models_convert(
    checkpoint: Annotated[
        list[Path],
        typer.Option(help="foundation.pt or chat.pt, each of its parts, or their folder."),
    ],
    msclap: Annotated[Path, typer.Option(help="clapcap_weights_2023.pth of microsoft/msclap.")],
    tokenizer: Annotated[Path, typer.Option(help="Folder with vocab.json and merges.txt of OPT.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    variant: Annotated[
        str, typer.Option(help="foundation or chat; default: by the file's name.")
    ] = "",
    dtype: StoredDtypeOption = "bfloat16",
    untied: Annotated[
        bool, typer.Option("--untied", help="Keep the input table apart from the output table.")
    ] = False,
    heads: Annotated[
        int | None, typer.Option(min=1, help="Heads of the decoder; default: as released.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Merge the downloaded files of a release into one folder."""
    from earful.model import naming_extra

    with naming_extra("converting Audio Flamingo", "flamingo"):
        from earful.model.flamingo import VARIANTS
        from earful.model.flamingo.checkpoint import DTYPE_NAMES, Heads, convert_flamingo

    report = convert_flamingo(
        checkpoint,
        msclap=msclap,
        tokenizer=tokenizer,
        folder=out,
        variant=one_of(VARIANTS, variant, "--variant") if variant else None,
        dtype=one_of(DTYPE_NAMES, dtype, "--dtype"),
        untied=untied,
        heads=Heads(n_heads=heads),
        progress=console.warn,
    )
    _print_report(report, as_json=as_json)


@models_app.command("convert-clap")
@example("earful models convert-clap 630k-audioset-best.pt --out clap/")
def models_convert_clap(
    source: Annotated[
        str,
        typer.Argument(help="A LAION-CLAP .pt file, a folder in the hub's layout, or a hub id."),
    ],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    revision: Annotated[str, typer.Option(help="Branch, tag or commit of a hub id.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Convert LAION-CLAP's pickled weights into safetensors with digests, once."""
    from earful.model import naming_extra

    with naming_extra("converting LAION-CLAP", "clap"):
        from earful.model.clap import convert_clap
    if not os.path.exists(source) and _is_path(source):
        raise ModelError(
            f"{source}: no such file or folder; expected a LAION-CLAP .pt file, a folder in the "
            "hub's layout, or a hub id such as laion/clap-htsat-unfused"
        )
    report = convert_clap(source, out, revision=revision)
    lines = [
        f"{report.n_tensors} tensors in {report.folder}; embed with --embedder {report.folder}"
    ]
    if not report.embeds_text:
        lines.insert(
            0,
            "note: no tokenizer was found, so it embeds audio and no text; put vocab.json and "
            "merges.txt of roberta-base into the folder",
        )
    print_result(report.to_dict(), "\n".join(map(console.printable, lines)), as_json=as_json)


@models_app.command("convert-yamnet")
@example("earful models convert-yamnet yamnet.h5 --out yamnet/")
def models_convert_yamnet(
    file: Annotated[Path, typer.Argument(help="yamnet.h5 of the TensorFlow model garden.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    as_json: JsonOption = False,
) -> None:
    """Rebuild YAMNet from its published weights and compare; untried on that file itself."""
    from earful.model.yamnet import convert_yamnet

    report = convert_yamnet(file, out)
    told = (
        "the same numbers as those that ship"
        if report.same_as_shipped
        else f"numbers differ by up to {report.largest_difference:.1e} from those that ship"
    )
    text = (
        f"{report.n_tensors} tensors in {report.folder}, {told}; embed with --embedder "
        f"{report.folder}"
    )
    print_result(report.to_dict(), console.printable(text), as_json=as_json)


@models_app.command("verify")
@example("earful models verify audio-flamingo-foundation")
def models_verify(
    model: Annotated[str, typer.Argument(help="Name of a fetched model, or a folder.")],
    as_json: JsonOption = False,
) -> None:
    """Compare every file of a converted model with its digest."""
    from earful.model import naming_extra

    with naming_extra("verifying Audio Flamingo", "flamingo"):
        from earful.model.flamingo.checkpoint import find_flamingo, verify_flamingo_folder
    folder = find_flamingo(model)
    problems = verify_flamingo_folder(folder)
    lines = [*problems, f"{folder}: {counted(len(problems), 'problem')}"]
    found = {"folder": str(folder), "problems": list(problems)}
    print_result(found, "\n".join(map(console.printable, lines)), as_json=as_json)
    if problems:
        raise typer.Exit(1)


@models_app.command("check")
@example("earful models check openai:qwen2-audio --base-url http://localhost:8000/v1")
@expand_families(HELP_ORDER)
def models_check(
    model: Annotated[
        str, typer.Argument(help="openai:NAME; openai: alone for the only model there.")
    ],
    anew: Annotated[
        bool, typer.Option("--anew", help="Check again what was checked within a day.")
    ] = False,
    *,
    endpoint: EndpointOptions,
    as_json: JsonOption = False,
) -> None:
    """Check whether recordings reach a model behind an endpoint, and what it takes.

    About fifteen requests of noise, a token each; the result is believed for a day. With --scoring
    decisions, one request without a recording.
    """
    from earful.model import load_language_model
    from earful.model.endpoint import EndpointLanguageModel

    if not is_endpoint(model):
        raise typer.BadParameter(
            f"expected {ENDPOINT_PREFIX}NAME, a model behind an endpoint, got {model!r}",
            param_hint="MODEL",
        )
    loaded = load_language_model(model, endpoint=endpoint.settings())
    assert isinstance(loaded, EndpointLanguageModel)
    found = loaded.check(anew=anew)
    modes = " or ".join(loaded.capabilities.usable_shot_modes)
    rows = (_decided if found.scoring == "decisions" else _heard)(found, modes)
    total = loaded.total
    said = total.describe() if total.n_requests else "checked within a day"
    text = "\n".join([f"{ENDPOINT_PREFIX}{found.model}", console.table(rows), said])
    print_result({**found.to_dict(), "requests": total.to_dict()}, text, as_json=as_json)
    if found.hears == "no" and found.scoring != "decisions":
        raise typer.Exit(1)


def _require_fetchable(name: str) -> None:
    """Refuse what is no model to fetch, and say what it is.

    Raises:
        UnknownNameError: It ships, is an endpoint, an embedder or a path, or has no form of a
            model's name.
    """
    from earful.model import list_embedders, list_language_models
    from earful.model.hub_models import is_hub_id

    models = {entry.name: entry.kind for entry in list_language_models()}
    embedders = {entry.name: entry.kind for entry in list_embedders()}
    hub_id = name.partition("@")[0]
    kind = models.get(hub_id) or embedders.get(hub_id)
    if is_endpoint(name):
        raise UnknownNameError(
            f"{name} is behind an endpoint, and nothing of it is fetched; look whether it hears: "
            f"`earful models check {name} --base-url URL`"
        )
    if kind == "hub" and hub_id in models:
        return
    if kind == "hub":
        raise UnknownNameError(
            f"{name} is an embedder, expected a language model; embedders are fetched when they "
            f"are first used: `earful index build CORPUS --index INDEX --embedder {name}`"
        )
    if kind is not None:
        raise UnknownNameError(
            f"{name} comes with earful or a package of yours, expected a model of the hub; there "
            "is nothing to fetch"
        )
    if os.path.exists(name):
        raise UnknownNameError(
            f"{name}: is a path on this machine, expected the name of a model to fetch; ask a "
            f"folder in the hub's layout as it is, with --model {name}"
        )
    if not is_hub_id(name):
        fetched = [known for known in models if models[known] == "hub"]
        raise UnknownNameError(
            f"no model named {name!r} to fetch, expected owner/name of the hub, such as "
            "Qwen/Qwen2-Audio-7B-Instruct, audio-flamingo-foundation or audio-flamingo-chat; "
            f"{known_names(name, fetched)}"
        )


def _heard(found: CheckReport, modes: str) -> list[list[str]]:
    return [
        ["hears recordings", f"{found.hears}: {found.reason}"],
        ["served by", found.server],
        ["recordings in one prompt", f"{found.max_audios}"],
        ["seconds of each", f"{found.max_seconds:g}"],
        ["tokens a second", f"{found.tokens_per_second:g}" if found.tokens_per_second else "?"],
        ["longest prompt", f"{found.max_tokens:,} tokens" if found.max_tokens else "?"],
        ["scores labels by", found.scoring],
        ["shows exemplars as", modes],
    ]


def _decided(found: CheckReport, modes: str) -> list[list[str]]:
    return [
        ["scores labels by", f"decisions: {found.reason}"],
        ["hears recordings", "no, and is sent none"],
        ["served by", found.server],
        ["labels at once", f"{found.max_choices}"],
        ["longest prompt", f"{found.max_tokens:,} tokens" if found.max_tokens else "?"],
        ["shows exemplars as", modes],
    ]


def _print_report(report: ConversionReport, *, as_json: bool) -> None:
    lines = [
        *[f"note: {note}" for note in report.notes],
        f"{report.n_tensors} tensors of {report.variant} in {report.folder}, "
        f"{counted(report.n_copies, 'copy', 'copies')} left out, {report.seconds:.1f} s",
    ]
    print_result(report.to_dict(), "\n".join(map(console.printable, lines)), as_json=as_json)


def _is_path(source: str) -> bool:
    """Tell whether a name can only be a path; a hub id is one name, or two with a slash."""
    parts = source.split("/")
    is_hub_id = len(parts) <= 2 and all(part not in ("", ".", "..", "~") for part in parts)
    return source.endswith((".pt", ".pth", ".bin", ".safetensors")) or not is_hub_id
