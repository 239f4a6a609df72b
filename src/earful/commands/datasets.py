"""``earful datasets``: declarations of published datasets, and checks of local copies."""

from __future__ import annotations

import random
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earful import console
from earful.commands.options import JsonOption, example, print_json, print_result
from earful.plain import plain_fields
from earful.wording import as_argument, counted

if TYPE_CHECKING:
    from earful.index.corpus import CorpusRow
    from earful.index.datasets import Dataset, DatasetCheck, DatasetCorpus

datasets_app = typer.Typer(
    help="Show the declarations of published datasets, and check local copies.",
    no_args_is_help=True,
)

NameArgument = Annotated[
    str, typer.Argument(help="A name from `earful datasets list`, or the path of a declaration.")
]
RootArgument = Annotated[Path, typer.Argument(help="Folder that the archives were unpacked in.")]
SplitOption = Annotated[str, typer.Option(help="Only this split.")]
TaskNameOption = Annotated[
    str, typer.Option("--task", help="One of its tasks; default: the first.")
]
PartOption = Annotated[str, typer.Option(help="One of its parts; default: all that are there.")]
OutsideOption = Annotated[
    bool, typer.Option("--allow-outside", help="Follow links that lead out of the folder.")
]

_MOST_MISSING = 5


@datasets_app.command("list")
@example("earful datasets list")
def datasets_list(as_json: JsonOption = False) -> None:
    """List the declared datasets."""
    from earful.index.datasets import list_datasets, load_declaration

    found = [load_declaration(name) for name in list_datasets()]
    if as_json:
        for one in found:
            print_json(_to_dict(one))
        return
    rows = [
        [
            one.name,
            ", ".join(one.domains),
            " + ".join(one.roles),
            one.audio_form,
            ", ".join(one.tasks),
            "yes" if one.is_verified else "in part",
        ]
        for one in found
    ]
    typer.echo(
        console.table(rows, header=["name", "domain", "reference", "audio", "tasks", "verified"])
    )


@datasets_app.command("show")
@example("earful datasets show fsd50k")
def datasets_show(name: NameArgument, as_json: JsonOption = False) -> None:
    """Show a dataset's declaration; facts that nobody verified are marked."""
    from earful.index.datasets import load_declaration

    found = load_declaration(name)
    text = console.printable_lines(describe_dataset(found))
    print_result(_to_dict(found), text, as_json=as_json)


