"""Package: a temporary copy of an index, fit to travel.

One version of the table, without caches, locks, lists of rejected files and absolute paths; every
row keeps its id and digest. Recordings come along only where they are asked for, unchanged, and
their licence allows it.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING, Final

from earful.errors import SharingError
from earful.files import NO_ROOM
from earful.index.index import Index
from earful.index.labels import journal_path
from earful.index.maintenance import formula_safe, verify_index
from earful.index.sharing.contents import Contents, count_contents, origins_of
from earful.index.sharing.layout import (
    ATTRIBUTION_NAME,
    AUDIO_FOLDER,
    KEPT_FOLDER,
    SharedFile,
    files_of_share,
    is_part,
    path_fault,
)
from earful.index.sharing.licences import NO_LICENCE, AllowedLicences, licence_name, needs_author
from earful.index.sharing.records import (
    PulledRecord,
    SharedRecord,
    recordings_digest,
    rows_digest,
)
from earful.index.sharing.trust import require_plain_rows
from earful.index.storage import (
    TABLE_FOLDER,
    IndexFolder,
    Root,
    Table,
    audio_paths,
    table_schema,
)
from earful.model.runtime import sha256_of
from earful.system import folded_name
from earful.wording import as_argument, counted, listed, quoted

if TYPE_CHECKING:
    import pyarrow as pa

    from earful.model import Fingerprint

_MISSING: Final = "the recording is missing"
_OUTSIDE: Final = "the recording lies outside its corpus root"
_ODD_NAME: Final = "the recording has a name that not every system can hold"
_SAME_NAME: Final = "another recording's name differs only in case"
_SAME_FILE: Final = "another row of the recording may not be passed on"
# Everything of a row in which a path of this machine can stand.
_TEXTS: Final = (
    *("id", "audio", "question", "answer", "labels", "task", "split", "group", "licence", "meta"),
)
# In regular expressions of paths in texts.
_BEGINS_PATH: Final = r"(?:(?<![\w.~/\\-])|(?<=file://))"
_ENDS_PART: Final = r"(?![\w-])"
_NOTHING: Final = r"(?!)"
_CHOICE_COLUMNS: Final = ("id", "audio", "root", "licence", "meta", "file_sha256")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A recording that comes along.

    Attributes:
        name: Its path in the package.
        path: Where it lies now.
        sha256: Hex digest of its bytes, as its rows state it.
        licence: The licence's usual name.
        author: Who made it; may be empty.
        source: Where it came from; may be empty.
    """

    name: str
    path: Path
    sha256: str
    licence: str
    author: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenAudio:
    """Recordings that may be passed on, and why all others may not.

    Attributes:
        recordings: Those that come along.
        ids: Ids of their rows.
        refused: Rows whose recordings stay, by the reason.
    """

    recordings: tuple[Recording, ...] = ()
    ids: frozenset[str] = frozenset()
    refused: Mapping[str, int] = field(default_factory=dict)

    @property
    def n_bytes(self) -> int:
        """Size of all recordings."""
        return sum(recording.path.stat().st_size for recording in self.recordings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A copy of an index that is fit to travel.

    Attributes:
        folder: Where it lies.
        index: The copy, verified.
        record: What it says of itself.
        contents: What its rows say.
        audio: The recordings that came along.
        left_out: What stays behind, in words.
        pulled: Where the index itself was pulled from; ``None`` for one that was built here.
    """

    folder: Path
    index: Index
    record: SharedRecord
    contents: Contents
    audio: ChosenAudio
    left_out: tuple[str, ...]
    pulled: PulledRecord | None

    @property
    def files(self) -> tuple[SharedFile, ...]:
        """The files to send, by name."""
        return tuple(file for file in files_of_share(self.folder) if is_part(file.name))


def choose_audio(index: Index, allowed: AllowedLicences) -> ChosenAudio:
    """Choose the recordings that may be passed on.

    A recording of several rows comes along only if every one of them allows it.

    Raises:
        IndexFolderError: A file of the table is damaged.
    """
    table = index.read_table(_CHOICE_COLUMNS)
    roots = index.roots()
    columns = [table.column(name).to_pylist() for name in _CHOICE_COLUMNS if name != "meta"]
    paths = audio_paths(table, roots)
    reasons: dict[str, str] = {}
    rows_of: dict[tuple[int, str], list[str]] = {}
    found: dict[tuple[int, str], Recording] = {}
    for id_, audio, number, licence, sha256, path, origin in zip(
        *columns, paths, origins_of(table), strict=True
    ):
        name = f"{AUDIO_FOLDER}/{number}/{audio}"
        reason = allowed.refusal(licence, author=origin.author)
        if not reason and path_fault(name):
            reason = _ODD_NAME
        elif not reason and not path.is_relative_to(os.path.realpath(roots[number])):
            reason = _OUTSIDE
        elif not reason and not path.is_file():
            reason = _MISSING
        reasons[id_] = reason
        rows_of.setdefault((number, audio), []).append(id_)
        found[number, audio] = Recording(
            name=name,
            path=path,
            sha256=sha256,
            licence=licence_name(licence),
            author=origin.author,
            source=origin.source,
        )
    # Where case is folded one would replace the other, so that every pull refuses both.
    folded = Counter(folded_name(recording.name) for recording in found.values())
    for key, ids in rows_of.items():
        if folded[folded_name(found[key].name)] > 1:
            reasons |= {id_: reasons[id_] or _SAME_NAME for id_ in ids}
        if any(reasons[id_] for id_ in ids):
            reasons |= {id_: reasons[id_] or _SAME_FILE for id_ in ids}
    kept = [key for key, ids in rows_of.items() if not reasons[ids[0]]]
    refused = Counter(reason for reason in reasons.values() if reason)
    return ChosenAudio(
        recordings=tuple(found[key] for key in sorted(kept)),
        ids=frozenset(id_ for key in kept for id_ in rows_of[key]),
        refused=dict(sorted(refused.items(), key=lambda item: (-item[1], item[0]))),
    )


def pack_index(
    index: Index,
    folder: Path,
    *,
    allowed: AllowedLicences | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Package:
    """Copy an index into an empty folder, so that it can travel, and verify the copy.

    Args:
        index: An open index.
        folder: An empty folder.
        allowed: Licences whose recordings come along; ``None`` for no recordings.
        progress: Called with the number of rows verified and the number of all.

    Raises:
        SharingError: The index has no rows, is damaged, or its rows hold paths of this machine; or
            a recording has changed since it was embedded.
        IndexFolderError: A file of the table is damaged, or the folder cannot be written.
    """
    import pyarrow as pa

    source = index._folder
    if not len(index):
        raise SharingError(f"{index.path}: {index.why_empty() or 'it holds no rows'}")
    _require_no_paths(index)
    audio = ChosenAudio() if allowed is None else choose_audio(index, allowed)
    pulled = PulledRecord.find(index.path)
    n_roots = len(source.header.roots)
    homes = [f"{AUDIO_FOLDER}/{number}" for number in range(n_roots)]
    if allowed is not None:
        homes += [f"{KEPT_FOLDER}/{number}" for number in range(n_roots)]
    fingerprint = travelling_fingerprint(index)
    schema = table_schema(fingerprint, source.n_classes, not_labels=source.table.has_not_labels)
    _require_room(index, folder, audio)

    def rows(batches: Iterator[pa.RecordBatch]) -> Table:
        # Called once more where another process compacts the index meanwhile.
        shutil.rmtree(folder / TABLE_FOLDER, ignore_errors=True)
        travelling = (
            _travelling(batch, schema, audio.ids if allowed is not None else None, n_roots)
            for batch in batches
        )
        reader = pa.RecordBatchReader.from_batches(schema, travelling)
        return Table.create(folder, fingerprint, source.n_classes, rows=reader)

    table = source.table.consume(schema.names, rows)
    header = replace(
        source.header,
        fingerprint=fingerprint,
        roots=tuple(Root(absolute="", relative=home) for home in homes),
    )
    header.write(folder)
    # Its counts are a summary, which a kill may have left behind the table.
    IndexFolder(folder, header, table).renew_summaries()
    _copy_audio(audio, folder)
    packed = Index.open(folder)
    require_plain_rows(packed, str(index.path))
    report = verify_index(packed, progress=progress)
    if report.problems:
        first = report.problems[0]
        raise SharingError(
            f"{index.path}: {counted(len(report.problems), 'problem')} found, the first: "
            f"{first.id or first.audio}: {first.what}. Nothing was pushed; `earful index verify "
            f"{as_argument(index.path)}` lists them"
        )
    from importlib.metadata import version

    record = SharedRecord(
        earful=version("earful"),
        n=len(packed),
        rows_sha256=rows_digest(packed),
        recordings_sha256=recordings_digest({one.name: one.sha256 for one in audio.recordings}),
    )
    record.write(folder)
    return Package(
        folder=folder,
        index=packed,
        record=record,
        contents=count_contents(packed),
        audio=audio,
        left_out=left_out_of(index, audio, with_audio=allowed is not None),
        pulled=pulled,
    )


def travelling_fingerprint(index: Index) -> Fingerprint:
    """Return the fingerprint of an index without the folder that its embedder lies in here.

    The digest of the weights says which they are.
    """
    made = index.fingerprint
    is_folder = Path(made.name).is_absolute()
    return replace(made, name=Path(made.name).name) if is_folder else made


def _travelling(
    batch: pa.RecordBatch,
    schema: pa.Schema,
    with_audio: frozenset[str] | None,
    n_roots: int,
) -> pa.RecordBatch:
    """Return a batch with the numbers of the roots that its rows have from now on."""
    import pyarrow as pa

    columns = {name: batch.column(name) for name in schema.names}
    if with_audio is not None:
        ids, numbers = (batch.column(name).to_pylist() for name in ("id", "root"))
        moved = [
            number if id_ in with_audio else n_roots + number
            for id_, number in zip(ids, numbers, strict=True)
        ]
        columns["root"] = pa.array(moved, schema.field("root").type)
    return pa.RecordBatch.from_arrays(list(columns.values()), schema=schema)


def _require_no_paths(index: Index) -> None:
    """Refuse rows whose texts tell of this machine.

    Raises:
        SharingError: A row does.
    """
    private = _private_paths(index)
    table = index.read_table(_TEXTS)
    ids = table.column("id").to_pylist()
    for name in _TEXTS:
        for id_, value in zip(ids, table.column(name).to_pylist(), strict=True):
            text = value if isinstance(value, str) else "\n".join(value)
            if name == "audio" and (text.startswith("/") or ".." in PurePosixPath(text).parts):
                raise SharingError(
                    f"{index.path}: the audio of row {quoted(id_)} lies outside its corpus root "
                    f"({quoted(text)}), which would tell of this machine; build the index with "
                    "the recordings inside the root"
                )
            if found := private.search(text):
                where = "a further column" if name == "meta" else f"its {name}"
                raise SharingError(
                    f"{index.path}: {where} of row {quoted(id_)} holds {quoted(found[0])}, a path "
                    "of this machine; take it out of the table that the index is built from, and "
                    "build again. Nothing was pushed"
                )


def _private_paths(index: Index) -> re.Pattern[str]:
    """Return what finds the folders that no text of a row may name, as they may stand in JSON, too.

    A folder at the top, such as ``/data``, is part of innocent texts (``a/data``): one of these is
    found where a path begins with it.
    """
    folders = {root.absolute for root in index._folder.header.roots}
    folders |= {str(root) for root in index.roots() if root.is_absolute()}
    folders |= {str(Path.home()), str(index.path.parent)}
    found = []
    for folder in sorted(folders):
        n_parts = len(PurePath(folder).parts)
        for spelling in dict.fromkeys((folder, json.dumps(folder)[1:-1])):
            if n_parts > 2:
                found.append(re.escape(spelling))
            elif n_parts == 2:
                found.append(_BEGINS_PATH + re.escape(spelling) + _ENDS_PART)
    return re.compile("|".join(found) or _NOTHING)


def _require_room(index: Index, folder: Path, audio: ChosenAudio) -> None:
    table = sum(path.stat().st_size for path in (index.path / TABLE_FOLDER).rglob("*.lance"))
    needed, free = table + audio.n_bytes, shutil.disk_usage(folder).free
    if needed > free:
        raise SharingError(
            f"{folder}: the copy to push takes {needed:,} bytes, and {free:,} are free; make "
            "room, or set TMPDIR to a folder on another disk"
        )


def _copy_audio(audio: ChosenAudio, folder: Path) -> None:
    """Copy recordings, and list who made them."""
    for recording in audio.recordings:
        target = folder / recording.name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(recording.path, target)
        except OSError as error:
            step = "make room" if error.errno in NO_ROOM else "make it readable"
            raise SharingError(
                f"{recording.path}: cannot be copied ({error.strerror}); {step}, and push again"
            ) from error
        if sha256_of(target) != recording.sha256:
            raise SharingError(
                f"{recording.path}: has changed since it was embedded; build the index again, "
                "then push. Nothing was pushed"
            )
    if not audio.recordings:
        return
    with open(folder / ATTRIBUTION_NAME, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["audio", "licence", "author", "source"])
        writer.writerows(
            [formula_safe(text) for text in (one.name, one.licence, one.author, one.source)]
            for one in audio.recordings
        )


def left_out_of(index: Index, audio: ChosenAudio, *, with_audio: bool) -> tuple[str, ...]:
    """Say what stays behind when an index is pushed."""
    n = len(index)
    told: list[str] = []
    mark, merged = index._folder.header.shard, index._folder.header.merged
    if merged is not None and len(merged.shards) < merged.n:
        lacking = sorted({*range(1, merged.n + 1)} - {*merged.shards})
        told.append(
            f"the other rows of the corpus: of {merged.n} shards, {listed(lacking)} were not "
            "merged (`earful index merge` adds them)"
        )
    elif mark is not None and (mark.n > 1 or not mark.done):
        told.append(
            f"the other rows of the corpus: this is shard {mark} of it (`earful index merge` puts "
            "shards together)"
        )
    if not with_audio:
        told.append(f"the audio of all {counted(n, 'row')}")
    for reason, n_rows in audio.refused.items():
        named = "no licence is stated" if reason == NO_LICENCE else reason
        told.append(f"the audio of {counted(n_rows, 'row')}: {named}")
    if n_rejected := len(index.rejections()):
        told.append(f"the list of {counted(n_rejected, 'rejected file')}")
    if journal_path(index.path).exists():
        told.append("what reviewers said, with their names (labels.jsonl)")
    if index.approximate is not None:
        told.append("the settings of approximate search (`earful index approximate` makes them)")
    told.append("paths of the machine that it was built on, older versions of its rows, and caches")
    return tuple(told)


def authors_of(audio: ChosenAudio) -> dict[str, int]:
    """Count recordings that came along and ask for their author to be named, by the author."""
    found = Counter(
        f"{one.author} ({one.licence})" for one in audio.recordings if needs_author(one.licence)
    )
    return dict(sorted(found.items()))
