"""Text for a terminal: answers, hits and tables on stdout, progress on stderr.

Everything here turns a result into text; nothing decides anything. Text from a corpus or a
file name is printed with its control characters escaped, so that no label can move the
cursor or recolour the terminal.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

from earful.wording import counted
from earful.wording import printable as printable  # also used as console.printable

if TYPE_CHECKING:
    from earful.index.builder import BuildProgress, BuildReport, DoubtfulAudio
    from earful.index.corpus import Survey
    from earful.index.maintenance import RepairReport
    from earful.index.search import Hit
    from earful.model.audio import FaultKind
    from earful.rag import Answer, Blend

_PLAIN_EVERY_S = 5.0

_MOST_VOTED = 5
_MOST_SHOWN = 10
_DOUBTS: dict[FaultKind, str] = {
    "silent": "of digital silence",
    "quiet": "too quiet",
    "cancelling": "whose channels cancel each other",
    "out-of-band": "outside the band that the embedder hears",
    "loud": "far above full scale",
    "short": "too short",
    "header": "with a header that was not believed",
}


class _Meter(Protocol):
    def __call__(
        self, done: int, total: int | None, seconds: float, skipped: int = 0, /
    ) -> None: ...


def printable_lines(text: str) -> str:
    """Escape characters that a terminal cannot show, but keep the line ends."""
    return "\n".join(printable(line) for line in text.splitlines())


def table(rows: Sequence[Sequence[str]], *, header: Sequence[str] = (), right: str = "") -> str:
    """Align rows in columns two spaces apart.

    Args:
        rows: Cells as text; every row as long as the first.
        header: Column titles; none when empty.
        right: Digits of the columns to align right, such as ``"02"``.

    >>> print(table([["a", "10"], ["bcd", "9"]], right="1"))
    a    10
    bcd   9
    """
    lines = [[printable(cell) for cell in row] for row in ([header] if header else []) + [*rows]]
    if not lines:
        return ""
    widths = [max(len(row[column]) for row in lines) for column in range(len(lines[0]))]
    aligned = [
        "  ".join(
            cell.rjust(width) if str(column) in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in lines
    ]
    if header:
        aligned.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(aligned)


def describe_answer(answer: Answer) -> str:
    """Render an answer: verdict first, then the runners-up and the exemplars behind it.

    A language model's answer comes with all exemplars that it was shown, up to as many as
    fit on a screen; a vote with the nearest of those that voted.

    Args:
        answer: An answer of ``FewShot``.
    """
    text = "\n    ".join(map(printable, answer.text.split("\n"))) or "(wrote nothing)"
    verdict = text
    if answer.scores and answer.confidence is not None:
        verdict = f"{text}  {answer.confidence:.0%}"
    if answer.abstained and not answer.declined:
        verdict = f"not sure (best guess: {verdict})"
    lines = [f"{printable(name_stretch(answer.audio, answer.start_s, answer.end_s))}: {verdict}"]
    # What cannot be heard is a note as well, for programs.
    told = answer.reason if answer.declined else ""
    if answer.reason and not (told and told in answer.text):
        lines.append(printable(f"  because {answer.reason}"))
    runners_up = [s for s in answer.scores if s.label != answer.text][:3]
    if runners_up:
        others = ", ".join(f"{score.label} {score.score:.0%}" for score in runners_up)
        lines.append(printable(f"  then: {others}"))
    if answer.vote:
        best = answer.vote[0]
        lines.append(printable(f"  neighbour vote: {best.label} {best.score:.0%}"))
    if answer.model_scores:
        best = answer.model_scores[0]
        lines.append(printable(f"  language model: {best.label} {best.score:.0%}"))
    if answer.blend:
        lines.append(f"  {_describe_blend(answer.blend)}")
    if answer.slots:
        lines.append(printable(f"  {_describe_request(answer)}"))
    if answer.report is not None:
        lines.append(printable(f"  endpoint: {answer.report.describe()}"))
    most = _MOST_SHOWN if answer.slots else _MOST_VOTED
    lines += [f"  {line}" for line in describe_hits(answer.evidence[:most]).splitlines()]
    if len(answer.evidence) > most:
        lines.append(f"  and {len(answer.evidence) - most} more, which --json lists")
    lines += [describe_note(note) for note in answer.notes if note != answer.reason]
    return "\n".join(lines)


def _describe_blend(blend: Blend) -> str:
    """Describe how vote and model were weighted, and how often each was right on exemplars."""
    if blend.is_trained and blend.weight:
        return "combined: vote and model, weighted as the model was trained"
    combined = f"combined: the model counts for {blend.weight:.0%}, the vote for the rest"
    chosen = combined if blend.weight else "the answer is the vote's"
    if not blend.n_held_out:
        return f"{chosen}; there are too few exemplars to test which is right more often"
    return (
        f"{chosen}. Tested on {counted(blend.n_held_out, 'exemplar')}: the vote is right on "
        f"{blend.vote_accuracy:.0%}, the model on {blend.model_accuracy:.0%}, "
        f"both together on {blend.blend_accuracy:.0%}"
    )


def _describe_request(answer: Answer) -> str:
    """Describe the size of the language model's prompt."""
    compat = ", compat decoding" if answer.decoding == "compat" else ""
    return (
        f"prompt of {answer.model}: {counted(answer.n_prompt_tokens, 'text token')}, "
        f"{counted(answer.slots, 'sound')}{compat}"
    )


