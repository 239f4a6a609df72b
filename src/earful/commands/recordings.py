"""``earful recordings``: what is kept of recordings, so that no scan decodes them again."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earful import console
from earful.commands.options import JsonOption, example, print_result
from earful.errors import CorpusError
from earful.wording import counted, duration_text, listed

if TYPE_CHECKING:
    from earful.index.recordings import StepStore

recordings_app = typer.Typer(
    help="Look after what scans keep of recordings, so that none is decoded twice.",
    no_args_is_help=True,
)

StoreArgument = Annotated[
    Path,
    typer.Argument(help="Result of a scan, or a folder of --vectors.", metavar="SCAN"),
]
_SHORT_KEY = 12


@recordings_app.command("info")
@example("earful recordings info night.scan")
def recordings_info(folder: StoreArgument, as_json: JsonOption = False) -> None:
    """Show which recordings are kept, how much of each, and what made them comparable."""
    store = _open(folder)
    rows, lines = [], []
    total_s, n_bytes = 0.0, 0
    for key in store.keys():  # noqa: SIM118 - a store is no mapping
        about = store.about(key)
        size = store.bytes_of(key)
        total_s, n_bytes = total_s + (about.duration_s or 0.0), n_bytes + size
        rows.append({"key": key, "kept_bytes": size, **about.to_dict()})
        lines.append(
            [
                key[:_SHORT_KEY],
                about.path,
                duration_text(about.duration_s or 0.0),
                f"{about.sample_rate} Hz",
                f"{size / 1e6:.1f} MB",
                about.cut_short,
            ]
        )
    begun, begun_lines = [], []
    for one in store.unfinished():
        kept_s = 0.0 if one.about is None else one.about.n_steps / store.settings.steps_rate
        path = "" if one.about is None else one.about.path
        begun.append(
            {"key": one.key, "path": path, "kept_s": round(kept_s, 3), "is_busy": one.is_busy}
        )
        state = "a process is at it" if one.is_busy else "the next scan goes on there"
        begun_lines.append(
            console.printable(
                f"begun: {one.key[:_SHORT_KEY]} {path}: {duration_text(kept_s)} kept, {state}"
            )
        )
    text = [
        console.printable(
            f"{store.folder}: {counted(len(rows), 'recording')}, {duration_text(total_s)}, "
            f"{n_bytes / 1e6:.1f} MB"
        ),
        *(
            console.printable(f"{name}: {'no limit' if value is None else value}")
            for name, value in store.settings.to_dict().items()
            if name != "fingerprint"
        ),
        console.printable(f"embedder: {store.settings.fingerprint.name}"),
    ]
    if lines:
        text.append(console.table(lines, header=["key", "recording", "length", "rate", "kept", ""]))
    text += begun_lines
    found = {
        "folder": str(store.folder),
        "settings": store.settings.to_dict(),
        "recordings": rows,
        "unfinished": begun,
        "duration_s": round(total_s, 3),
        "bytes": n_bytes,
    }
    print_result(found, "\n".join(text), as_json=as_json)


@recordings_app.command("verify")
@example("earful recordings verify night.scan")
def recordings_verify(
    folder: StoreArgument,
    files: Annotated[
        bool,
        typer.Option(
            "--files", help="Read the recordings, too, and compare them with their digests."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check that all that is kept is as it was written."""
    from earful.index.recordings import verify_store

    store = _open(folder)
    with console.counter("checking", sys.stderr) as progress:
        report = verify_store(store, files=files, progress=progress)
    lines = [
        console.printable(f"{one.recording or one.key}: {one.what}") for one in report.problems
    ]
    lines.append(
        f"{counted(report.n_checked, 'recording')} checked, "
        f"{counted(len(report.problems), 'problem')}"
    )
    if report.n_unfinished:
        lines.append(f"{report.n_unfinished} begun; the next scan goes on there")
    if report.n_absent:
        lines.append(
            f"{report.n_absent} no longer where they were; what is kept serves all the same"
        )
    print_result(report.to_dict(), "\n".join(lines), as_json=as_json)
    if report.problems:
        raise typer.Exit(1)


@recordings_app.command("remove")
@example("earful recordings remove night.scan night/a.wav")
def recordings_remove(
    folder: StoreArgument,
    chosen: Annotated[
        list[str],
        typer.Argument(
            help="Recordings as `recordings info` lists them, their paths or the beginnings of "
            "their keys.",
            metavar="RECORDING...",
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Remove what is kept of recordings; the recordings themselves stay."""
    store = _open(folder)
    keys = [key for one in chosen for key in _keys_of(store, one)]
    n_bytes = sum(store.bytes_of(key) for key in dict.fromkeys(keys))
    n = store.remove(keys)
    text = f"{counted(n, 'recording')} removed, {n_bytes / 1e6:.1f} MB free"
    print_result({"removed": n, "bytes": n_bytes}, text, as_json=as_json)


def _open(folder: Path) -> StepStore:
    from earful.index.recordings import StepStore
    from earful.rag.scan import vectors_folder

    return StepStore.open(vectors_folder(folder))


def _keys_of(store: StepStore, chosen: str) -> list[str]:
    """Return the keys of the recording that a path or the beginning of a key names."""
    paths = store.paths()
    wanted = os.path.abspath(chosen)
    by_path = [key for key, path in paths.items() if path and os.path.abspath(path) == wanted]
    by_name = [key for key, path in paths.items() if path and os.path.basename(path) == chosen]
    by_key = [key for key in paths if len(chosen) >= 4 and key.startswith(chosen.lower())]
    for found in (by_path, by_name, by_key):
        if found and (len(found) == 1 or found is by_path):
            return found
        if found:
            raise CorpusError(
                f"{chosen}: names {len(found)} recordings; expected one of the keys "
                f"{listed(key[:_SHORT_KEY] for key in found)}"
            )
    raise CorpusError(
        f"{chosen}: nothing is kept of such a recording; expected a path or a key that `earful "
        "recordings info` lists"
    )
