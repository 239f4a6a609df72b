"""The libsndfile decoder, and the choice between it and FFmpeg (``pyav_decoder``).

Both have the members of ``Decoder``, so that limits, mixing and checks are written once, in
``segment``. libsndfile is the faster of the two and part of the core; FFmpeg, for what
libsndfile cannot read, comes with the extra ``media``.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from earful.errors import AudioError
from earful.model.audio.decoders.added_samples import added_samples
from earful.model.audio.decoders.chained_decoder import ChainedDecoder
from earful.model.audio.decoders.chunks import (
    find_data,
    measure_data,
    stated_samples,
    unread_note,
)
from earful.model.audio.decoders.file_view import FileView
from earful.model.audio.decoders.leading_tag import without_leading_tag
from earful.model.audio.decoders.stream_header import Decoder, StreamHeader
from earful.model.audio.decoders.stream_length import (
    TooManyPacketsError,
    measure_mpeg,
    read_at,
    walk_ogg,
)
from earful.model.audio.decoders.trimmed_decoder import TrimmedDecoder
from earful.model.audio.decoders.wav_header import (
    end_of_wrapped,
    header_fault,
    with_pad_bytes,
    with_real_size,
)
from earful.model.audio.not_audio import HEAD_BYTES, not_audio
from earful.model.audio.source import OpenSource

if TYPE_CHECKING:
    import soundfile

_BLOCK_VALUES = 1 << 20
# A read that comes upon damage gives nothing of what lies before it.
_FLAC_BLOCK_VALUES = 1 << 14
_UNKNOWN_FRAMES = 1 << 62  # libsndfile says "unknown" with the largest 64-bit number
# An MP3 frame leans on up to 511 bytes of earlier ones, which is 0.2 s at the lowest rates.
_MPEG_PREROLL_S = 0.5
_MPEG_1_LOWEST_HZ = 32_000
_PLAIN = frozenset({"PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAW", "ULAW"})
_CODED_IN_BLOCKS = frozenset(
    {"IMA_ADPCM", "MS_ADPCM", "GSM610", "G721_32", "NMS_ADPCM_16", "NMS_ADPCM_24", "NMS_ADPCM_32"}
)

_MATLAB = (
    "is a MATLAB file, whose sample rate no rule says where to find; expected a recording, export "
    "it as WAV with its rate"
)
# What libsndfile opens although the file has no sample rate that can be relied on, or no samples.
_NO_RECORDINGS = {
    "MAT4": _MATLAB,
    "MAT5": _MATLAB,
    "SDS": (
        "is a MIDI sample dump, in which libsndfile invents whatever is missing; convert it to WAV"
    ),
    "XI": (
        "is an instrument of FastTracker (XI), which has no sample rate; expected a recording, "
        "export it as WAV with its rate"
    ),
}


def open_decoder(source: OpenSource) -> Decoder:
    """Open the decoder that gets everything out of a file.

    Args:
        source: The open file.

    Raises:
        AudioError: The file is empty, no decoder can read it, or the one that could is
            not installed.
    """
    head = source.file.read(24)
    source.file.seek(0)
    if not head:
        raise AudioError(f"{source.name}: is empty (0 bytes), expected audio; fetch it again")
    if head.startswith(b"MATLAB ") and b"MAT-file" in head:  # libsndfile opens some of them
        raise AudioError(f"{source.name}: {_NO_RECORDINGS['MAT5']}")
    if head == b"version https://git-lfs.":
        raise AudioError(
            f"{source.name}: is a Git LFS pointer, expected the audio it stands for; "
            "run: git lfs pull"
        )
    tagless, is_sure = without_leading_tag(source)
    try:
        try:
            padded = with_pad_bytes(tagless)
            return _open_wrapped(padded) or _choose(*with_real_size(padded))
        except AudioError as error:
            if not is_sure:
                # MPEG audio may begin later, with junk between the tag and its first frame.
                source.file.seek(0)
                with suppress(AudioError):
                    return _choose(*with_real_size(source))
            raise error
    except TooManyPacketsError as error:
        raise AudioError(
            f"{source.name}: {error}; convert it to FLAC, or cut it into parts"
        ) from error


def _choose(source: OpenSource, note: str) -> Decoder:
    import soundfile

    notes = (note,) if note else _notes(source)

    try:
        handle = soundfile.SoundFile(_CallbackFile(source.file))
    except (soundfile.SoundFileError, TypeError, ValueError) as error:
        if read_at(source.file, 0, 4) == b"fLaC":
            # FFmpeg would pass off what is left of it as the whole.
            raise _damaged(source.name, 0.0, error) from error
        if fault := header_fault(source):
            raise AudioError(f"{source.name}: {fault}") from error
        if kind := not_audio(read_at(source.file, 0, HEAD_BYTES)):
            raise AudioError(f"{source.name}: {kind}") from error
        return _open_with_ffmpeg(source, f"libsndfile cannot read it ({_reason(error)})", notes)
    if handle.format in _NO_RECORDINGS:
        kind = handle.format
        handle.close()
        raise AudioError(f"{source.name}: {_NO_RECORDINGS[kind]}")
    position = source.file.tell()
    try:
        header, seek_point = _examine(source, handle)
    except _ChainError as chain:
        handle.close()
        return _open_chain(source, chain.starts, notes)
    except _UnreadPartError as lost:
        handle.close()
        return _open_with_ffmpeg(source, str(lost), notes)
    n_stated = None
    if header.subtype in _CODED_IN_BLOCKS and header.n_frames and not header.damage:
        n_stated = stated_samples(source.file, source.size_bytes, header.n_frames, header.channels)
    source.file.seek(position)
    decoder = SoundFileDecoder(source.name, handle, replace(header, notes=notes), seek_point)
    return decoder if n_stated is None else TrimmedDecoder(decoder, n_frames=n_stated)


def _open_wrapped(source: OpenSource) -> Decoder | None:
    """Open a WAV file of over 4 GiB, whose header cannot say so, as the samples that it is."""
    import soundfile

    place = end_of_wrapped(source)
    source.file.seek(0)
    if place is None:
        return None
    try:
        with soundfile.SoundFile(_CallbackFile(source.file)) as told:
            is_plain = told.subtype in _PLAIN and told.endian in ("FILE", "LITTLE")
            about = (told.samplerate, told.channels, told.subtype)
    except (soundfile.SoundFileError, TypeError, ValueError):
        is_plain = False
    source.file.seek(0)
    if not is_plain:
        return None
    start, stop = place
    view = FileView(source.file, start=start, stop=stop)
    handle = soundfile.SoundFile(_CallbackFile(view), "r", *about, endian="LITTLE", format="RAW")
    header = StreamHeader(
        sample_rate=handle.samplerate,
        channels=handle.channels,
        n_frames=handle.frames,
        format="WAV",
        subtype=handle.subtype,
        notes=(
            f"its header cannot count the {stop - start} bytes of samples that it holds, over "
            "4 GiB: they were read to the end of the file",
        ),
    )
    return SoundFileDecoder(source.name, handle, header, lambda start: start)


def _notes(source: OpenSource) -> tuple[str, ...]:
    data = find_data(source.file, source.size_bytes)
    note = "" if data is None else unread_note(source.file, source.size_bytes, data)
    source.file.seek(0)
    return (note,) if note else ()


def _open_chain(source: OpenSource, starts: tuple[int, ...], notes: tuple[str, ...]) -> Decoder:
    """Open a chain of OGG streams: by FFmpeg if all have one layout, which it wants."""
    import soundfile

    def open_link(link: OpenSource, begins_s: float) -> Decoder:
        handle = soundfile.SoundFile(_CallbackFile(link.file))
        position = link.file.tell()
        header, seek_point = _examine(link, handle)
        link.file.seek(position)
        return SoundFileDecoder(source.name, handle, header, seek_point, begins_s=begins_s)

    because = "it is several chained OGG streams, of which libsndfile reads one"
    try:
        chain = ChainedDecoder(source, starts, open_link, notes=notes)
    except (soundfile.SoundFileError, TypeError, ValueError, _UnreadPartError):
        return _open_with_ffmpeg(source, because, notes, may_seek=False)
    if chain.one_layout:
        return _open_with_ffmpeg(source, because, notes, may_seek=False)
    return chain


class _CallbackFile:
    """A file that never raises, because nothing catches an exception in libsndfile's callbacks.

    A header that lies sends libsndfile to before the beginning of a file. Python would print
    that as a traceback to standard error, and go on.
    """

    def __init__(self, file: io.BufferedIOBase) -> None:
        self._file = file
        self.tell = file.tell

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        with suppress(OSError, ValueError, OverflowError):
            self._file.seek(offset, whence)
        return self._file.tell()

    def readinto(self, buffer: memoryview) -> int:
        try:
            return self._file.readinto(buffer)
        except OSError:  # as if the file ended here
            return 0


class SoundFileDecoder:
    """Decoder that reads with libsndfile.

    Args:
        name: Name of the file in errors.
        handle: The opened file.
        header: Its header, as far as it proved true.
        seek_point: Maps a sample to the nearest earlier one from which libsndfile decodes
            exactly after a seek.
        begins_s: Where it begins in its recording, in seconds, for errors.
    """

    def __init__(
        self,
        name: str,
        handle: soundfile.SoundFile,
        header: StreamHeader,
        seek_point: Callable[[int], int],
        *,
        begins_s: float = 0.0,
    ) -> None:
        self.header = header
        self.n_decoded = 0
        self._name = name
        self._handle = handle
        self._seek_point = seek_point
        self._begins_s = begins_s

    def blocks(self, start: int, stop: int | None) -> Iterator[NDArray[np.float32]]:
        """Decode a segment; see ``Decoder.blocks``."""
        import soundfile

        handle = self._handle
        n_values = _FLAC_BLOCK_VALUES if self.header.format == "FLAC" else _BLOCK_VALUES
        n_at_once = max(1, n_values // self.header.channels)
        position = self._seek_point(start)
        try:
            if position:
                handle.seek(position)
            # soundfile seeks to where it already is after every read. By that libsndfile loses
            # the frames that an MP3 depends on (wrong samples), and it fails where no length is
            # known.
            handle.seekable = lambda: False
            while stop is None or position < stop:
                n_asked = n_at_once if stop is None else min(n_at_once, stop - position)
                # Asking for one sample more than is left shows the end; memory for a whole
                # block would be most of the work of reading a short file.
                n_left = (self.header.n_frames or 0) - position
                if n_left >= 0:
                    n_asked = min(n_asked, n_left + 1)
                block = handle.read(n_asked, dtype="float32", always_2d=True)
                skip = min(len(block), max(0, start - position))
                position += len(block)
                self.n_decoded += len(block)
                yield block[skip:]
                if len(block) < n_asked:
                    return
        except soundfile.SoundFileError as error:
            at_s = self._begins_s + position / self.header.sample_rate
            raise _damaged(self._name, at_s, error) from error

    def close(self) -> None:
        """Free the decoder; the file stays open."""
        self._handle.close()


class _UnreadPartError(Exception):
    """Raised where libsndfile would leave out part of a file without an error."""


class _ChainError(Exception):
    """Raised where a file is several OGG streams; says where each begins, in bytes."""

    def __init__(self, starts: tuple[int, ...]) -> None:
        super().__init__(f"{len(starts)} OGG streams")
        self.starts = starts


def _examine(
    source: OpenSource, handle: soundfile.SoundFile
) -> tuple[StreamHeader, Callable[[int], int]]:
    """Check libsndfile's header against the file's own packets; return it with a seek rule."""
    rate: int = handle.samplerate
    header = StreamHeader(
        sample_rate=rate,
        channels=handle.channels,
        n_frames=None if handle.frames >= _UNKNOWN_FRAMES else handle.frames,
        format=handle.format,
        subtype=handle.subtype,
        damage=_missing_bytes(source),
    )
    if not handle.seekable():
        return header, lambda start: 0
    if handle.subtype.startswith("MPEG"):
        header = _examine_mpeg(source, header)
        # Below MPEG-1's rates libsndfile writes to standard error on every seek. Decoding
        # from the beginning is quiet, and such files are small.
        if rate < _MPEG_1_LOWEST_HZ:
            return header, lambda start: 0
        preroll = round(_MPEG_PREROLL_S * rate)
        return header, lambda start: max(0, start - preroll)
    if handle.format == "OGG":
        pages = walk_ogg(source.file, source.size_bytes)
        if pages.chained:
            raise _ChainError(pages.starts)
        if pages.cut:
            header = replace(header, damage="its last OGG page is incomplete")
        if handle.subtype == "VORBIS":
            # Within the last page, libsndfile seeks to a sample beside the right one.
            return header, lambda start: min(start, pages.n_samples_before_last_page)
    return header, lambda start: start


def _examine_mpeg(source: OpenSource, header: StreamHeader) -> StreamHeader:
    length = measure_mpeg(source.file)
    if length is None or header.n_frames is None:
        return header
    tolerance = 2 * length.n_frame_samples
    if header.n_frames < length.n_samples - tolerance:
        raise _UnreadPartError(
            f"its MPEG frames hold {length.n_samples / header.sample_rate:.2f} s, of which "
            f"libsndfile reads {header.n_frames / header.sample_rate:.2f} s"
        )
    if length.counted:
        return header
    # Without a frame count in the file, libsndfile guesses the length from one frame's bit rate.
    return replace(header, n_frames=length.n_samples, slack_frames=tolerance)


def _missing_bytes(source: OpenSource) -> str:
    measured = measure_data(source.file, source.size_bytes)
    if measured is None or measured[1] >= measured[0]:
        return ""
    claimed, present = measured
    return f"{claimed - max(0, present)} of {claimed} bytes are missing"


def _open_with_ffmpeg(
    source: OpenSource, because: str, notes: tuple[str, ...], *, may_seek: bool = True
) -> Decoder:
    from earful.model.audio.decoders.pyav_decoder import PyavDecoder

    decoder = PyavDecoder(
        source.file,
        source.name,
        because=because,
        may_seek=may_seek,
        damage=_missing_bytes(source),
        notes=notes,
    )
    added = added_samples(source.file, decoder.header)
    if added is None:
        return decoder
    return TrimmedDecoder(decoder, delay=added.delay, n_frames=added.n_frames)


def _damaged(name: str, at_s: float, error: Exception) -> AudioError:
    return AudioError(
        f"{name}: is damaged after {at_s:.2f} s ({_reason(error)}), expected a whole file; "
        "fetch or export it again"
    )


def _reason(error: Exception) -> str:
    text = str(getattr(error, "error_string", None) or error)
    text = text.removeprefix("Error : ").strip().rstrip(".")
    # libsndfile's message for an MP3 that ends within its first frames, though the file is open.
    return "no sound was found in it" if text.startswith("File does not exist") else text