def describe_note(note: str) -> str:
    """Render what a reader should know of an answer as one line."""
    return printable(f"  note: {note}")


def describe_hits(hits: Sequence[Hit]) -> str:
    """Render hits as one line each: similarity, answer, audio."""
    return table(
        [
            [f"{hit.similarity:+.3f}", row.said, name_stretch(row.audio, row.start_s, row.end_s)]
            for hit in sorted(hits, key=lambda hit: hit.rank)
            for row in [hit.exemplar]
        ]
    )


def name_stretch(audio: object, start_s: float, end_s: float | None) -> str:
    """Name a recording, and the stretch of it where it is not the whole: ``a.wav 0:02-0:03.5``."""
    from earful.model.audio import clock_stretch

    return f"{audio} {clock_stretch(start_s, end_s)}".rstrip()


def describe_build(report: BuildReport) -> str:
    """Render a build's report: counts first, then every rejected file and its reason."""
    from earful.index.builder import rejection_lines

    kept = sum(row.same_audio for row in report.replaced)
    counts = [f"{report.accepted - report.reused} embedded"]
    if kept:
        counts.append(f"{kept} changed (vector kept)")
    if report.reused > kept:
        counts.append(f"{report.reused - kept} reused (equal audio)")
    counts.append(f"{report.skipped} unchanged")
    counts.append(f"{len(report.rejected)} rejected in {report.seconds:.1f} s")
    lines = [", ".join(counts), *_describe_replaced(report), *_describe_contested(report)]
    lines += [printable(f"note: {note}") for note in report.notes]
    if report.stale:
        lines.append(
            "kept, though no longer in the corpus, with their labels; to drop them: "
            "`earful index remove INDEX ID...`:"
        )
        lines += _first([printable(f"  {id_}") for id_ in report.stale])
    lines += rejection_lines(report.rejected, "  rejected ")
    if report.outdated:
        lines.append(
            "rejected, but still in the index as they were before; restore their recordings and "
            "build again, or drop them: `earful index remove INDEX ID...`:"
        )
        lines += _first([printable(f"  {id_}") for id_ in report.outdated])
    lines += _describe_doubtful(report.doubtful)
    return "\n".join(lines)


