import socket
from pathlib import Path

import httpx
import pytest
from huggingface_hub import constants

from earful.model.runtime import hub_trouble, place_on_hub

WEIGHTS = ("model.safetensors", "pytorch_model.bin")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    return tmp_path


def test_weights_are_cached_or_to_be_had_or_neither(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in ("1", "true", "YES"):
        monkeypatch.setenv("HF_HUB_OFFLINE", value)
        assert place_on_hub("owner/name", one_of=WEIGHTS) == ""
    for value in ("", "0", "False"):
        monkeypatch.setenv("HF_HUB_OFFLINE", value)
        assert place_on_hub("owner/name", one_of=WEIGHTS) == "hub"
    monkeypatch.delenv("HF_HUB_OFFLINE")
    assert place_on_hub("owner/name", one_of=WEIGHTS) == "hub"
    # In the layout of the hub's own client.
    repository = cache / "models--owner--name"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs/main").write_text("abc")
    (repository / "snapshots/abc").mkdir(parents=True)
    (repository / "snapshots/abc/config.json").write_text("{}")
    assert place_on_hub("owner/name", one_of=WEIGHTS) == "hub"
    (repository / "snapshots/abc/pytorch_model.bin").write_bytes(b"")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert place_on_hub("owner/name", one_of=WEIGHTS) == "cache"
    assert place_on_hub("owner/other", one_of=WEIGHTS) == ""


def raised(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        raised(RuntimeError("no such model"), socket.gaierror(-2, "Name or service not known")),
        httpx.ConnectError("[Errno -2] Name or service not known"),
        httpx.ReadTimeout("Name or service not known"),
    ],
)
def test_a_hub_that_is_not_reached_is_told_from_one_that_refuses(error: Exception) -> None:
    told = hub_trouble(error, "https://hub.example")
    assert told.startswith("https://hub.example cannot be reached (")
    assert "Name or service not known" in told
    request = httpx.Request("GET", "https://hub.example")
    refused = httpx.HTTPStatusError(
        "401", request=request, response=httpx.Response(401, request=request)
    )
    assert hub_trouble(raised(refused, error)) == ""
    assert hub_trouble(ValueError("nothing of the kind")) == ""
