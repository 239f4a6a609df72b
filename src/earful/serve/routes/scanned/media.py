"""``GET /api/audio``, ``/api/spectrogram``, ``/api/overview``: what the page plays and draws."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from earful.errors import AudioError, ScanError
from earful.index.recordings import StepStore
from earful.model.audio import STRETCH_OF_LONG, probe_isolated, warm_up
from earful.model.encoders import OVERVIEW_BANDS
from earful.rag.scan import vectors_folder
from earful.serve.faults import RequestError
from earful.serve.media import (
    TILE_COLUMNS,
    Media,
    Order,
    Overview,
    PlayedSource,
    SpectrogramView,
    file_version,
)
from earful.serve.sources import Source
from earful.serve.state import ServerState

_KEPT: Final = "private, max-age=0, must-revalidate"


def router(state: ServerState) -> APIRouter:
    """Return the routes of audio and pictures."""
    routes = APIRouter(tags=["media"])
    media = Media()
    played = _Played(state)
    warm_up()  # the first picture then waits for no process to begin

    @routes.get("/api/audio/{source}", response_class=Response, responses=_types("audio/wav"))
    def read_audio(
        source: str,
        request: Request,
        start_s: float = 0.0,
        end_s: float | None = None,
        slow: float = 1.0,
    ) -> Response:
        """A stretch of at most 60 s as WAV, `slow` times slower: 1/16 to 16."""
        found = played.find(source)
        return _answer(request, lambda: media.audio(found, start_s, end_s, slow))

    @routes.get("/api/spectrogram/{source}", response_class=Response, responses=_types("image/png"))
    def read_spectrogram(
        source: str,
        request: Request,
        start_s: float = 0.0,
        end_s: float | None = None,
        width: int = 800,
        height: int = 256,
        fmin: float = 0.0,
        fmax: float | None = None,
        n_fft: int | None = None,
    ) -> Response:
        """A stretch of at most ten minutes as a grey PNG, the highest row first."""
        found = played.find(source)
        view = SpectrogramView(width=width, height=height, low_hz=fmin, high_hz=fmax, n_fft=n_fft)
        return _answer(request, lambda: media.spectrogram(found, start_s, end_s, view))

    @routes.get("/api/overview/{source}", response_class=Response, responses=_types("image/png"))
    def read_overview(
        source: str,
        request: Request,
        column: int = 0,
        n: int = TILE_COLUMNS,
        pool: int = 1,
    ) -> Response:
        """A tile of the whole recording, as a grey PNG of 96 rows; a column is `pool` steps."""
        found = played.find(source, may_be_gone=True)
        kept = played.kept_overview(source)
        return _answer(request, lambda: media.overview(found, column, n, pool=pool, kept=kept))

    return routes


def _types(media_type: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {media_type: {}}}, 304: {"description": "Not changed"}}


def _answer(request: Request, order: Callable[[], Order]) -> Response:
    try:
        placed = order()
        headers = {"etag": placed.etag, "cache-control": _KEPT}
        if placed.etag in _tags(request):
            return Response(status_code=304, headers=headers)
        made = placed.make()
    except AudioError as error:
        raise RequestError(str(error), status=422, code="audio", field="source") from error
    return Response(made.body, media_type=made.media_type, headers={**headers, **made.headers})


def _tags(request: Request) -> list[str]:
    """Return the tags of what the page has already."""
    given = request.headers.get("if-none-match", "")
    return [tag.strip().removeprefix("W/") for tag in given.split(",")]


class _Played:
    """Sources with what it takes to play them, and the overviews that scans keep of them."""

    def __init__(self, state: ServerState) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._probed: dict[tuple[str, tuple[int, int]], tuple[float, int]] = {}
        # Of each scan: when its kept steps changed, the store, keys by content.
        self._stores: dict[str, tuple[int, StepStore, dict[str, str]]] = {}

    def find(self, id: str, *, may_be_gone: bool = False) -> PlayedSource:
        """Return a source; what is not known of it is read from its file's header.

        Raises:
            UnknownSourceError: There is none of that id.
            RecordingGoneError: It has to be read, and the file is gone.
            AudioError: It cannot be read.
        """
        source = self._state.sources.find(id)
        duration_s, rate = source.duration_s, source.sample_rate
        if duration_s is None and source.end_s is not None:
            duration_s = source.end_s - source.start_s
        if rate is None or duration_s is None:
            if may_be_gone and not source.path.is_file():
                rate, duration_s = rate or 1, duration_s or 0.0
            else:
                whole_s, rate = self._probe(source)
                duration_s = whole_s - source.start_s if duration_s is None else duration_s
        return PlayedSource(
            id=source.id,
            name=source.name,
            path=source.path,
            start_s=source.start_s,
            duration_s=duration_s,
            sample_rate=rate,
        )

    def kept_overview(self, id: str) -> Callable[[], Overview | None]:
        """Return what reads the overview that a scan keeps of a recording."""
        source = self._state.sources.find(id)

        def read() -> Overview | None:
            if source.kind != "recording":
                return None
            for name, review in self._state.reviews.items():
                found = self._store(name, review.folder, source.sha256)
                if found is None:
                    continue
                store, key = found
                levels = store.overview(key)
                if len(levels):
                    rate = store.settings.fingerprint.sample_rate * store.settings.slow
                    return Overview.of(levels, store.settings.step_s, rate / 2)
            return None

        return read

    def _store(self, name: str, folder: Path, sha256: str) -> tuple[StepStore, str] | None:
        """Return the store of a scan and the key of a recording in it; ``None`` for neither."""
        with self._lock:
            known = self._stores.get(name)
            try:
                vectors = vectors_folder(folder)
                changed_ns = vectors.stat().st_mtime_ns
                if known is None or known[0] != changed_ns:
                    store = StepStore.open(vectors)
                    known = self._stores[name] = changed_ns, store, _keys_by_content(store)
            except (OSError, ScanError):  # the steps were removed: the events are still there
                return None
        _, store, keys = known
        key = keys.get(sha256)
        return None if key is None or key not in store else (store, key)

    def _probe(self, source: Source) -> tuple[float, int]:
        key = (source.id, file_version(source.path, source.name))
        found = self._probed.get(key)
        if found is None:
            info = probe_isolated(source.path, limits=STRETCH_OF_LONG)
            found = self._probed[key] = info.duration_s, info.sample_rate
        return found


def _keys_by_content(store: StepStore) -> dict[str, str]:
    found: dict[str, str] = {}
    if store.settings.overview_bands == OVERVIEW_BANDS:
        for key in store.keys():  # noqa: SIM118 - it is no mapping
            with suppress(ScanError):  # one that is damaged hides no other
                found[store.about(key).sha256] = key
    return found