def _describe_replaced(report: BuildReport) -> list[str]:
    """Render which rows have other labels now, or other audio."""
    lines = []
    changed = [x for x in report.replaced if x.is_relabelled or not x.same_audio]
    for row in changed:
        before = _labels_in_words(row.before, row.denied_before)
        after = _labels_in_words(row.after, row.denied_after)
        labels = f"was labelled {before} and is now {after}"
        if not row.is_relabelled:
            labels = f"is labelled {after} as before"
        audio = "" if row.same_audio else ", and its audio is new"
        lines.append(printable(f"  replaced {row.id}: {labels}{audio}"))
    return _first(lines)


def _labels_in_words(labels: Sequence[str], denied: Sequence[str]) -> str:
    words = [*map(repr, labels), *(f"not {label!r}" for label in denied)]
    return ", ".join(words) or "nothing"


def _first(lines: Sequence[str]) -> list[str]:
    """Return the first ten lines, and one that says how many more there are."""
    more = f"  and {len(lines) - _MOST_SHOWN} more; --json lists all"
    return [*lines[:_MOST_SHOWN], more] if len(lines) > _MOST_SHOWN else [*lines]


def _describe_contested(report: BuildReport) -> list[str]:
    """Render how many recordings stand under labels that differ, and name the first."""
    contested = report.contested
    if not contested.n:
        return []
    first = "; ".join(f"{id_}: {', '.join(own)}" for id_, own in contested.rows[0][:_MOST_VOTED])
    stand = counted(contested.n, "recording stands", "recordings stand")
    return [
        printable(
            f"note: {stand} in several rows whose labels differ ({first}); each votes once, for "
            "all of its labels"
        )
    ]


def _describe_doubtful(doubtful: Sequence[DoubtfulAudio]) -> list[str]:
    """Render a line for each reason why an encoder hears little of recordings."""
    lines = []
    for some in doubtful:
        if some.kind == "long":
            lines.append(_describe_long(some))
            continue
        nothing = f", {some.n_unusable} with nothing left to hear" if some.n_unusable else ""
        what = f"{counted(some.n, 'row')} {_DOUBTS[some.kind]}{nothing}"
        lines.append(printable(f"  note: {what}; the first is {some.first}: {some.text}"))
    return lines


def _describe_long(some: DoubtfulAudio) -> str:
    """Render how many rows are averages of long recordings, and what to do with them."""
    last = counted(some.n, "row lasts", "rows last")
    each = "each" if some.n > 1 else "it"
    return printable(
        f"  note: {last} over a minute; {each} is one vector, the average of its windows: mark "
        "stretches (columns start_s, end_s), or find where sounds are with `earful scan`; the "
        f"first is {some.first}"
    )


def describe_repair(report: RepairReport) -> str:
    """Render a repair's report: kept, dropped and missing rows, and the next step."""
    lines = [
        f"{counted(report.kept, 'row')} kept, {report.dropped} dropped, {report.embedded} embedded "
        f"again, {report.missing} still missing"
    ]
    lines += [printable(f"  dropped {id_}") for id_ in report.dropped_ids]
    lines += [printable(f"  set aside {name}") for name in report.set_aside]
    if report.missing:
        lines.append(
            "run it again with --corpus and what the index was built from, once for each corpus; "
            "`earful index add` takes recordings again that were added by themselves"
        )
    return "\n".join(lines)


def describe_survey(found: Survey, doubtful: Sequence[DoubtfulAudio] = ()) -> str:
    """Render the counts of a ``--dry-run``, and the audio of which an encoder hears little."""
    from earful.index.builder import rejection_lines

    lines = [
        f"{counted(found.n, 'row')}, {counted(found.n_files, 'file')}, "
        f"{found.total_s / 60:.1f} minutes"
        f" ({found.shortest_s:.2f} to {found.longest_s:.2f} s each)"
    ]
    if found.labels or found.not_labels:
        lines.append(table_of_labels(found.labels, found.not_labels))
    if set(found.splits) - {""}:
        counts = [[split or "(none)", str(n)] for split, n in found.splits.items()]
        lines.append(table(counts, header=["split", "rows"], right="1"))
    if found.columns is not None:
        used = ", ".join(f"{field} from {column}" for field, column in found.columns.items())
        others = ", ".join(found.other_columns) or "none"
        lines.append(printable(f"columns: {used}; kept as text: {others}"))
    lines += [printable(f"note: {note}") for note in found.notes]
    lines += rejection_lines(found.rejected, "would be rejected ")
    lines += _describe_doubtful(doubtful)
    return "\n".join(lines)


