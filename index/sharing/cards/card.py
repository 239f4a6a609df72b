"""Card of a shared index: what it is, how to use it, what it lacks; counted, never claimed.

The front matter is what the hub reads. Texts of the corpus stand in spans of code: they come from
whoever made it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from earful.errors import SharingError
from earful.index.health import check_health, counted_kind, doubt, summary
from earful.index.sharing.cards.evaluation import Evaluated, EvaluationFigures
from earful.index.sharing.cards.markdown import code, counted_list, front_matter
from earful.index.sharing.contents import Contents, count_contents
from earful.index.sharing.licences import NO_LICENCE, AllowedLicences, hub_licence, needs_author
from earful.index.sharing.package import (
    ChosenAudio,
    Package,
    authors_of,
    choose_audio,
    left_out_of,
    travelling_fingerprint,
)
from earful.index.sharing.records import PulledRecord
from earful.index.sharing.trust import trusted_name
from earful.plain import plain_fields
from earful.values import short_repr
from earful.wording import as_argument, counted, duration_text

if TYPE_CHECKING:
    from earful.index.index import Index
    from earful.model import Fingerprint

PLACEHOLDER: Final = "ORG/NAME"
_MOST_LABELS: Final = 50
_MOST_LICENCES: Final = 30
_MOST_AUTHORS: Final = 1000
_MOST_SOURCES: Final = 30
# Beyond, neighbours of all rows take minutes.
_MOST_CHECKED: Final = 20_000
_SIZES: Final = (
    (10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"),
    (10**7, "1M<n<10M"), (10**8, "10M<n<100M"), (10**9, "100M<n<1B"), (10**10, "1B<n<10B"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexCard:
    """Card of an index, as it would be pushed.

    Attributes:
        text: The whole ``README.md``.
        missing: What a reader will look for and not find, each with what to do about it.
        licences: Rows by the licence's usual name.
        refused: Rows whose recordings stay, by the reason; none where no audio is asked for.
        embedder: Name of an embedder that does not come with earful, which a pull has to name;
            else empty.
    """

    text: str
    missing: tuple[str, ...]
    licences: Mapping[str, int] = field(hash=False)
    refused: Mapping[str, int] = field(hash=False)
    embedder: str

    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return plain_fields(self)


def index_card(
    index: Index,
    *,
    place: str = PLACEHOLDER,
    with_audio: bool = False,
    allow_licences: tuple[str, ...] | list[str] = (),
    evaluation: Evaluated | None = None,
) -> IndexCard:
    """Write the card of an index, as ``push_index`` would push it; nothing is sent.

    Args:
        index: An open index.
        place: Where it is to be pushed, for the commands on the card.
        with_audio: Whether recordings come along, where their licence allows it.
        allow_licences: Further licences whose recordings may come along.
        evaluation: A finished evaluation, such as ``load_evaluation`` returns, whose figures the
            card shows with their baselines.

    Raises:
        IndexFolderError: A file of the table is damaged.
        SharingError: The index has no rows, or the evaluation is of another embedder or
            of another index.
        ValueError: A licence to allow is empty.
    """
    if not len(index):
        raise SharingError(f"{index.path}: {index.why_empty()}")
    allowed = AllowedLicences.of(allow_licences)
    audio = choose_audio(index, allowed) if with_audio else ChosenAudio()
    return _Card(
        index=index,
        contents=count_contents(index),
        audio=audio,
        left_out=left_out_of(index, audio, with_audio=with_audio),
        pulled=PulledRecord.find(index.path),
        place=place,
        with_audio=with_audio,
        figures=None if evaluation is None else EvaluationFigures.of(evaluation),
    ).made()


def package_card(
    package: Package, *, place: str, with_audio: bool, evaluation: Evaluated | None
) -> IndexCard:
    """Write the card of a package; arguments as for ``index_card``."""
    return _Card(
        index=package.index,
        contents=package.contents,
        audio=package.audio,
        left_out=package.left_out,
        pulled=package.pulled,
        place=place,
        with_audio=with_audio,
        figures=None if evaluation is None else EvaluationFigures.of(evaluation),
    ).made()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Card:
    """All that a card is made of."""

    index: Index
    contents: Contents
    audio: ChosenAudio
    left_out: tuple[str, ...]
    pulled: PulledRecord | None
    place: str
    with_audio: bool
    figures: EvaluationFigures | None

    def made(self) -> IndexCard:
        figures, weights = self.figures, self._made_by.weights_sha256
        n_gone = 0 if figures is None else figures.require_of(self.index, weights)
        sections = [
            *self._what(), *self._how(), *self._rows(), *self._sources(), *self._licences(),
            *self._embedder(), *self._health(), *self._evaluation(n_gone), *self._absent(),
            *self._format(),
        ]  # fmt: skip
        return IndexCard(
            text=front_matter(self._front()) + "\n" + "\n".join(sections) + "\n",
            missing=tuple(self._missing()),
            licences=self.contents.licences,
            refused=self.audio.refused,
            embedder=trusted_name(self._made_by),
        )

    @property
    def _made_by(self) -> Fingerprint:
        return travelling_fingerprint(self.index)

    @property
    def _title(self) -> str:
        at_place = "" if self.place == PLACEHOLDER else self.place.rstrip("/").rpartition("/")[2]
        return (at_place or self.index.path.resolve().name).removesuffix(".index") or "index"

    def _front(self) -> dict[str, Any]:
        names = sorted({hub_licence(name) for name in self.contents.licences})
        stated = [name for name in names if name != "unknown"] or names
        values: dict[str, Any] = {
            "pretty_name": _plain(self._title),
            "license": stated[0] if len(stated) == 1 else stated,
        }
        if "other" in stated:
            values["license_name"] = "licences-of-the-recordings"
        if self.contents.languages:
            values["language"] = list(self.contents.languages)
        return {
            **values,
            "tags": ["earful", "audio", "retrieval", "embeddings", "few-shot"],
            "task_categories": ["audio-classification"],
            "size_categories": [
                next((name for most, name in _SIZES if self.contents.n < most), "n>10B")
            ],
            # The hub would take the table or the recordings for a data set of another form.
            "viewer": False,
        }

    def _what(self) -> list[str]:
        found = self.contents
        labels = counted(len(found.labels), "label")
        audio = (
            f"{counted(len(self.audio.recordings), 'recording')} came along"
            if self.with_audio
            else "the recordings themselves are not here"
        )
        return [
            f"# {_heading(self._title)}",
            "",
            "An index of labelled sounds for [earful](https://pypi.org/project/earful/), which "
            "answers questions about recordings by the most similar exemplars.",
            "",
            f"It holds {counted(found.n, 'row')} with {labels}, {duration_text(found.total_s)} of "
            f"audio in all, each as a vector with its labels; {audio}.",
            "",
        ]

    def _how(self) -> list[str]:
        folder = as_argument(f"{self._slug}.index")
        trust = trusted_name(self._made_by)
        named = f" --embedder {as_argument(trust)}" if trust else ""
        # A language model listens to exemplars; the vote does not.
        alone = "" if len(self.audio.ids) == self.contents.n else " --model none"
        return [
            "## How to use it",
            "",
            "```sh",
            "pip install earful",
            f"earful index pull {as_argument(self.place)} --index {folder}{named}",
            f"earful classify recording.wav --index {folder}{alone}",
            "```",
            "",
            "A pull compares every file and every row with its digest, and keeps which commit it "
            "came from.",
            "",
        ]

    @property
    def _slug(self) -> str:
        return re.sub(r"[^\w.-]", "-", self._title).lstrip("-.") or "pulled"

    def _rows(self) -> list[str]:
        found = self.contents
        lines = [
            "## Rows and labels",
            "",
            *counted_list(found.labels, most=_MOST_LABELS, one="row", more="label"),
        ]
        if found.not_labels:
            lines += [
                "",
                f"Rows that say of a label that it is **not** there ({found.n_negative:,} say "
                "nothing else):",
                "",
                *counted_list(found.not_labels, most=_MOST_LABELS, one="row", more="label"),
            ]
        if found.splits:
            lines += ["", "Splits:", ""]
            lines += counted_list(found.splits, most=10, one="row", more="split")
        notes = []
        if found.n_groups:
            notes.append(f"{counted(found.n_groups, 'group')} of recordings that belong together")
        if found.n_with_answer:
            notes.append(f"{counted(found.n_with_answer, 'row')} with an answer in words")
        if notes:
            lines += ["", f"{'; '.join(notes)}."]
        if found.columns:
            shown = ", ".join(code(name) for name in list(found.columns)[:20])
            lines += ["", f"Further columns of its corpus, which travel with the rows: {shown}."]
        return [*lines, ""]

    def _sources(self) -> list[str]:
        found = self.contents
        lines = ["## Sources and authors", ""]
        if self.pulled is not None:
            lines += [
                f"Made from {code(self.pulled.place)}, pulled at {code(self.pulled.revision)}.",
                "",
            ]
        if found.sources:
            lines += counted_list(found.sources, most=_MOST_SOURCES, one="row", more="source")
        else:
            lines.append("No row names its source.")
        credited = authors_of(self.audio)
        if credited:
            lines += ["", "Recordings that came along, by author and licence:", ""]
            lines += counted_list(
                credited, most=_MOST_AUTHORS, one="recording", more="author in ATTRIBUTION.csv"
            )
            lines.append("- each recording with its author and source: `ATTRIBUTION.csv`")
        elif found.authors:
            lines += ["", "Authors:", ""]
            lines += counted_list(found.authors, most=_MOST_SOURCES, one="row", more="author")
        return [*lines, ""]

    def _licences(self) -> list[str]:
        lines = [
            "## Licences",
            "",
            "Licences of the recordings, as their rows state them:",
            "",
            *counted_list(self.contents.licences, most=_MOST_LICENCES, one="row", more="licence"),
        ]
        if self.audio.refused:
            lines += ["", "Recordings that did not come along, by the reason:", ""]
            lines += counted_list(self.audio.refused, most=_MOST_LICENCES, one="row", more="reason")
        return [*lines, ""]

    def _embedder(self) -> list[str]:
        made = self._made_by
        licence = _embedder_licence(made.name)
        of_weights = (
            code(licence) if licence else "unknown" if made.weights_sha256 else "there are none"
        )
        return [
            "## Embedder",
            "",
            f"Vectors of {made.dim} numbers by {code(made.name)}"
            + (f", revision {code(made.revision)}" if made.revision else "")
            + f", in {code(made.dtype)}, at {made.sample_rate:,} Hz.",
            "",
            f"- weights, SHA-256: {code(made.weights_sha256 or 'none')}",
            f"- windows: {code(made.windowing)}; resampler: {code(made.resampler)}",
            f"- licence of the weights: {of_weights}",
            "",
            "earful refuses to compare these vectors with those of any other embedder.",
            "",
        ]

    def _health(self) -> list[str]:
        lines = ["## Health", ""]
        if self.contents.n > _MOST_CHECKED:
            lines.append(
                f"Not checked: the index has more than {_MOST_CHECKED:,} rows. `earful index "
                "health` does it."
            )
        elif self.index.why_empty():
            lines.append("Not checked: no row has a label.")
        else:
            found = check_health(self.index, audio=False)
            kinds = ", ".join(counted_kind(n, kind) for kind, n in found.n_of.items())
            lines.append(f"{summary(found)}{f' ({kinds})' if kinds else ''}.")
            if caveat := doubt(found):
                lines += ["", f"Mind: {caveat}."]
        return [*lines, ""]

    def _evaluation(self, n_gone: int) -> list[str]:
        lines = ["## Evaluation", ""]
        found = self.figures
        if found is None:
            return [*lines, "None was given.", ""]
        lines += [
            f"Task {code(found.task)}, {counted(found.n_items, 'recording')}, "
            f"{counted(found.n_exemplars, 'exemplar')}; {code(found.metric)} with its 95 % "
            "interval, baselines and controls among the ways to answer:",
            "",
            *(
                f"- {code(name)}: {value:.3f} ({low:.3f} to {high:.3f})"
                for name, value, low, high in found.arms
            ),
            "",
            code(found.verdict, most=1000),
            "",
        ]
        if n_gone:
            answered = counted(len(found.answered_by), "exemplar")
            gone = counted(n_gone, "is", "are")
            lines += [f"Of the {answered} that answered, {gone} no longer in the index.", ""]
        return lines

    def _absent(self) -> list[str]:
        return [
            "## What is not here",
            "",
            *(f"- {told}" for told in map(_told, self.left_out)),
            "",
            "A vector is not a recording, but it may give something about it away: whoever has a "
            "recording can tell whether it, or one much like it, is in here, and models may guess "
            "from a vector what was heard.",
            "",
        ]

    def _format(self) -> list[str]:
        from importlib.metadata import version

        return [
            "## Format",
            "",
            f"Index format {self.index.info.format}, written by earful {version('earful')}. Before "
            "it was pushed, every file of its table and every row was compared with its digest; "
            "`checksums.txt` lists the files in the form of `sha256sum`.",
        ]

    def _missing(self) -> list[str]:
        found, told = self.contents, []
        if found.n_without_licence:
            told.append(
                f"{counted(found.n_without_licence, 'row states', 'rows state')} no licence: give "
                "the corpus a column `licence`"
            )
        unknown = [
            name for name in found.licences if name != NO_LICENCE and hub_licence(name) == "other"
        ]
        if unknown:
            told.append(
                f"{counted(len(unknown), 'licence is', 'licences are')} none that the hub knows, "
                f"such as {unknown[0][:80]!r}"
            )
        if found.n_without_author:
            told.append(
                f"{counted(found.n_without_author, 'row names', 'rows name')} no author: give the "
                "corpus a column `author`"
                + (
                    ", without which recordings under CC-BY stay"
                    if any(map(needs_author, found.licences))
                    else ""
                )
            )
        if found.n_without_source:
            told.append(
                f"{counted(found.n_without_source, 'row names', 'rows name')} no source: give the "
                "corpus a column `source`"
            )
        if self.figures is None:
            told.append("no evaluation: give --evaluation RUN.json of `earful evaluate`")
        return told


def _embedder_licence(name: str) -> str:
    from earful.model import list_embedders

    return next((one.licence for one in list_embedders() if one.name == name), "")


def _plain(text: str) -> str:
    return "".join(char for char in text if char.isprintable())[:100].strip() or "index"


def _heading(text: str) -> str:
    """Return a text for a heading: letters, digits and a few marks that Markdown passes over."""
    return " ".join(re.sub(r"[^\w .,-]", " ", _plain(text)).split()) or "index"


def _told(text: str) -> str:
    """Return a line about what stays behind; the reason in it may be a corpus's own text."""
    before, colon, reason = text.partition(": ")
    return f"{before}: {code(reason)}" if colon else before
