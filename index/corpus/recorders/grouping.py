"""Groups of rows that name none: by a pattern in their paths, or the sites of their recorders.

What was recorded at one place shares its background, so that a recording from there is found by
its wind rather than by its owl. With the site as group, evaluation keeps a site apart. That is done
by itself only where it helps: where there are several sites, and labels that occur at several of
them. Prefixes that are labels (``dog_20260503_043000.wav``) are no sites.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

from earful.errors import CorpusError
from earful.index.corpus.exemplar import CorpusRow, to_nfc
from earful.model.audio.recorders import read_recorder_site
from earful.wording import counted, listed, quoted

GroupBy = Literal["auto", "site", "none"]
_ReadRows = Callable[[], Generator[CorpusRow, None, None]]

_WAYS: Final = ("auto", "site", "none")
_MOST_REMEMBERED: Final = 200_000
# Less than this share of the labels at several sites, and most could not be answered.
_LEAST_SHARED: Final = 0.5
# Less than this share of the recordings with a site, and it is no corpus of field recordings.
_WORTH_A_NOTE: Final = 0.5
_MOST_NAMED: Final = 5


class Grouping:
    """How rows get a group if no column gives one.

    Attributes:
        n_without: Rows of the last pass that the pattern did not match.
    """

    def __init__(
        self, *, pattern: str = "", by: GroupBy = "none", advise_options: bool = True
    ) -> None:
        """Say how.

        Args:
            pattern: Regular expression that finds the group in the path of the audio: its first
                group, or all that it matches; ``""`` for none.
            by: ``"site"`` for the site that a recorder wrote into the file or its name,
                ``"auto"`` for that where it helps, ``"none"``. A pattern goes first.
            advise_options: Whether messages may name options of commands.

        Raises:
            CorpusError: The pattern is none, or the way is unknown.
        """
        if by not in _WAYS:
            raise CorpusError(f"group by {quoted(by)}: expected one of {listed(_WAYS)}")
        try:
            self._pattern = re.compile(pattern) if pattern else None
        except re.error as error:
            raise CorpusError(
                f"group pattern {quoted(pattern)}: {error}; expected a regular expression"
            ) from error
        self._by = by
        self._advise_options = advise_options
        self._remembered: dict[Path, str] = {}
        self._found: _Sites | None = None
        self._pass = _Sites()
        self._n_own = 0
        self.n_without = 0

    def begin(self) -> None:
        """Begin a pass over the rows."""
        self.n_without, self._n_own, self._pass = 0, 0, _Sites()

    def group(self, row: CorpusRow, root: Path, rows: _ReadRows) -> CorpusRow:
        """Return a row with its group.

        Args:
            row: As it was read.
            root: Folder that its audio is relative to.
            rows: Reads all rows of the corpus from its start.
        """
        if row.exemplar.group:
            self._n_own += 1
            return row
        if self._pattern is not None:
            found = self._pattern.search(str(row.exemplar.audio))
            group = "" if found is None else found[1 if self._pattern.groups else 0] or ""
            self.n_without += not group
            if group:
                self._pass.sites[group] = self._pass.sites.get(group, 0) + 1
            return _with_group(row, group)
        site = self._site(row, root)
        self._pass.add(row, site)
        if not site:
            return row
        if self._by == "auto":
            if self._found is None:
                self._found = self._survey(root, rows)
            if self._found.reason():
                return row
        return _with_group(row, site)

    def notes(self) -> list[str]:
        """Return what was made of the pattern, or of the recordings' sites, in sentences."""
        return [*self._own_notes(), *self._notes_of_found()]

    def _own_notes(self) -> list[str]:
        """Say so where the corpus has groups, and others were asked for."""
        if not self._n_own or (self._pattern is None and self._by != "site"):
            return []
        if self._pattern is None:
            asked = "--group-by site" if self._advise_options else "group_by='site'"
        else:
            asked = "--group-pattern" if self._advise_options else "group_pattern"
        rows = counted(self._n_own, "row")
        keep = "keeps" if self._n_own == 1 else "keep"
        return [f"{rows} with a group in the corpus {keep} it; {asked} is for rows without one"]

    def _notes_of_found(self) -> list[str]:
        seen = self._pass
        if self._pattern is not None:
            return self._pattern_notes(seen)
        if self._by == "none":
            return []
        if not seen.sites:
            return ["no recording carries a site, so none is a group"] if self._by == "site" else []
        named = seen.named("site")
        reason = "" if self._by == "site" or self._found is None else self._found.reason()
        if not reason:
            option = (
                "; to keep each file a group of its own: --group-by none"
                if self._advise_options and self._by == "auto"
                else ""
            )
            return [f"group is the site in the recordings' metadata or names: {named}{option}"]
        if seen.n_sited < _WORTH_A_NOTE * seen.n_recordings:
            return []
        option = "; to do so: --group-by site" if self._advise_options else ""
        return [f"recordings carry {named}, which are not made groups, as {reason}{option}"]

    def _pattern_notes(self, seen: _Sites) -> list[str]:
        if not seen.sites:
            return []
        what = "--group-pattern" if self._advise_options else "group_pattern"
        note = f"group is what {what} finds in the path: {seen.named('group')}"
        if len(seen.sites) > 1 or self.n_without:
            return [note]
        return [f"{note}; with one group alone no recording is left to answer another"]

    def _site(self, row: CorpusRow, root: Path) -> str:
        """Return the site of a row's recording; ``""`` for one that is not to be read."""
        if self._by == "none" or row.fault:
            return ""
        path = root / row.exemplar.audio
        site = self._remembered.get(path)
        if site is None:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            site = self._remembered[path] = read_recorder_site(path)
        labels = {_folded(label) for label in row.exemplar.labels}
        return "" if self._by == "auto" and _folded(site) in labels else site

    def _survey(self, root: Path, rows: _ReadRows) -> _Sites:
        """Count the sites of a whole corpus; what is wrong with it is said by whoever reads it."""
        found = _Sites()
        try:
            with closing(rows()) as all_rows:
                for row in all_rows:
                    if not row.exemplar.group:
                        found.add(row, self._site(row, root))
        except CorpusError:
            pass
        return found


