"""The FFmpeg decoder (PyAV): audio tracks of MP4, WebM and other containers.

Only the file that was opened is read: it is handed over as an object, and the formats that
point elsewhere (playlists, session descriptions) are not among those allowed.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from io import BufferedIOBase
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from earful.errors import AudioError
from earful.model.audio.decoders.stream_header import StreamHeader
from earful.model.audio.decoders.stream_length import read_at

if TYPE_CHECKING:
    from fractions import Fraction

    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

_FORMATS = (
    "3g2,3gp,aac,ac3,aiff,amr,ape,asf,au,avi,caf,dts,eac3,flac,flv,loas,m4a,matroska,mj2,mov,mp3,"
    "mp4,mpc8,mpeg,mpegts,nistsphere,ogg,tak,tta,w64,wav,webm,wv"
)
# Audio that earful refuses by itself, by how it begins: FFmpeg gives it late, or was never tried.
_UNOPENED = {
    b"MP+": ("Musepack of stream version 7", "convert it with mpc2sv8, or to WAV"),
    b"DSD ": ("DSD audio (DSF)", "convert it to FLAC"),
    b"FRM8": ("DSD audio (DSDIFF)", "convert it to FLAC"),
    b".RMF": ("RealMedia", "convert it to WAV"),
    b".ra\xfd": ("RealAudio", "convert it to WAV"),
    b"ajkg": ("Shorten without a length of its own", "convert it to FLAC or WAV"),
    b"OFR ": ("OptimFROG", "convert it to FLAC"),
    b"TWIN": ("TwinVQ", "convert it to WAV"),
    b"ea3\x03": ("ATRAC", "convert it to WAV"),
}
# Formats that do not list their tracks at the beginning.
_WITHOUT_TRACK_LIST = ("flv", "mpeg", "mpegts")
# How a track's line begins in FFmpeg's description of a file.
_TRACK = re.compile(r"^ +Stream #0:\d+", re.MULTILINE)
# Decoders depend on earlier audio: AAC on a frame, Opus on 80 ms, MP3 on up to 0.7 s.
_PREROLL_S = 1.0


class PyavDecoder:
    """Decoder that reads the first audio track with FFmpeg.

    Args:
        file: The open file.
        name: Name of the file in errors.
        because: Why libsndfile does not read the file, as a clause.
        may_seek: Whether time stamps can be trusted; those of chained streams start again.
        damage: Known damage at the end of the file; empty for none.
        notes: What a reader should know of the file.

    Raises:
        AudioError: PyAV is not installed, there is no audio track, or the file cannot be
            read.
    """

    def __init__(
        self,
        file: BufferedIOBase,
        name: str,
        *,
        because: str,
        may_seek: bool = True,
        damage: str = "",
        notes: tuple[str, ...] = (),
    ) -> None:
        self._file = file
        self._name = name
        self._because = because
        self._may_seek = may_seek
        self._damage = damage
        self._notes = notes
        self.n_decoded = 0
        try:
            self._container = self._open()
        except ImportError as error:
            raise AudioError(
                f"{name}: {because}; MP4, AAC, WebM and the like, and files that libsndfile would "
                "cut short, need PyAV: pip install 'earful[media]', or convert the file to WAV"
            ) from error
        try:
            if not self._container.streams.audio:
                raise AudioError(f"{name}: has no audio track, expected one; pass another file")
            # Time starts with the first sample that the decoder gives, as in decoding it all.
            self._head = self._first_frames(2)
            self.header = self._read_header(self._stream, self._head[0])
        except AudioError:
            self.close()
            raise
        except Exception as error:  # PyAV's exceptions for bad data have no common class
            self.close()
            raise self._unreadable(error) from error

    def blocks(self, start: int, stop: int | None) -> Iterator[NDArray[np.float32]]:
        """Decode a segment; see ``Decoder.blocks``."""
        position = 0
        try:
            for position, frame in self._frames(start):
                block = self._to_float(frame)
                self.n_decoded += len(block)
                yield block[max(0, start - position) : None if stop is None else stop - position]
                if stop is not None and position + len(block) >= stop:
                    return
            n_known = len(self._container.streams)
            if self._container.format.name in _WITHOUT_TRACK_LIST and self._n_tracks() > n_known:
                # PyAV looks up a new track's packets in memory that was never written, so it
                # may drop them without an error.
                raise IndexError(n_known)
        except AudioError:
            raise
        except Exception as error:  # PyAV's exceptions for bad data have no common class
            raise self._damaged(position / self.header.sample_rate, error) from error

    def close(self) -> None:
        """Free the decoder; the file stays open."""
        self._container.close()

    @property
    def _stream(self) -> AudioStream:
        return self._container.streams.audio[0]

    def _open(self) -> InputContainer:
        self._file.seek(0)
        try:
            return self._open_container()
        except ImportError:
            raise
        except Exception as error:  # PyAV's exceptions for bad data have no common class
            raise self._unreadable(error) from error

    def _open_container(self) -> InputContainer:
        import av

        # Tags in another encoding do not matter here. PyAV 19 leaves them alone by itself and
        # no longer has the option.
        lenient: dict[str, Any] = {}
        if int(av.__version__.partition(".")[0]) < 19:
            lenient["metadata_errors"] = "ignore"
        container: InputContainer = av.open(
            self._file,
            mode="r",
            options={"format_whitelist": _FORMATS, "protocol_whitelist": ""},
            **lenient,
        )
        return container

    def _n_tracks(self) -> int:
        """Count the tracks that FFmpeg has met so far, in its description of the file."""
        import av.logging

        container: Any = self._container  # PyAV's types leave the method out
        level = av.logging.get_level()
        av.logging.set_level(av.logging.INFO)  # below this level it describes nothing
        try:
            return len(_TRACK.findall(container.dumps_format()))
        finally:
            av.logging.set_level(level)

    def _first_frames(self, n: int) -> list[AudioFrame]:
        frames: list[AudioFrame] = []
        for frame in self._container.decode(self._stream):
            frames.append(frame)
            if len(frames) == n:
                break
        if not frames:
            raise AudioError(
                f"{self._name}: its audio track holds no samples, expected at least one; fetch or "
                "export it again"
            )
        return frames

    def _read_header(self, stream: AudioStream, first: AudioFrame) -> StreamHeader:
        import av

        kind = self._container.format.name
        duration: Fraction | float | None = None
        is_exact = False
        if "mp4" in kind and stream.duration and stream.time_base:
            duration = stream.duration * stream.time_base
        elif kind == "nistsphere" and stream.duration and stream.time_base:
            duration, is_exact = stream.duration * stream.time_base, True
        elif "matroska" in kind and self._container.duration and len(self._container.streams) == 1:
            duration = self._container.duration / av.time_base
        slack = 2 * max(frame.samples for frame in self._head) + first.sample_rate // 100
        return StreamHeader(
            sample_rate=first.sample_rate,
            channels=first.layout.nb_channels,
            n_frames=None if duration is None else round(duration * first.sample_rate),
            slack_frames=0 if is_exact else slack,
            format=kind,
            subtype=stream.codec_context.name,
            damage=self._damage,
            notes=self._notes,
        )

    def _frames(self, start: int) -> Iterator[tuple[int, AudioFrame]]:
        """Yield frames with the position of their first sample, beginning before ``start``."""
        found = self._seek(start)
        if found is None:
            self.close()
            self._container = self._open()
            position, frames = 0, self._container.decode(self._stream)
        else:
            position, frame, frames = found
            yield position, frame
            position += frame.samples
        for frame in frames:
            yield position, frame
            position += frame.samples

    def _seek(self, start: int) -> tuple[int, AudioFrame, Iterator[AudioFrame]] | None:
        """Seek to a frame well before ``start`` whose position is certain, if there is one."""
        stream, time_base = self._stream, self._stream.time_base
        target = start - round(_PREROLL_S * self.header.sample_rate)
        first_pts = self._head[0].pts
        if not self._may_seek or target <= 0 or time_base is None or first_pts is None:
            return None
        offset = first_pts + int(target / self.header.sample_rate / time_base)
        self._container.seek(offset, stream=stream, backward=True)
        frames = self._container.decode(stream)
        next(frames, None)  # lacks the audio that it depends on, and may be trimmed
        frame = next(frames, None)
        position = None if frame is None else self._position(frame)
        if frame is None or position is None or position > target + self.header.sample_rate // 2:
            return None
        return position, frame, frames

    def _position(self, frame: AudioFrame) -> int | None:
        """Return the position of a frame's first sample, or ``None`` where its stamp is vague.

        WebM's time stamps are in milliseconds, some 48 samples. There the position follows
        from the grid of equal frames that began with the file's first; a coding with frames
        of various sizes (Vorbis) leaves doubt, and is decoded from the beginning.
        """
        first_pts, time_base = self._head[0].pts, frame.time_base
        if frame.pts is None or first_pts is None or time_base is None:
            return None
        rate = self.header.sample_rate
        stamped = (frame.pts - first_pts) * time_base * rate
        if time_base * rate <= 1:
            return round(stamped)
        n_first, n_frame = self._head[0].samples, self._head[-1].samples
        doubt = time_base * rate
        if frame.samples != n_frame or n_frame < 8 * doubt:
            return None
        position = n_first + round((stamped - n_first) / n_frame) * n_frame
        return position if abs(position - stamped) <= doubt + 1 else None

    def _to_float(self, frame: AudioFrame) -> NDArray[np.float32]:
        """Convert a frame to float32, shape ``(n, channels)``, full scale 1.0."""
        header = self.header
        if (frame.sample_rate, frame.layout.nb_channels) != (header.sample_rate, header.channels):
            raise AudioError(
                f"{self._name}: changes from {header.channels} channels at {header.sample_rate} Hz "
                f"to {frame.layout.nb_channels} at {frame.sample_rate} Hz, expected one layout "
                "throughout; convert it to WAV"
            )
        values = frame.to_ndarray()
        block = values.T if frame.format.is_planar else values.reshape(-1, header.channels)
        if block.dtype.kind == "f":
            with np.errstate(over="ignore"):
                return block.astype(np.float32)
        if block.dtype == np.uint8:
            return (block.astype(np.float32) - np.float32(128)) / np.float32(128)
        return block.astype(np.float32) / np.float32(2.0 ** (8 * block.dtype.itemsize - 1))

    def _unreadable(self, error: Exception) -> AudioError:
        head = read_at(self._file, 0, 4)
        for magic, (kind, way_out) in _UNOPENED.items():
            if head.startswith(magic):
                return AudioError(
                    f"{self._name}: is {kind}, expected a format that earful opens; {way_out}"
                )
        reason = _reason(error)
        if getattr(error, "errno", None) == errno.EINVAL:  # what a refused format comes as
            reason = "in none of the formats that earful opens with it"
        return AudioError(
            f"{self._name}: {self._because}, nor can FFmpeg ({reason}), expected an audio file; "
            f"{self._way_out(head)}"
        )

    def _way_out(self, head: bytes) -> str:
        if head in (b"RIFF", b"RIFX", b"RF64"):
            return "export it as PCM with the program that made it"
        if self._name.lower().endswith((".wav", ".wave")):
            return (
                "it does not begin with RIFF as a WAV file does: if it holds samples without a "
                "header, import them as raw data in an audio editor and export a WAV; else fetch "
                "it again"
            )
        return "fetch it again, or convert it to WAV with the program that made it"

    def _damaged(self, at_s: float, error: Exception) -> AudioError:
        if _is_unknown_coding(error):
            return AudioError(
                f"{self._name}: {_reason(error)} at {at_s:.2f} s, expected one that it decodes; "
                "convert it to WAV with the program that made it"
            )
        return AudioError(
            f"{self._name}: is damaged after {at_s:.2f} s ({_reason(error)}), expected a whole "
            "file; fetch or export it again"
        )


def _reason(error: Exception) -> str:
    if isinstance(error, IndexError):  # PyAV lists the tracks once, when it opens the file
        return "a track begins midway"
    if _is_unknown_coding(error):
        return "FFmpeg does not know the coding"
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def _is_unknown_coding(error: Exception) -> bool:
    # Its own text is an appeal to FFmpeg's developers.
    return type(error).__name__ == "PatchWelcomeError"