def table_of_labels(labels: Mapping[str, int], denied: Mapping[str, int]) -> str:
    """Count the rows of each label, and beside them those that say that it is not there."""
    if not denied:
        counts = [[label, str(n)] for label, n in labels.items()]
        return table(counts, header=["label", "rows"], right="1")
    counts = [
        [label, str(labels.get(label, 0)), str(denied.get(label, 0))]
        for label in dict.fromkeys([*labels, *denied])
    ]
    return table(counts, header=["label", "rows", "not there"], right="12")


@contextmanager
def progress_bar(title: str, stream: TextIO) -> Iterator[Callable[[BuildProgress], None]]:
    """Show a build's progress: a live bar on a terminal, a plain line every 5 s elsewhere.

    Args:
        title: The work in progress, such as ``"embedding"``.
        stream: Where to write; stdout is never touched.

    Yields:
        A function to pass to ``build_index``.
    """
    with _meter(title, stream) as show:
        yield lambda progress: show(
            progress.done, progress.total, progress.seconds, progress.skipped
        )


@contextmanager
def counter(title: str, stream: TextIO) -> Iterator[Callable[[int, int], None]]:
    """Show how many items are done of how many, as ``progress_bar`` does for a build.

    Args:
        title: The work in progress, such as ``"encoding"``.
        stream: Where to write; stdout is never touched.

    Yields:
        A function of ``(done, total)``; nothing is shown before it is called.
    """
    start = time.monotonic()
    with ExitStack() as opened:
        meter: list[_Meter] = []

        def show(done: int, total: int) -> None:
            if not meter:
                meter.append(opened.enter_context(_meter(title, stream)))
            meter[0](done, total, time.monotonic() - start)

        yield show


@contextmanager
def _meter(title: str, stream: TextIO) -> Iterator[_Meter]:
    """Yield what shows the items done, their total if known, seconds, and how many were skipped.

    What was skipped took no time, and says nothing of the pace of the rest.
    """
    if not stream.isatty():
        yield _plain_meter(title, stream)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.1f}/s"),
        TimeRemainingColumn(),
        console=Console(file=stream),
        transient=True,
    ) as bars:
        bar = bars.add_task(title, total=None, rate=0.0)

        def show(done: int, total: int | None, seconds: float, skipped: int = 0) -> None:
            rate = (done - skipped) / seconds if seconds > 0 else 0.0
            bars.update(bar, completed=done, total=total, rate=rate)

        yield show


def _plain_meter(title: str, stream: TextIO) -> _Meter:
    last = time.monotonic()

    def show(done: int, total: int | None, seconds: float, skipped: int = 0) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < _PLAIN_EVERY_S:
            return
        last = now
        rate = (done - skipped) / seconds if seconds > 0 else 0.0
        of = "" if total is None else f" of {total}"
        to_go = f", {(total - done) / rate:.0f} s to go" if total is not None and rate > 0 else ""
        pace = f", {rate:.1f}/s{to_go}" if rate else ", nothing left to do"
        stream.write(f"{title}: {done}{of}{pace}\n")
        stream.flush()

    return show


def warn(message: str) -> None:
    """Write one line to stderr."""
    sys.stderr.write(printable(message) + "\n")


def warn_lines(text: str) -> None:
    """Write several lines to stderr."""
    sys.stderr.write(printable_lines(text) + "\n")
