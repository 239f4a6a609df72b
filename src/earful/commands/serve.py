"""``earful serve``: a page to listen, label and ask."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earful import console
from earful.commands.options import (
    AllowOutsideOption,
    DeviceOption,
    IndexOption,
    example,
)
from earful.model import DEFAULT_MODEL
from earful.wording import counted

if TYPE_CHECKING:
    from earful.serve import ServerState


@example("earful serve --index sounds.index --scan night.scan")
def serve(
    index: IndexOption,
    scan: Annotated[
        list[Path], typer.Option("--scan", metavar="DIR", help="Scan to review. Repeatable.")
    ] = [],  # noqa: B006 - typer copies it
    recordings: Annotated[
        list[Path],
        typer.Option(
            "--recordings",
            metavar="FOLDER",
            help="Folder of recordings that the page may scan. Repeatable.",
        ),
    ] = [],  # noqa: B006 - typer copies it
    task: Annotated[str, typer.Option(help="Task file, or the name of a built-in task.")] = "",
    allow_outside: AllowOutsideOption = False,
    reviewer: Annotated[str, typer.Option(help="Name that labels get; default: the user's.")] = "",
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Look and ask; change nothing.")
    ] = False,
    double: Annotated[
        float,
        typer.Option(min=0, max=100, help="Percentage of items shown to a second reviewer."),
    ] = 10.0,
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            envvar="EARFUL_MODEL",
            help="Language model: a name from `earful models list`, a folder, or openai:NAME; "
            "none: the vote alone.",
        ),
    ] = DEFAULT_MODEL,
    device: DeviceOption = "auto",
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port to listen at; 0 for any that is free.")
    ] = 8737,
    allow_network: Annotated[
        bool,
        typer.Option(
            "--allow-network", help="Let other machines reach the page, without encryption."
        ),
    ] = False,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="File with the token, made if it is not there; default: a new one."
        ),
    ] = None,
    max_upload_mib: Annotated[float, typer.Option(help="Largest upload, in MiB.")] = 64.0,
    open_browser: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in a browser.")
    ] = True,
) -> None:
    """Serve a page on this machine to listen, label and ask.

    Only who has the printed address can use it. Ctrl-C ends it; what was labelled is kept.
    """
    from earful.diagnostics import show_faults
    from earful.serve import ServeSettings, open_state, read_token, require_extra
    from earful.serve import serve as serve_page

    require_extra()
    settings = ServeSettings(
        host=host,
        port=port,
        token=read_token(token_file) if token_file is not None else "",
        reviewer=reviewer,
        read_only=read_only,
        allow_network=allow_network,
        double=double,
        max_upload_mib=max_upload_mib,
    )
    state = open_state(
        index,
        settings,
        scans=scan,
        recordings=recordings,
        task=task,
        model=model,
        device=device,
        allow_outside=allow_outside,
    )
    show_faults()
    serve_page(state, on_ready=lambda address: _announce(state, address, open_browser))
    typer.echo(describe_kept(state))


def serve_demo(index: Path) -> None:
    """Build the demo's index and scan its long recording, and open the page on them.

    Args:
        index: Folder of the demo's index; all else is written beside it.
    """
    import earful
    from earful.commands.scan_console import scan_meter
    from earful.demo import DemoCorpus, build_demo_index, mix_long_recording
    from earful.rag.scan import ExampleSources
    from earful.serve import ServeSettings, open_state, require_extra
    from earful.serve import serve as serve_page

    require_extra()
    corpus = DemoCorpus.find()
    index.parent.mkdir(parents=True, exist_ok=True)
    with console.progress_bar("embedding", sys.stderr) as progress:
        build_demo_index(corpus, index, progress=progress)
    mixed, out = mix_long_recording(corpus, index.parent), index.parent / "ward.scan"
    with scan_meter(sys.stderr) as meter:
        earful.scan(
            mixed.audio,
            examples=ExampleSources(
                annotations=(mixed.examples,), complete_until_s=mixed.complete_until_s
            ),
            out=out,
            on_progress=meter,
        )
    # Any port that is free: somebody may be serving already.
    state = open_state(index, ServeSettings(port=0), scans=[out], model=DEFAULT_MODEL)
    serve_page(state, on_ready=lambda address: _announce(state, address, True))
    typer.echo(describe_kept(state))


def _announce(state: ServerState, address: str, open_browser: bool) -> None:
    import webbrowser

    import earful

    reach = "only this machine" if state.settings.is_local else "ANY MACHINE that reaches this one"
    typer.echo(f"earful {earful.__version__} at {address}   ({reach}; Ctrl-C ends it)")
    if not state.settings.is_local:
        console.warn(
            "note: there is no encryption: who can listen to the network between you and this "
            "machine can read the address, the recordings and the labels"
        )
    typer.echo(describe_opened(state))
    sys.stdout.flush()
    if open_browser and _has_screen():
        # Whoever lists the processes of the machine sees what a browser is started with.
        webbrowser.open(address.replace(state.settings.token, state.new_ticket()))


def _has_screen() -> bool:
    """Tell whether a browser has a screen to open on; one of text would take the terminal."""
    if sys.platform != "linux":
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))


def describe_opened(state: ServerState) -> str:
    """Render what a server has opened, in a line."""
    n, labels = state.read_index(lambda index: (len(index), index.info.labels))
    parts = [
        f"index {state.index_path.name}: {counted(n, 'recording')}, {counted(labels, 'label')}"
    ]
    for name, session in state.reviews.items():
        n_events, n_reviewed = len(session.events), session.progress().n_reviewed
        parts.append(f"scan {name}: {counted(n_events, 'event')}, {n_reviewed:,} reviewed")
    return console.printable("; ".join(parts))


def describe_kept(state: ServerState) -> str:
    """Render what is kept of all labels when a server has ended, in a line."""
    from earful.index.labels import LabelJournal, journal_path
    from earful.rag.review import ROW_PREFIX

    folders = [session.folder for session in state.reviews.values()]
    parts: list[str] = []
    for folder in dict.fromkeys([*folders, state.index_path]):
        path = journal_path(folder)
        words = [one for item in LabelJournal(path).state().items.values() for one in item.words]
        if words or folder != state.index_path:
            parts.append(f"{counted(len(words), 'label')} kept in {path}")
    ids = state.read_index(lambda index: index.read_table(["id"]).column("id").to_pylist())
    n_rows = sum(id.startswith(ROW_PREFIX) for id in ids)
    if parts:
        parts.append(f"{counted(n_rows, 'row')} of labels in {state.index_path}")
    return console.printable("; ".join(parts or ["nothing was labelled"]))
