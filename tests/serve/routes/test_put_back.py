"""A recording that is taken away and put back while the server runs."""

from pathlib import Path

import pytest

from tests.serve.routes.conftest import OpenServer


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_recording_that_is_put_back_is_there_again(
    folder: Path, open_server: OpenServer, monkeypatch: pytest.MonkeyPatch, elsewhere: bool
) -> None:
    night, away = folder / "night", folder / "away"
    night.rename(away)
    if elsewhere:  # where only what lies beside the scan is found
        (folder / "other").mkdir()
        monkeypatch.chdir(folder / "other")
    server = open_server()
    item = server.get("/api/queue", n=1).json()["items"][0]
    played = f"/api/audio/{item['source']}"

    def seen() -> tuple[int, bool, bool]:
        server.post("/api/queue/release")
        (now,) = server.get("/api/queue", n=1).json()["items"]
        row = server.get("/api/recordings").json()["recordings"][0]
        found = server.get(played, start_s=1, end_s=2)
        return found.status_code, row["missing"], now["missing"]

    assert seen() == (410, True, True)
    for _ in range(2):
        away.rename(night)
        assert seen() == (200, False, False)
        night.rename(away)
        assert seen() == (410, True, True)
    away.rename(night)
    said = server.post("/api/labels", item=item["item"], label="wren", polarity="positive")
    assert said.status_code == 201
