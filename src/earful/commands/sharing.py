"""``earful index push``, ``pull`` and ``card``: an index shared by a hub."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earful import console
from earful.commands.options import (
    IndexArgument,
    IndexOption,
    JsonOption,
    example,
    print_result,
    reject_unused,
)
from earful.wording import as_argument, counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from earful.index.sharing import PullReport, PushPlan
    from earful.rag.evaluation import Evaluation

_MOST_LISTED = 10

_WithAudioOption = Annotated[
    bool,
    typer.Option(
        "--with-audio",
        help="Recordings go along: those under CC0, public domain, or CC-BY with an author.",
    ),
]
_AllowOption = Annotated[
    list[str],
    typer.Option(
        "--allow-licence",
        metavar="LICENCE",
        help="A further licence whose recordings may go along, such as CC-BY-SA. Repeatable.",
    ),
]
_EvaluationOption = Annotated[
    Path | None,
    typer.Option(
        "--evaluation", metavar="RUN.json", help="Run of `earful evaluate` whose figures to show."
    ),
]
_PLACE = "ORG/NAME of a data set on the hub, or a folder that begins with ./ or /."


@example("earful index push sounds.index ada/sounds --private")
def index_push(
    index: IndexArgument,
    place: Annotated[str, typer.Argument(help=f"Where to: {_PLACE}", metavar="PLACE")],
    private: Annotated[
        bool, typer.Option("--private", help="Make a new data set for its owners only.")
    ] = False,
    with_audio: _WithAudioOption = False,
    allow_licence: _AllowOption = [],  # noqa: B006 - typer copies it
    message: Annotated[str, typer.Option(help="What the commit is called.")] = "",
    card: Annotated[
        Path | None, typer.Option(help="A README.md of your own in place of the usual card.")
    ] = None,
    evaluation: _EvaluationOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Pack, verify and show; send nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Push an index to a hub: vectors and labels; recordings only where their licence allows it."""
    from earful.index import push_index

    _require_audio(allow_licence, with_audio=with_audio)
    reject_unused(
        {"--evaluation": card is not None and evaluation is not None},
        "is for the usual card; leave out --card",
    )
    with console.counter("verifying", sys.stderr) as verifying:
        report = push_index(
            index,
            place,
            private=private,
            with_audio=with_audio,
            allow_licences=allow_licence,
            message=message,
            card=card,
            evaluation=_run_of(evaluation),
            dry_run=dry_run,
            on_plan=_show_plan,
            verifying=verifying,
        )
    if report.sent:
        told = f"pushed to {report.plan.address} at {report.revision}"
    elif dry_run:
        told = "nothing was sent (--dry-run)"
    else:
        told = f"{report.plan.address} holds all of it already; nothing was sent"
    print_result(report.to_dict(), console.printable(told), as_json=as_json)


