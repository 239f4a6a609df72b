"""Rehearsal: what a scan would read, decode and keep, without writing anything."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from earful.errors import AudioError, MissingExtraError
from earful.index.recordings import STORE_FILE, Encoder, StepStore, find_recordings
from earful.model import DEFAULT_EMBEDDER, load_step_embedder
from earful.model.audio import ANY_LENGTH, probe_isolated
from earful.rag.scan.clock import Clocks
from earful.rag.scan.examples import ExampleSources, gather_examples
from earful.rag.scan.result_folder import VECTORS
from earful.rag.scan.scanner import ScanOptions
from earful.rag.scan.settings import ScanSettings
from earful.values import short_repr


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanPlan:
    """What a scan would do.

    Attributes:
        n_recordings: Recordings that were asked for.
        total_s: Seconds of those that can be read.
        n_kept: Recordings whose steps are kept already.
        n_missing: Recordings that would be decoded, with those that hold examples.
        n_missing_examples: Those of them that were not asked for, and only hold examples.
        missing_s: Seconds of them.
        missing_bytes: Bytes that would be kept of them.
        examples: Each label, with its positive and its negative examples.
        skipped: Recordings that would not be read, with the reasons.
        failed: Recordings whose headers cannot be read, with the reasons.
        notes: What a reader should know.
    """

    n_recordings: int
    total_s: float
    n_kept: int
    n_missing: int
    n_missing_examples: int
    missing_s: float
    missing_bytes: int
    examples: tuple[tuple[str, int, int], ...]
    skipped: tuple[tuple[str, str], ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return asdict(self)


def rehearse_scan(
    paths: Sequence[str | os.PathLike[str]],
    *,
    examples: ExampleSources,
    out: str | os.PathLike[str],
    embedder: str = DEFAULT_EMBEDDER,
    settings: ScanSettings | None = None,
    options: ScanOptions | None = None,
) -> ScanPlan:
    """Check what a scan is given, and count what it would do; see ``scan``.

    Raises:
        CorpusError: As for ``scan``, but for examples that lie outside of their recordings.
        ScanMismatchError: As for ``scan``.
        ScanError: The kept steps cannot be read.
    """
    settings, options = settings or ScanSettings(), options or ScanOptions()
    found = find_recordings(paths, allow_outside=options.allow_outside)
    gathered = gather_examples(examples, [one.path for one in found if not one.skipped])
    clocks = Clocks([one.path for one in found], options.recorders, options.recordings)
    encoder = Encoder(load_step_embedder(embedder, device=options.device), options.hearing)
    folder = Path(out) / VECTORS if options.vectors is None else Path(options.vectors)
    store = StepStore(folder, encoder.settings)
    if (folder / STORE_FILE).exists():
        StepStore.open(folder).require(encoder.settings)
    planned = clocks.plan_all(found, options.part, jobs=options.jobs)
    skipped = tuple((one.path, one.skipped) for one in planned if one.skipped)
    failed: list[tuple[str, str]] = []
    asked = {one.path for one in planned if not one.skipped}
    missing: dict[str, float] = {}
    n_missing_examples = 0
    total_s, n_kept = 0.0, 0
    for path in dict.fromkeys([*asked, *(one.path for one in gathered.marked)]):
        try:
            key, _ = store.key(path, limits=ANY_LENGTH)
            if key in store:
                n_kept += path in asked
                duration_s = store.about(key).duration_s or 0.0
            else:
                duration_s = probe_isolated(path, limits=ANY_LENGTH).duration_s
                n_missing_examples += key not in missing and path not in asked
                missing[key] = duration_s
        except (AudioError, MissingExtraError) as error:
            failed.append((path, str(error).removeprefix(f"{path}: ")))
            continue
        total_s += duration_s * (path in asked)
    positives: Counter[str] = Counter()
    negatives: Counter[str] = Counter()
    for marked in gathered.marked:
        for one in marked.annotations:
            positives[one.label] += one.polarity == "positive"
            negatives[one.label] += one.polarity == "negative"
        for stretch in marked.stretches:
            positives.update(stretch.labels)
            negatives.update(stretch.not_labels)
    return ScanPlan(
        n_recordings=len(planned),
        total_s=round(total_s, 3),
        n_kept=n_kept,
        n_missing=len(missing),
        n_missing_examples=n_missing_examples,
        missing_s=round(sum(missing.values()), 3),
        missing_bytes=sum(store.bytes_missing(one) for one in missing.values()),
        examples=tuple((label, positives[label], negatives[label]) for label in gathered.labels),
        skipped=skipped,
        failed=tuple(failed),
        notes=(*gathered.notes, *clocks.notes),
    )
