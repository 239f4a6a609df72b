"""``earful search``: the exemplars nearest to a recording or a sentence."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earful import console
from earful.commands.load import load_few_shot
from earful.commands.option_families import expand_families
from earful.commands.options import (
    HELP_ORDER,
    EmbedderOptions,
    IndexOption,
    JsonOption,
    example,
    one_of,
    print_json,
    reject_unused,
)
from earful.commands.questions.long_recordings import advise, advising
from earful.commands.stretch_options import StretchOptions
from earful.wording import counted, known_names, nearest_name

if TYPE_CHECKING:
    from earful.index.search import IndexBackend, SearchFilter
    from earful.rag import FewShot

BACKENDS = ("exact", "faiss", "half", "approximate")


@example("earful search street.wav --index sounds.index -k 5")
@expand_families(HELP_ORDER)
def search(
    index: IndexOption,
    audio: Annotated[Path | None, typer.Argument(help="Recording to search with.")] = None,
    text: Annotated[
        str,
        typer.Option(
            help="Sentence to search with instead. With yamnet, similarity is then the probability "
            "of what it means, not a cosine."
        ),
    ] = "",
    k: Annotated[int, typer.Option("--k", "-k", min=1, help="Number of hits.")] = 10,
    where: Annotated[
        str, typer.Option(help="SQL filter, such as \"split = 'train' AND licence = 'CC0'\".")
    ] = "",
    label: Annotated[
        list[str], typer.Option("--label", help="Only rows with this label. Repeatable.")
    ] = [],  # noqa: B006 - typer copies it
    split: Annotated[
        list[str], typer.Option("--split", help="Only rows of this split. Repeatable.")
    ] = [],  # noqa: B006 - typer copies it
    exclude_group: Annotated[
        list[str], typer.Option("--exclude-group", help="No rows of this group. Repeatable.")
    ] = [],  # noqa: B006 - typer copies it
    min_similarity: Annotated[
        float | None, typer.Option(min=-1.0, max=1.0, help="Least similarity, as it is listed.")
    ] = None,
    backend: Annotated[
        str, typer.Option(help="exact, faiss, half (half the memory) or approximate.")
    ] = "exact",
    *,
    stretch: StretchOptions,
    models: EmbedderOptions,
    as_json: JsonOption = False,
) -> None:
    """List the nearest exemplars of a recording, or of a sentence."""
    from earful.index.search import SearchFilter
    from earful.rag.retrieval import read_query

    if (audio is None) == (not text):
        raise typer.BadParameter("give a recording or --text, one of the two")
    if text and not text.strip():
        raise typer.BadParameter("it is empty: expected a sentence", param_hint="--text")
    one_of(BACKENDS, backend, "--backend")
    options = stretch.ask_options()
    if text:
        reject_unused(stretch.given(), "is about a recording, and --text is none; leave it out")
    chosen = SearchFilter(
        labels=frozenset(label),
        splits=frozenset(split),
        exclude_groups=frozenset(exclude_group),
        where=where,
        min_similarity=min_similarity,
    )
    few = load_few_shot(index, models, reads_audio=audio is not None)
    if text and few.retriever.compares_scores:
        reject_unused(
            {"--backend": backend != "exact"},
            "is about vectors, and a text is compared with the class scores of this index; it "
            "takes exact",
        )
    query = None
    if audio is not None:
        with advising(audio, index):
            query = read_query(audio, few.embedder, ask=options)
    hits = few.search(audio=query, text=text or None, k=k, filter=chosen, backend=backend)
    notes = [] if query is None else [advise(note, str(audio), index) for note in query.notes]
    if text and (note := few.retriever.text_note(text, hits)):
        notes.append(note)
    if as_json:
        evidence = [hit.to_dict() for hit in hits]
        asked = {"query": text or str(audio), **options}
        print_json({**asked, "evidence": evidence, "notes": notes})
        return
    typer.echo(console.describe_hits(hits) or _why_nothing(few, chosen, backend))
    for note in notes:
        typer.echo(console.describe_note(note))


def _why_nothing(few: FewShot, chosen: SearchFilter, backend: str) -> str:
    """Name the condition of a search that no row of the index meets."""
    import numpy as np

    from earful.index.search import SearchFilter

    lean: IndexBackend = "half" if backend in ("half", "approximate") else "exact"
    index = few.index
    if index is None:
        return "nothing found: there is no index"

    def passes(some: SearchFilter) -> bool:
        query = np.eye(1, index.fingerprint.dim, dtype=np.float32)[0]
        return bool(index.search(query, k=1, filter=some, backend=lean))

    n_rows = index.info.n
    none = f"none of {counted(n_rows, 'row')}"
    if not n_rows:
        return f"nothing found: {index.why_empty()}"
    alone = {
        f"--where {chosen.where!r}": SearchFilter(where=chosen.where),
        _given("--label", chosen.labels): SearchFilter(labels=chosen.labels),
        _given("--split", chosen.splits): SearchFilter(splits=chosen.splits),
        _given("--exclude-group", chosen.exclude_groups): SearchFilter(
            exclude_groups=chosen.exclude_groups
        ),
    }
    given = {option: some for option, some in alone.items() if some != SearchFilter()}
    for option, some in given.items():
        if not passes(some):
            return f"nothing found: {none} passes {option}{_meant(few, some)}"
    if not passes(replace(chosen, min_similarity=None)):
        return f"nothing found: {none} passes {' and '.join(given)}"
    return f"nothing found: no row is as similar as --min-similarity {chosen.min_similarity:g}"


def _given(option: str, values: Collection[str]) -> str:
    return " ".join(f"{option} {shlex.quote(value)}" for value in sorted(values))


def _meant(few: FewShot, nothing: SearchFilter) -> str:
    """Return the labels or splits of the index that are spelt nearly like those of a filter."""
    if few.index is None:
        return ""
    rows = few.index.vectors().exemplars
    for values, known in (
        (nothing.labels, {label for row in rows for label in row.labels}),
        (nothing.splits, {row.split for row in rows} - {""}),
    ):
        if values:
            nearest = [value for value in sorted(values) if nearest_name(value, sorted(known))]
            return f"; {known_names([*nearest, *sorted(values)][0], sorted(known))}"
    return ""
