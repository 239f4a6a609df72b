"""Sources: where an exemplar lies in a recording that a scan has looked at."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from earful.serve.sources import Source, Sources, recording_id

SHA = "0123456789abcdef" * 4


def sources_of(folder: Path, *recordings: str) -> Sources:
    def nothing(_: Any) -> Any:
        return {}

    sources = Sources(nothing, nothing)
    rows = [
        SimpleNamespace(recording=name, sha256=SHA, duration_s=300.0, sample_rate=48_000)
        for name in recordings
    ]
    events: Any = SimpleNamespace(recordings=rows, folder=folder / "night.scan")
    sources.add_scan(events, "night.scan")
    return sources


def exemplar(path: Path, **more: Any) -> Source:
    return Source(id="x-1", kind="exemplar", path=path, start_s=12.0, end_s=14.0, **more)


def test_an_exemplar_is_found_in_its_recording_by_whatever_path(tmp_path: Path) -> None:
    (tmp_path / "night").mkdir()
    path = tmp_path / "night" / "a.wav"
    path.touch()
    (tmp_path / "link.wav").symlink_to(path)
    sources = sources_of(tmp_path, "night/a.wav")
    wanted = {"source": recording_id(SHA), "scan": "night.scan", "start_s": 12.0, "end_s": 14.0}
    for other in (path, tmp_path / "night" / ".." / "night" / "a.wav", tmp_path / "link.wav"):
        assert sources.in_recording(exemplar(other)) == wanted


def test_what_is_in_no_scan_has_no_place(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.touch()
    sources = sources_of(tmp_path, "a.wav")
    assert sources.in_recording(exemplar(tmp_path / "b.wav")) is None
    upload = Source(id="u-1", kind="upload", path=path)
    assert sources.in_recording(upload) is None
