"""Trust: what of a stranger's index is checked before it may be opened, played or asked.

The embedder that an index names is loaded when somebody asks the index, so one that does not come
with earful has to be named by the user as well: weights are fetched from nowhere else.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from earful.errors import CorpusError, IndexFolderError, SharingError
from earful.index.corpus import exemplar_fault
from earful.index.index import Index
from earful.index.maintenance import verify_index
from earful.index.sharing.layout import (
    AUDIO_FOLDER,
    KEPT_FOLDER,
    SHARED_NAME,
    SharedFile,
    the_manifest,
)
from earful.index.sharing.records import SharedRecord, digest_of, recordings_digest, row_digests
from earful.index.sharing.table_manifest import require_own_files
from earful.index.storage import (
    TABLE_FOLDER,
    Checksums,
    exemplar_of,
    exemplar_values,
    read_header,
)
from earful.model.runtime import sha256_of
from earful.wording import as_argument, counted, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from earful.model import Fingerprint

_HOME: Final = re.compile(rf"(?:{AUDIO_FOLDER}|{KEPT_FOLDER})/[0-9]{{1,6}}")


def trusted_name(made: Fingerprint) -> str:
    """Return how a user names an embedder that does not come with earful; empty for one that does.

    With its revision, as another revision has other weights.
    """
    from earful.model import list_embedders

    own = {one.name for one in list_embedders() if one.kind in ("shipped", "baseline")}
    if made.name in own:
        return ""
    return f"{made.name}@{made.revision}" if made.revision else made.name


def require_trusted_embedder(made: Fingerprint, named: str, where: str) -> None:
    """Refuse an embedder that neither comes with earful nor was named by the user.

    Raises:
        SharingError: It is such a one, or another than the user named.
    """
    wanted = trusted_name(made)
    if wanted == named:
        return
    if not wanted:
        raise SharingError(
            f"{where}: is of embedder {quoted(made.name)}, which comes with earful, and --embedder "
            f"names {quoted(named)}; leave that out"
        )
    given = f", and --embedder names {quoted(named)}" if named else ""
    raise SharingError(
        f"{where}: is of embedder {quoted(wanted)}, which does not come with earful{given}: "
        "whoever asks the index loads its weights. If you trust it, name it: --embedder "
        f"{as_argument(wanted)}"
    )


def require_sound(
    folder: Path,
    files: Sequence[SharedFile],
    where: str,
    *,
    embedder: str,
    progress: Callable[[int, int], None] | None,
) -> dict[str, str]:
    """Check all of a pulled folder, and return the digests of its rows by their ids.

    Args:
        folder: Where its files lie; nothing else does.
        files: Its files, as they were listed.
        where: The place that it came from, for errors.
        embedder: The embedder that the user named; empty for one that comes with earful.
        progress: Called with the number of rows checked and the number of all.

    Raises:
        SharingError: Something is not as it was pushed, of a newer format, or leads out of the
            folder.
    """
    record = SharedRecord.read(folder / SHARED_NAME, where)
    _require_bytes(folder, files, where)
    try:
        header = read_header(folder)
    except IndexFolderError as error:
        raise SharingError(_at(where, folder, error)) from error
    for root in header.roots:
        if root.absolute or not _HOME.fullmatch(root.relative):
            place = quoted(root.absolute or root.relative)
            raise SharingError(
                f"{where}: its recordings are said to lie in {place}, outside of the index; "
                "nothing was pulled. Tell whoever pushed it"
            )
    require_trusted_embedder(header.fingerprint, embedder, where)
    _require_listed(folder, files, where)
    named = set(require_own_files(the_manifest(folder)))
    there = {Path(file.name).name for file in files if "/data/" in file.name}
    if named != there:
        raise SharingError(
            f"{where}: its table names {counted(len(named), 'data file')}, and "
            f"{len(there)} came; push it anew"
        )
    try:
        index = Index.open(folder)
        require_plain_rows(index, where)
        _require_recordings(index, files, record, where)
        report = verify_index(index, progress=progress)
    except IndexFolderError as error:
        raise SharingError(_at(where, folder, error)) from error
    if report.problems or report.n_unlisted:
        first = report.problems[0].what if report.problems else "a file is not listed"
        raise SharingError(
            f"{where}: {counted(len(report.problems), 'problem')} found, the first: "
            f"{first.replace(str(folder), where)}; nothing was pulled"
        )
    rows = row_digests(index)
    if len(index) != record.n or digest_of(rows) != record.rows_sha256:
        raise SharingError(
            f"{where}: its rows are not those that were pushed ({len(index):,}, expected "
            f"{record.n:,} with the digest in shared.json); nothing was pulled"
        )
    return rows


def require_plain_rows(index: Index, where: str) -> None:
    """Check that rows keep the limits of a corpus, and their recordings inside of the index.

    Raises:
        IndexFolderError: A file of the table is damaged.
        SharingError: A row does not.
    """
    table = index.read_table(index.exemplar_columns)
    try:
        for values in exemplar_values(table):
            exemplar = exemplar_of(values)
            path = str(exemplar.audio)
            if path.startswith("/") or ".." in PurePosixPath(path).parts or "\\" in path:
                raise SharingError(
                    f"{where}: the audio of row {quoted(exemplar.id)} leads out of its folder "
                    f"({quoted(path)})"
                )
            if fault := exemplar_fault(exemplar):
                raise SharingError(f"{where}: row {quoted(exemplar.id)}: {fault}")
    except (CorpusError, ValueError, TypeError) as error:
        raise SharingError(f"{where}: a row is damaged ({error})") from error


def _require_bytes(folder: Path, files: Sequence[SharedFile], where: str) -> None:
    for file in files:
        path = folder / file.name
        found = path.stat().st_size if path.is_file() and not path.is_symlink() else -1
        if found != file.n_bytes:
            raise SharingError(
                f"{where}: {file.name} has {max(found, 0):,} bytes, expected {file.n_bytes:,}; "
                "pull it again"
            )
        if file.sha256 and sha256_of(path) != file.sha256:
            raise SharingError(
                f"{where}: {file.name} has other bytes than the place states; pull it again"
            )


def _require_listed(folder: Path, files: Sequence[SharedFile], where: str) -> None:
    """Check that the list of digests is about the files of the table, and that all match."""
    checksums = Checksums(folder)
    of_table = {file.name for file in files if file.name.startswith(f"{TABLE_FOLDER}/")}
    if (listed := set(checksums.names())) != of_table:
        odd = sorted(listed ^ of_table)[0]
        raise SharingError(
            f"{where}: checksums.txt and the files of the table differ, as by {quoted(odd)}; "
            "nothing was pulled"
        )
    for name in sorted(of_table):
        if checksums.is_damaged(name):
            raise SharingError(
                f"{where}: {name} has other bytes than were written; nothing was pulled. Pull it "
                "again, or tell whoever pushed it"
            )


def _require_recordings(
    index: Index, files: Sequence[SharedFile], record: SharedRecord, where: str
) -> None:
    """Check that exactly those recordings came that rows name; verifying compares their bytes."""
    table = index.read_table(["root", "audio", "file_sha256"])
    homes = [root.relative for root in read_header(index.path).roots]
    digests: dict[str, str] = {}
    columns = (table.column(name).to_pylist() for name in ("root", "audio", "file_sha256"))
    for number, audio, sha256 in zip(*columns, strict=True):
        if not 0 <= number < len(homes):
            raise SharingError(f"{where}: a row names corpus root {number} of {len(homes)}")
        if homes[number].startswith(f"{AUDIO_FOLDER}/"):
            digests[f"{homes[number]}/{audio}"] = sha256
    came = {file.name for file in files if file.name.startswith(f"{AUDIO_FOLDER}/")}
    if came and (odd := sorted(came ^ digests.keys())):
        raise SharingError(
            f"{where}: {quoted(odd[0])} is "
            f"{'no recording of a row' if odd[0] in came else 'missing'}; nothing was pulled"
        )
    if recordings_digest({name: digests[name] for name in came}) != record.recordings_sha256:
        raise SharingError(
            f"{where}: {counted(len(came), 'recording')} came, and others were pushed; nothing was "
            "pulled"
        )


def _at(where: str, folder: Path, error: Exception) -> str:
    """Return an error about the temporary folder as one about the place."""
    text = str(error)
    for named in (str(folder), str(folder.resolve())):
        text = text.replace(named, where)
    return text