@datasets_app.command("check")
@example("earful datasets check fsd50k data/FSD50K/")
def datasets_check(
    name: NameArgument,
    root: RootArgument,
    split: SplitOption = "",
    task: TaskNameOption = "",
    part: PartOption = "",
    allow_outside: OutsideOption = False,
    missing: Annotated[
        Path | None,
        typer.Option(help="Write rows without a recording, or that cannot be read, to this file."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare a local folder with the official sizes, and list what is missing."""
    from earful.index.datasets import check_dataset, load_dataset

    corpus = load_dataset(
        name, root, split=split, task=task, part=part, allow_outside=allow_outside
    )
    with ExitStack() as opened:
        if missing is not None:
            file = opened.enter_context(
                open(missing, "w", encoding="utf-8", errors="surrogateescape")
            )
            corpus.on_missing = lambda where, why: print(where, why, sep="\t", file=file)
            corpus.on_unreadable = corpus.on_missing
        found = check_dataset(corpus)
    text = console.printable_lines(describe_check(found))
    print_result(found.to_dict(), text, as_json=as_json)


@datasets_app.command("sample")
@example("earful datasets sample clotho data/clotho/ -n 3")
def datasets_sample(
    name: NameArgument,
    root: RootArgument,
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="Number of exemplars.")] = 5,
    split: SplitOption = "",
    task: TaskNameOption = "",
    part: PartOption = "",
    allow_outside: OutsideOption = False,
    seed: Annotated[int, typer.Option(min=0, help="For drawing.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Show some exemplars as they would enter an index."""
    from earful.index.corpus import stretch_fields
    from earful.index.datasets import load_dataset

    corpus = load_dataset(
        name, root, split=split, task=task, part=part, allow_outside=allow_outside
    )
    draw = random.Random(seed)
    kept: list[tuple[int, CorpusRow]] = []
    for place, row in enumerate(corpus):
        # Reservoir sampling: every row is equally likely, however many there are.
        if len(kept) < n:
            kept.append((place, row))
        elif (at := draw.randrange(place + 1)) < n:
            kept[at] = place, row
    for _, row in sorted(kept, key=lambda one: one[0]):
        exemplar = row.exemplar
        if as_json:
            print_json(
                {
                    "id": exemplar.id,
                    "audio": str(exemplar.audio),
                    **stretch_fields(exemplar),
                    "question": exemplar.question,
                    "split": exemplar.split,
                    "licence": exemplar.licence,
                    "meta": dict(exemplar.meta),
                }
            )
            continue
        lines = [
            f"{exemplar.id}  ({exemplar.split or 'no split'})",
            f"  audio     {console.name_stretch(exemplar.audio, exemplar.start_s, exemplar.end_s)}",
            f"  question  {exemplar.question}",
            f"  answer    {exemplar.answer}",
        ]
        typer.echo(console.printable_lines("\n".join(lines)))
    warn_of_rows(corpus, root)


def warn_of_rows(corpus: DatasetCorpus, root: Path) -> None:
    """Warn of rows of the last pass that became no exemplar, and of files that were not read."""
    counts = corpus.counts
    passed = [
        (counts.n_missing, "has no recording here", "have no recording here"),
        (
            counts.ambiguous.n,
            "has several recordings here that differ",
            "have several recordings here that differ",
        ),
        (counts.faults.n, "cannot be read", "cannot be read"),
        (counts.empty.n, "has no label or answer", "have no label or answer"),
        (counts.unlisted.n, "is in no list of a split", "are in no list of a split"),
    ]
    found = [counted(n, f"row {one}", f"rows {several}") for n, one, several in passed if n]
    if found:
        check = f"`earful datasets check {as_argument(corpus.dataset.name)} {as_argument(root)}`"
        console.warn(
            f"note: {' and '.join(found)}, and passed over; {check} names "
            f"{'them' if len(found) > 1 or not found[0].startswith('1 ') else 'it'}"
        )
    for name, read in corpus.unread_files:
        if Path(name).parent != Path(read).parent:
            console.warn(f"note: {read} is read, and not {name}, which is there as well")
    for name in corpus.absent:
        if "Git LFS" in name:
            console.warn(f"note: passed over: {name}")


def describe_dataset(dataset: Dataset) -> str:
    """Render a declaration for people."""
    lines = [
        f"{dataset.title} ({dataset.name})",
        f"reference   {' and '.join(dataset.roles)}",
        f"domain      {', '.join(dataset.domains)}",
        f"audio       {_AUDIO[dataset.audio_form]}",
        *(f"home        {home}" for home in dataset.home),
    ]
    lines += [f"{name:<11} {fact}" for name, fact in dataset.facts.items()]
    for name, split in dataset.splits.items():
        sizes = [
            f"{fact} {unit}"
            for unit, fact in (("clips", split.clips), ("rows", split.rows))
            if fact
        ]
        lines.append(f"split       {name}: {', '.join(sizes)}")
    if own_split := dataset.split.describe():
        lines.append(f"split       {own_split}")
    if dataset.parts:
        lines.append(f"parts       {', '.join(dataset.parts)}")
    lines += [f"task        {emit.task}: {emit.question}" for emit in dataset.emits]
    for reference in dataset.references:
        parts = [reference.key, reference.prompt, "with options" if reference.options else ""]
        parts += [f"answer: {reference.answer}" if reference.answer else ""]
        parts += [f"metric: {reference.metric}" if reference.metric else "", reference.note]
        lines.append(f"AF v1       {'; '.join(part for part in parts if part)}")
    lines += [f"tree        {line}" for line in dataset.tree.splitlines()]
    lines += [f"mind        {quirk}" for quirk in dataset.quirks]
    lines += [f"overlaps    {name}: {why}" for name, why in dataset.overlaps.items()]
    bad = {**dataset.known_bad, **dataset.bad_copies}
    lines += [f"known bad   {id_}: {why}" for id_, why in bad.items()]
    if not dataset.is_verified:
        lines.append("Facts marked unverified were not read at the publisher's.")
    return "\n".join(lines)


def describe_check(found: DatasetCheck) -> str:
    """Render the check of a local folder for people."""
    rows = [
        [
            split.name or "(none)",
            f"{split.n_rows:,}",
            f"{split.n_found:,}",
            f"{split.n_clips:,}",
            split.size_comparison(),
        ]
        for split in found.splits
    ]
    lines = [
        f"{found.name}: {counted(found.n_rows, 'row')} for {found.task}, "
        f"{found.n_rows - found.n_missing - found.n_ambiguous:,} with their recording",
        console.table(
            rows, header=["split", "rows", "found", "recordings", "official"], right="123"
        ),
    ]
    if found.why_empty:
        lines.append(found.why_empty)
    if found.own_split:
        lines.append(f"the split is {found.own_split}")
    if comparison := found.size_comparison():
        lines.append(f"in all {counted(found.n_whole_clips, 'recording')}: {comparison}")
    if sum(split.n_whole_rows for split in found.splits) > found.n_rows:
        n_rows = sum(split.n_whole_rows for split in found.splits)
        lines.append(f"official sizes are held against the {n_rows:,} rows of all tasks")
    lines += [f"not here: {name}" for name in found.absent]
    lines += [f"not read: {name}, as {read} is there" for name, read in found.passed_over]
    looked_for = f"looked for {', '.join(found.looked_for)} below {found.looked_in}"
    every = "; --missing FILE writes them all"
    for passed, n, one, several, why, more in (
        (found.missing, found.n_missing, "row has", "rows have",
         f"no recording; {looked_for}", every),
        (found.ambiguous, found.n_ambiguous, "row has", "rows have",
         "several recordings here that differ, and none was taken", every),
        (found.unreadable, found.n_unreadable, "row", "rows",
         "cannot be read, and passed over like a missing recording", every),
        (found.empty, found.n_empty, "row has", "rows have",
         f"no label or answer for {found.task}, and passed over", ""),
        (found.unlisted, found.n_unlisted, "row is", "rows are",
         "in none of the lists of the splits, and passed over", ""),
    ):  # fmt: skip
        if n:
            lines += [f"{counted(n, one, several)} {why}", *_some(passed, n, more)]
    lines += [f"left out as broken: {id_}, {why}" for id_, why in found.known_bad.items()]
    if found.n_unnamed:
        are = counted(found.n_unnamed, "recording here is", "recordings here are")
        lines.append(f"{are} named by no row")
    return "\n".join(lines)


def _some(rows: tuple[tuple[str, str], ...], n: int, more: str = "") -> list[str]:
    lines = [f"  {where}: {why}" for where, why in rows[:_MOST_MISSING]]
    return [*lines, f"  and more{more}"] if n > _MOST_MISSING else lines


_AUDIO = {
    "files": "recordings, by the publisher",
    "partly": "recordings of some rows, by the publisher",
    "ids": "only ids or links are published; lay recordings that you hold anywhere below the root",
    "video": "films, by the publisher or by link; their sound is used (needs the extra media)",
}


def _to_dict(dataset: Dataset) -> dict[str, object]:
    return {
        "name": dataset.name,
        "title": dataset.title,
        "roles": list(dataset.roles),
        "domains": list(dataset.domains),
        "audio": dataset.audio_form,
        "home": list(dataset.home),
        "tasks": list(dataset.tasks),
        "parts": list(dataset.parts),
        "verified": dataset.is_verified,
        "facts": {name: plain_fields(fact) for name, fact in dataset.all_facts().items()},
        "reference": [plain_fields(one) for one in dataset.references],
        "quirks": list(dataset.quirks),
        "overlaps": dict(dataset.overlaps),
        "known_bad": dict(dataset.known_bad),
        "bad_copies": dict(dataset.bad_copies),
        "own_split": dataset.split.describe(),
    }
