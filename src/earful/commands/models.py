"""``earful models``: what can embed and answer."""

from __future__ import annotations

import typer

from earful import console
from earful.commands.options import JsonOption, example, print_json

models_app = typer.Typer(help="What can embed and answer.", no_args_is_help=True)


@models_app.command("list")
@example("earful models list")
def models_list(as_json: JsonOption = False) -> None:
    """List the embedders by name, with licence and what they need."""
    from earful.model.registry import list_embedders

    entries = list_embedders()
    if as_json:
        for entry in entries:
            print_json(entry.to_dict())
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
                for entry in entries
            ],
            header=["name", "kind", "embeds", "needs", "licence", "what it is"],
        )
    )
