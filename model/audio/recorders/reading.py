"""When and where a recording was made: all that its file says, in order of belief.

GUANO, wamd, the AudioMoth comment, bext, comments of FLAC and Ogg, the file's name, its folder.
Nothing is decoded: headers are walked within limits. The time of modification is never looked
at, for copying changes it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC
from io import BufferedIOBase
from pathlib import Path, PurePath
from typing import Final

from earful.errors import AudioError
from earful.model.audio.decoders import read_at, wav_chunks, without_leading_tag
from earful.model.audio.recorders.audiomoth import read_audiomoth, read_info
from earful.model.audio.recorders.bext import read_bext
from earful.model.audio.recorders.comments import flac_blocks, ogg_comments, read_comments
from earful.model.audio.recorders.guano import read_guano
from earful.model.audio.recorders.metadata import RecorderMetadata, combine, in_zone_of
from earful.model.audio.recorders.names import (
    FOLDER,
    SOURCE,
    folder_site,
    is_plain_name,
    read_name,
)
from earful.model.audio.recorders.options import NamesAre, RecorderOptions
from earful.model.audio.recorders.wamd import read_wamd
from earful.model.audio.source import open_source

MOST_CHUNKS: Final = 64
MOST_BYTES: Final = 1 << 20
_WANTED: Final = frozenset({b"guan", b"wamd", b"list", b"bext"})


def read_recorder_metadata(
    path: str | os.PathLike[str],
    *,
    timezone: str | None = None,
    names_are: NamesAre | None = None,
    time_pattern: str | None = None,
    site_pattern: str | None = None,
) -> RecorderMetadata:
    """Read when and where a recording was made, from its metadata, its name and its folder.

    Of each field the first source that gives it counts: GUANO, wamd, the AudioMoth comment,
    bext, comments of FLAC and Ogg, the file's name; of the site the folder at last.

    Args:
        path: The recording.
        timezone: Zone of times that have none (an IANA name, or an offset such as ``+02:00``);
            times that have one are converted to it.
        names_are: Whether the times in file names are in UTC or local.
        time_pattern: Regular expression for times in names; see ``RecorderOptions``.
        site_pattern: Regular expression for sites in paths; what it finds goes first.

    Raises:
        AudioError: The file cannot be read, the zone is unknown, or a pattern is none.
        ValueError: ``names_are`` is neither.
    """
    options = RecorderOptions(
        timezone=timezone, names_are=names_are, time_pattern=time_pattern, site_pattern=site_pattern
    )
    # The same folder whatever the path is relative to; links are not followed, as they say where
    # the owner put the file.
    absolute = Path(os.path.abspath(path))
    site = options.find_site(absolute.as_posix())
    by_name = read_name(absolute, options)
    if options.names_are == "utc" and by_name.starts_at and not by_name.zone_is_known:
        by_name = replace(by_name, starts_at=by_name.starts_at.replace(tzinfo=UTC))
    # Compared as they stand, so that a name in UTC agrees with the local time in the file.
    found = combine(
        [
            RecorderMetadata(site=site, site_source="site pattern"),
            *_inside(path),
            by_name,
            RecorderMetadata(site=folder_site(absolute.parts[:-1]), site_source=FOLDER),
        ],
        options.zone,
    )
    if options.zone is None:
        return found
    notes = found.notes
    is_open = found.time_source == SOURCE and not found.zone_is_known and not options.names_are
    if is_open and is_plain_name(absolute.name):
        notes += (
            f"its name is taken as the time in {options.timezone}; AudioMoth names files in UTC "
            "unless told otherwise: if this one is, --names-are utc",
        )
    return in_zone_of(replace(found, notes=notes), options.zone)


def read_recorder_site(path: str | os.PathLike[str]) -> str:
    """Return the site that a recorder wrote into a file or its name; ``""`` if it wrote none.

    Args:
        path: The recording. One that cannot be read has no metadata.
    """
    try:
        inside = combine(list(_inside(path)))
    except AudioError:
        inside = RecorderMetadata()
    return inside.site or read_name(PurePath(path), RecorderOptions()).site


def _inside(path: str | os.PathLike[str]) -> Iterator[RecorderMetadata]:
    """Yield what the metadata of a file say, the most believable first.

    Raises:
        AudioError: The file cannot be read.
    """
    with open_source(path, max_bytes=sys.maxsize) as opened:
        source, _ = without_leading_tag(opened)
        file, size_bytes = source.file, source.size_bytes
        comments = b""
        kind = read_at(file, 0, 4)
        if kind == b"fLaC":
            comments, chunks = flac_blocks(file, size_bytes, _WANTED, MOST_BYTES)
        elif kind == b"OggS":
            comments, chunks = ogg_comments(file, MOST_BYTES), {}
        else:
            chunks = _chunks(file, size_bytes)
    tags, by_comments = read_comments(comments)
    if b"guan" in chunks:
        yield read_guano(chunks[b"guan"])
    if b"wamd" in chunks:
        yield read_wamd(chunks[b"wamd"])
    info = read_info(chunks.get(b"list", b""))
    # Converters carry the comment over as a tag.
    info.setdefault("ICMT", tags.get("COMMENT") or tags.get("DESCRIPTION") or "")
    info.setdefault("IART", tags.get("ARTIST", ""))
    if moth := read_audiomoth(info):
        yield moth
    if b"bext" in chunks:
        yield read_bext(chunks[b"bext"])
    if comments:
        yield by_comments


def _chunks(file: BufferedIOBase, size_bytes: int) -> dict[bytes, bytes]:
    """Return the beginnings of the chunks that say something, by their names in lower case."""
    found: dict[bytes, bytes] = {}
    for chunk in wav_chunks(file, size_bytes, most=MOST_CHUNKS):
        name = chunk.name.lower()
        if name not in _WANTED or name in found:
            continue
        # Lists of other kinds name regions and the like.
        if name != b"list" or read_at(file, chunk.content_at, 4) == b"INFO":
            found[name] = read_at(file, chunk.content_at, min(chunk.n_bytes, MOST_BYTES))
    return found
