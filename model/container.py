"""Audio tracks of MP4, WebM and other containers, through FFmpeg's libraries (PyAV).

Only the file that was opened is read: it is handed over as an object, and formats that
could point elsewhere (playlists, session descriptions) are not among those allowed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from earful.errors import AudioError, MissingExtraError
from earful.model.audio import AudioInfo

_FORMATS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dts,eac3,flac,flv,loas,matroska,webm,mov,mp4,m4a,3gp,3g2,"
    "mj2,mp3,mpeg,mpegts,ogg,tak,tta,w64,wav,wv"
)
# Decoders need what came before to be right: AAC one frame, Opus 80 ms, MP3 a few frames.
_PRE_ROLL_S = 0.5


class Container:
    """The first audio track of a container.

    Args:
        file: The open file, at its beginning.
        name: What to call it in errors.
        because: What about the file brought it here; empty for its format.

    Raises:
        MissingExtraError: PyAV is not installed.
        AudioError: There is no audio track, or the file cannot be read.
    """

    def __init__(self, file: BinaryIO, name: str, *, because: str = "") -> None:
        try:
            import av
        except ImportError as error:
            what = because or "a format that libsndfile does not read"
            raise MissingExtraError(
                f"{name}: is {what}; reading it needs PyAV: pip install 'earful[media]'"
            ) from error
        self._name = name
        try:
            self._container = av.open(
                file, mode="r", options={"format_whitelist": _FORMATS, "protocol_whitelist": ""}
            )
        except (av.FFmpegError, ValueError) as error:
            raise AudioError(
                f"{name}: is no audio that libsndfile or FFmpeg reads ({error}); want an audio file"
            ) from error
        if not self._container.streams.audio:
            self._container.close()
            raise AudioError(f"{name}: has no audio track; want a file with one")
        stream = self._container.streams.audio[0]
        codec = stream.codec_context
        duration_s = 0.0
        if stream.duration is not None and stream.time_base is not None:
            duration_s = float(stream.duration * stream.time_base)
        elif self._container.duration is not None:
            duration_s = self._container.duration / av.time_base
        self._stream = stream
        self.info = AudioInfo(
            duration_s=duration_s,
            sample_rate=int(codec.sample_rate),
            channels=int(codec.channels),
            format=self._container.format.name,
            subtype=str(codec.name),
        )

    def blocks(self, first: int, last: int | None) -> Iterator[NDArray[np.float32]]:
        """Yield frames ``[first, last)`` as float32, shape ``(n_frames, channels)``."""
        import av

        rate = self.info.sample_rate
        stream = self._stream
        origin = (stream.start_time or 0) * float(stream.time_base)
        to_float = av.AudioResampler(format="fltp")
        with self._container:
            try:
                begin_s = first / rate - _PRE_ROLL_S
                if begin_s > 0:
                    offset = int((begin_s + origin) / stream.time_base)
                    self._container.seek(offset, stream=stream, backward=True)
                position: int | None = None
                for frame in self._container.decode(stream):
                    if position is None:
                        at_s = origin if frame.time is None else frame.time
                        position = round((at_s - origin) * rate)
                    for planar in to_float.resample(frame):
                        block = planar.to_ndarray().T
                        start, position = position, position + len(block)
                        skip = max(0, first - start)
                        stop = len(block) if last is None else min(len(block), last - start)
                        if skip < stop:
                            yield np.ascontiguousarray(block[skip:stop], dtype=np.float32)
                    if last is not None and position >= last:
                        return
            except av.FFmpegError as error:
                raise AudioError(
                    f"{self._name}: is damaged ({error}); want an intact file"
                ) from error
