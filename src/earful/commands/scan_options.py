"""Options of ``earful scan``, in families: its examples, its detector, how and where it looks."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earful.commands.options import split_labels
from earful.commands.store_options import index_path
from earful.commands.stretch_options import time_s

if TYPE_CHECKING:
    from earful.index.recordings import Hearing
    from earful.model.audio.recorders import NamesAre
    from earful.rag.scan import ExampleSources, ScanOptions, ScanPart, ScanSettings

SCAN_ORDER = (
    *("out", "examples", "index", "task", "label", "labels", "where", "first", "reference"),
    *("with_labels", "whole_clips", "complete_until", "column", "label_column"),
    *("window_s", "detector", "threshold", "join_s", "min_s", "max_s", "seed"),
    *("fmin_hz", "fmax_hz", "slow", "channel"),
    *("from_s", "to_s", "between"),
    *("recordings", "timezone", "names_are", "time_pattern", "site_pattern"),
    *("vectors", "keep_scores", "allow_outside", "embedder", "device", "jobs"),
    *("dry_run", "as_json"),
)
"""The order of options in ``earful scan --help``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleOptions:
    """Where examples come from."""

    examples: Annotated[
        list[Path],
        typer.Option(
            metavar="FILE",
            help="Marked events in any format (Raven, Audacity, BirdNET, DCASE, TextGrid, a table "
            "with times), a folder of such files, or a corpus as for `index build`. Repeatable.",
        ),
    ] = field(default_factory=list)
    index: Annotated[
        Path | None,
        typer.Option(
            "--index",
            "-i",
            metavar="DIR",
            help="Index whose exemplars are examples; or its address.",
            parser=index_path,
        ),
    ] = None
    task: Annotated[
        str, typer.Option(help="Task file with examples, or with labels of the --index.")
    ] = ""
    label: Annotated[
        list[str], typer.Option(help="Label to look for; default: all. Repeatable.")
    ] = field(default_factory=list)
    labels: Annotated[str | None, typer.Option(help="The same, with commas between: owl,fox.")] = (
        None
    )
    where: Annotated[
        str, typer.Option(help="SQL over the columns of the --index, such as \"split = 'train'\".")
    ] = ""
    first: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Only the first N events of each recording in the --reference are examples "
            "(DCASE's protocol); each recording is scanned with its own.",
        ),
    ] = None
    reference: Annotated[
        list[Path],
        typer.Option(metavar="FILE", help="Marked events for --first, of any format. Repeatable."),
    ] = field(default_factory=list)
    with_labels: Annotated[
        bool,
        typer.Option(
            "--with-labels",
            help="What reviewers said of this scan (labels.jsonl in --out) gives further examples.",
        ),
    ] = False
    whole_clips: Annotated[
        bool,
        typer.Option(
            "--whole-clips",
            help="Clips without marks are examples as a whole; else what stands out from their own "
            "background is.",
        ),
    ] = False
    complete_until: Annotated[
        float | None,
        typer.Option(
            parser=time_s,
            metavar="TIME",
            help="Before this time of marked recordings all that is not marked is something else; "
            "default: the end of the last example with --first, else 0.",
        ),
    ] = None
    column: Annotated[
        list[str],
        typer.Option(
            metavar="FIELD=COLUMN",
            help="Column of a table of examples that holds a field, such as start_s=von. "
            "Repeatable.",
        ),
    ] = field(default_factory=list)
    label_column: Annotated[
        str, typer.Option(metavar="COLUMN", help="Column of the examples that names the sound.")
    ] = ""

    def sources(self, out: Path) -> ExampleSources:
        """Return them as the sources of a scan.

        Args:
            out: Folder of the scan.

        Raises:
            CorpusError: There is none, or two exclude each other.
            typer.BadParameter: A ``--column`` is of another form, or a label is empty.
        """
        from earful.rag.scan import ExampleSources

        columns: dict[str, str] = {}
        for pair in self.column:
            name, equals, column = pair.partition("=")
            if not (name and equals):
                raise typer.BadParameter(
                    f"expected FIELD=COLUMN, got {pair!r}", param_hint="--column"
                )
            columns[name] = column
        several = [] if self.labels is None else split_labels(self.labels)
        return ExampleSources(
            annotations=tuple(self.examples),
            label_column=self.label_column or None,
            columns=columns,
            index=self.index,
            where=self.where,
            task=self.task or None,
            labels=tuple(dict.fromkeys([*self.label, *several])),
            first=self.first,
            reference=tuple(self.reference),
            complete_until_s=self.complete_until,
            journal=out if self.with_labels else None,
            whole_clips=self.whole_clips,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorOptions:
    """How windows are scored, and become events."""

    window_s: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="Length of a window, in steps of 0.186 s; 0.37-2.23."),
    ] = 0.56
    detector: Annotated[
        str,
        typer.Option(
            help="neighbours: the best example against the nearest background; probe: a logistic "
            "regression; auto: the better one, from 20 marked events on."
        ),
    ] = "neighbours"
    threshold: Annotated[
        list[str],
        typer.Option(
            metavar="[LABEL=]VALUE",
            help="Events are where the score is above it: 0 is a recording's background, 1 a "
            "typical example; default 0.5. Repeatable.",
        ),
    ] = field(default_factory=list)
    join_s: Annotated[
        float, typer.Option(metavar="SECONDS", help="Gaps up to this long are closed.")
    ] = 0.2
    min_s: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Shorter events are dropped; default: 0.3 of the shortest example.",
        ),
    ] = None
    max_s: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Longer events are cut; default: none.")
    ] = None
    seed: Annotated[int, typer.Option(min=0, help="For the windows of the background.")] = 0

    def settings(self) -> ScanSettings:
        """Return them as the settings of a scan.

        Raises:
            CorpusError: A value is outside its range.
            typer.BadParameter: A threshold is no number.
        """
        from earful.commands.options import one_of
        from earful.rag.scan import DEFAULT_THRESHOLD, ScanSettings

        by_label: dict[str, float] = {}
        threshold = DEFAULT_THRESHOLD
        for given in self.threshold:
            # A label may have such a sign itself.
            label, equals, number = given.rpartition("=")
            value = _number(number, given)
            if equals:
                by_label[label] = value
            else:
                threshold = value
        return ScanSettings(
            window_s=self.window_s,
            detector=one_of(("neighbours", "probe", "auto"), self.detector, "--detector"),
            threshold=threshold,
            thresholds=by_label,
            join_s=self.join_s,
            min_s=self.min_s,
            max_s=self.max_s,
            seed=self.seed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LookingOptions:
    """How recordings are heard, which part of them, and when and where they were made."""

    fmin_hz: Annotated[
        float, typer.Option(min=0.0, metavar="HZ", help="What lies below is taken for silence.")
    ] = 0.0
    fmax_hz: Annotated[
        float | None,
        typer.Option(metavar="HZ", help="What lies above is taken for silence; default: nothing."),
    ] = None
    slow: Annotated[
        float,
        typer.Option(
            metavar="N",
            help="Hear recordings N times slower, for ultrasound: 10 for bats. Lengths in options "
            "are as heard, times in results those of the file.",
        ),
    ] = 1.0
    channel: Annotated[
        str, typer.Option(help="mean of all channels, first, or a channel's number from 1.")
    ] = "mean"
    from_s: Annotated[
        float,
        typer.Option(
            parser=time_s,
            metavar="TIME",
            help="Events of each recording from here on: seconds, or 1:02:03.5.",
        ),
    ] = 0.0
    to_s: Annotated[
        float | None,
        typer.Option(parser=time_s, metavar="TIME", help="Events of each recording up to here."),
    ] = None
    between: Annotated[
        str | None,
        typer.Option(
            metavar="HH:MM-HH:MM",
            help="Events in this part of each day; recordings outside of it are not read.",
        ),
    ] = None
    recordings: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE",
            help="Table with recording, starts_at, site, latitude, longitude; goes before what "
            "files say.",
        ),
    ] = None
    timezone: Annotated[
        str,
        typer.Option(metavar="ZONE", help="Zone of times without one: Europe/Helsinki, or +02:00."),
    ] = ""
    names_are: Annotated[
        str, typer.Option(metavar="utc|local", help="What the times in file names are.")
    ] = ""
    time_pattern: Annotated[
        str,
        typer.Option(
            metavar="REGEX", help="Finds the time in file names, by groups named date and time."
        ),
    ] = ""
    site_pattern: Annotated[
        str,
        typer.Option(metavar="REGEX", help="Finds the site in paths, by a group named site."),
    ] = ""

    def hearing(self) -> Hearing:
        """Return how recordings are heard.

        Raises:
            typer.BadParameter: A value is outside its range.
        """
        from earful.index.recordings import Hearing

        channel: str | int = int(self.channel) if self.channel.isdecimal() else self.channel
        try:
            return Hearing(
                low_hz=self.fmin_hz, high_hz=self.fmax_hz, slow=self.slow, channel=channel
            )
        except ValueError as error:
            option = {"low_hz": "--fmin-hz", "slow": "--slow", "channel": "--channel"}
            hint = next(name for key, name in option.items() if str(error).startswith(key))
            raise typer.BadParameter(str(error), param_hint=hint) from None

    def part(self) -> ScanPart:
        """Return the part of recordings or days in which events count.

        Raises:
            CorpusError: It is none.
        """
        from earful.rag.scan import ScanPart

        return ScanPart.between(self.between, from_s=self.from_s, to_s=self.to_s)

    def options(
        self,
        *,
        vectors: Path | None,
        keep_scores: bool,
        jobs: int | None,
        device: str,
        allow_outside: bool,
    ) -> ScanOptions:
        """Return them with the other choices of a scan.

        Raises:
            typer.BadParameter: A zone, a pattern or another value is none.
        """
        from earful.commands.options import one_of
        from earful.errors import AudioError
        from earful.model.audio.recorders import RecorderOptions
        from earful.rag.scan import ScanOptions

        utc_or_local: NamesAre | None = None
        if self.names_are:
            choices: tuple[NamesAre, ...] = ("utc", "local")
            utc_or_local = one_of(choices, self.names_are, "--names-are")
        try:
            recorders = RecorderOptions(
                timezone=self.timezone or None,
                names_are=utc_or_local,
                time_pattern=self.time_pattern or None,
                site_pattern=self.site_pattern or None,
            )
        except AudioError as error:
            raise typer.BadParameter(str(error)) from None
        return ScanOptions(
            hearing=self.hearing(),
            part=self.part(),
            recorders=recorders,
            recordings=self.recordings,
            vectors=vectors,
            keep_scores=keep_scores,
            jobs=jobs,
            device=device,
            allow_outside=allow_outside,
        )


def _number(text: str, given: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise typer.BadParameter(
            f"expected VALUE or LABEL=VALUE with a finite number, got {given!r}",
            param_hint="--threshold",
        )
    return value