@dataclass(slots=True)
class _Sites:
    """Sites of recordings, and the labels that occur there."""

    sites: dict[str, int] = field(default_factory=dict)  # recordings of each, or rows
    n_recordings: int = 0
    n_sited: int = 0
    _sites_of: dict[str, set[str]] = field(default_factory=dict)  # of each label
    _last_audio: str = ""

    def add(self, row: CorpusRow, site: str) -> None:
        audio = str(row.exemplar.audio)
        if audio != self._last_audio:
            self._last_audio = audio
            self.n_recordings += 1
            if site:
                self.n_sited += 1
                self.sites[site] = self.sites.get(site, 0) + 1
        if site:
            for label in row.exemplar.labels or ("",):
                self._sites_of.setdefault(label, set()).add(site)

    def named(self, what: str) -> str:
        """Return how many there are, and the first names."""
        more = ", …" if len(self.sites) > _MOST_NAMED else ""
        return (
            f"{counted(len(self.sites), what)} ({listed(sorted(self.sites)[:_MOST_NAMED])}{more})"
        )

    def reason(self) -> str:
        """Say why sites are better no groups; ``""`` where they help."""
        if len(self.sites) < 2:
            return "with one group alone no recording is left to answer another"
        if len(self.sites) == self.n_sited:
            return "each has one recording, which is a group of its own already"
        n_shared = sum(len(sites) > 1 for sites in self._sites_of.values())
        if n_shared < _LEAST_SHARED * len(self._sites_of):
            return (
                f"{len(self._sites_of) - n_shared} of {counted(len(self._sites_of), 'label')} "
                "occur at one site only, so that no other could answer"
            )
        return ""


def _with_group(row: CorpusRow, group: str) -> CorpusRow:
    return replace(row, exemplar=replace(row.exemplar, group=to_nfc(group)))


def _folded(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()
