"""Headers that were never finished: a size of 0 before samples that are there.

A recorder that loses power leaves the size that it meant to fill in at the end. libsndfile takes 0
for an empty file, so it is shown the size that the file itself has.
"""

from __future__ import annotations

from dataclasses import replace

from earful.model.audio.decoders.chunks import bytes_behind, find_data
from earful.model.audio.decoders.file_view import FileView
from earful.model.audio.source import OpenSource


def with_real_size(source: OpenSource) -> tuple[OpenSource, str]:
    """Fill in the size of samples that a header gives as 0, and say so.

    Args:
        source: The open file, at its beginning; left there.

    Returns:
        The recording with a true size in its header, and a note; the recording itself and ``""``
        where nothing is wrong.

    Raises:
        TooManyPacketsError: The file has millions of chunks.
    """
    data = find_data(source.file, source.size_bytes)
    source.file.seek(0)
    if data is None or data.claimed > data.overhead or data.present <= data.overhead:
        return source, ""
    # An empty recording may have other chunks behind the samples that it lacks.
    n_unknown = bytes_behind(source.file, source.size_bytes, data)
    source.file.seek(0)
    if not n_unknown:
        return source, ""
    largest = (1 << 8 * data.field_bytes) - 1
    size = min(data.present + data.added, largest - 1)
    view = FileView(
        source.file,
        stop=source.size_bytes,
        patch_at=data.field_at,
        patch=size.to_bytes(data.field_bytes, data.order),
    )
    note = (
        f"its header says that it holds no samples, and {data.present - data.overhead} bytes "
        "follow: they were read to the end of the file"
    )
    return replace(source, file=view), note