@example("earful index pull ada/sounds --index sounds.index")
def index_pull(
    place: Annotated[
        str, typer.Argument(help=f"Where from: {_PLACE} @REVISION pins one.", metavar="PLACE")
    ],
    index: IndexOption,
    embedder: Annotated[
        str,
        typer.Option(
            metavar="NAME[@REVISION]",
            help="An embedder that does not come with earful, to say that you trust it.",
        ),
    ] = "",
    max_gb: Annotated[float, typer.Option(min=0.001, help="Most to pull, in GB.")] = 100.0,
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace an index that was changed, or pulled elsewhere."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Pull an index from a hub, compare all of it with its digests, or bring it up to date."""
    from earful.index import PullLimits, pull_index

    with console.counter("verifying", sys.stderr) as verifying:
        report = pull_index(
            place,
            index,
            embedder=embedder,
            force=force,
            limits=PullLimits(max_bytes=int(max_gb * 1e9)),
            verifying=verifying,
        )
    came = f"{counted(report.n, 'row')} of {report.place} at {report.revision}"
    lines = [came if report.is_new else f"{came}: {_changes(report)}"]
    if report.n_recordings:
        lines.append(f"{counted(report.n_recordings, 'recording')} came along")
    if report.others:
        shown = ", ".join(report.others[:3]) + (" ..." if len(report.others) > 3 else "")
        lines.append(f"{counted(len(report.others), 'other file')} left there: {shown}")
    without = "" if report.n_without_audio == 0 else " --model none"
    lines.append(f"ask it: earful classify RECORDING --index {as_argument(index)}{without}")
    print_result(report.to_dict(), "\n".join(map(console.printable, lines)), as_json=as_json)


@example("earful index card sounds.index --out README.md")
def index_card(
    index: IndexArgument,
    out: Annotated[
        Path | None, typer.Option(help="Write the card here; default: standard output.")
    ] = None,
    place: Annotated[
        str, typer.Option("--for", metavar="PLACE", help="Where it is to be pushed.")
    ] = "ORG/NAME",
    with_audio: _WithAudioOption = False,
    allow_licence: _AllowOption = [],  # noqa: B006 - typer copies it
    evaluation: _EvaluationOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the card that a push would send, and say what it lacks: licences, sources."""
    from earful.errors import SharingError
    from earful.files import write_atomically
    from earful.index import Index
    from earful.index import index_card as write_card

    _require_audio(allow_licence, with_audio=with_audio)
    card = write_card(
        Index.open(index),
        place=place,
        with_audio=with_audio,
        allow_licences=allow_licence,
        evaluation=_run_of(evaluation),
    )
    if out is not None:
        try:
            write_atomically(out, card.text)
        except OSError as error:
            raise SharingError(
                f"{out}: cannot be written ({error.strerror}); choose another --out"
            ) from error
    for told in card.missing:
        console.warn(f"missing: {told}")
    shown = card.text.rstrip("\n") if out is None else console.printable(f"wrote {out}")
    print_result(card.to_dict(), shown, as_json=as_json)


def _require_audio(allowed: list[str], *, with_audio: bool) -> None:
    reject_unused(
        {"--allow-licence": bool(allowed) and not with_audio},
        "is about recordings; add --with-audio",
    )
    if any(not name.strip() for name in allowed):
        raise typer.BadParameter(
            "expected a licence such as CC-BY-SA; recordings without one never go along",
            param_hint="--allow-licence",
        )


def _run_of(path: Path | None) -> Evaluation | None:
    if path is None:
        return None
    from earful.rag.evaluation import load_evaluation

    return load_evaluation(path)


def _show_plan(plan: PushPlan) -> None:
    """Say on stderr what is about to be sent, under which licences, and where."""
    seen = {True: "private", False: "public", None: "a folder"}[plan.is_private]
    state = "new" if plan.is_new else "an update"
    console.warn(f"to: {plan.address} ({state}, {seen})")
    size = f"{plan.n_bytes / 1e6:,.1f} MB"
    console.warn(f"sends: {counted(plan.n, 'row')} in {counted(plan.n_files, 'file')}, {size}")
    if plan.n_removed:
        console.warn(f"removes there: {counted(plan.n_removed, 'file')} of an earlier push")
    if plan.n_recordings:
        console.warn(f"with audio: {counted(plan.n_recordings, 'recording')}")
    console.warn(f"licences: {_shown(plan.licences)}")
    if plan.refused:
        console.warn(f"recordings that stay: {_shown(plan.refused)}")
    for told in plan.left_out:
        console.warn(f"left out: {told}")
    for told in plan.missing:
        console.warn(f"missing on the card: {told}")
    if plan.embedder:
        console.warn(f"note: a pull has to name the embedder: --embedder {plan.embedder}")


def _shown(counts: Mapping[str, int]) -> str:
    shown = [f"{name} ({n:,})" for name, n in list(counts.items())[:_MOST_LISTED]]
    return ", ".join([*shown, *(["..."] if len(counts) > _MOST_LISTED else [])])


def _changes(report: PullReport) -> str:
    if not (report.added or report.removed or report.changed):
        return "no row has changed"
    return f"{report.added:,} added, {report.removed:,} removed, {report.changed:,} changed"
