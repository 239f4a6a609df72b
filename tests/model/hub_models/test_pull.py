"""Fetching a model from a hub on this machine, and using it offline from then on."""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from earful.errors import LicenceError, ModelError, UnknownNameError
from earful.model import load_language_model
from earful.model.hub_models import is_hub_id, open_hub_folder, pull_hub_model, read_licence
from tests.model.hub_models.conftest import ask, noise

COMMIT = "d" * 40
NAME = "someone/tiny-flamingo"


class Hub:
    """A folder that is served as a model, and what was asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fetched: list[str] = []

    def describe(self) -> dict[str, object]:
        files = [path for path in sorted(self.folder.iterdir()) if path.is_file()]
        return {
            "id": NAME,
            "modelId": NAME,
            "sha": COMMIT,
            "siblings": [
                {
                    "rfilename": path.name,
                    "size": path.stat().st_size,
                    "blobId": digest(path)[:40],
                    **({"lfs": large(path)} if path.suffix == ".safetensors" else {}),
                }
                for path in files
            ]
            + [{"rfilename": "original/consolidated.safetensors", "size": 1 << 40}],
        }


def large(path: Path) -> dict[str, object]:
    return {"sha256": digest(path), "size": path.stat().st_size, "pointerSize": 134}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def hub(
    folder_of: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Hub]:
    import shutil

    served = Hub(Path(shutil.copytree(folder_of("audioflamingo3"), tmp_path / "published")))
    (served.folder / "pytorch_model.bin").write_bytes(b"a pickle")

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, *, with_body: bool) -> None:
            path = self.path.partition("?")[0]
            if path.startswith(f"/api/models/{NAME}"):
                content, etag = json.dumps(served.describe()).encode(), ""
            elif path.startswith(f"/{NAME}/resolve/{COMMIT}/"):
                file = served.folder / path.rpartition("/")[2]
                content = file.read_bytes()
                large = file.suffix == ".safetensors"
                etag = digest(file) if large else digest(file)[:40]
                if with_body:
                    served.fetched.append(file.name)
            else:
                self.send_error(404)
                return
            self.send_response(200)
            if etag:
                self.send_header("ETag", f'"{etag}"')
                self.send_header("X-Linked-Etag", f'"{etag}"')
                self.send_header("X-Linked-Size", str(len(content)))
                self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if with_body:
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("EARFUL_HOME", str(tmp_path / "home"))
    for place, value in (
        ("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache")),
        ("huggingface_hub.constants.HF_HUB_OFFLINE", False),
        ("huggingface_hub.constants.HF_HUB_DISABLE_XET", True),
        ("huggingface_hub.constants.ENDPOINT", address),
        (
            "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
            address + "/{repo_id}/resolve/{revision}/{filename}",
        ),
        ("huggingface_hub.file_download.HF_HUB_OFFLINE", False),
    ):
        monkeypatch.setattr(place, value, raising=False)
    monkeypatch.setattr("huggingface_hub.hf_api.api.endpoint", address)
    monkeypatch.setattr(
        "huggingface_hub.HfApi", lambda: __import__("huggingface_hub.hf_api").hf_api.HfApi(address)
    )
    yield served
    server.shutdown()
    server.server_close()
    thread.join()


def write_card(hub: Hub, front: str) -> None:
    (hub.folder / "README.md").write_text(f"---\n{front}\n---\n# tiny\n", encoding="utf-8")


def test_a_model_is_fetched_once_and_used_at_its_commit(hub: Hub) -> None:
    with pytest.raises(UnknownNameError, match=f"earful models pull {NAME}"):
        load_language_model(NAME)
    told: list[str] = []
    report = pull_hub_model(NAME, accept_licence=False, progress=told.append)
    licence = next(line for line in told if "licence" in line)
    assert licence == f"{NAME}: Audio Flamingo 3, licence: apache-2.0"
    assert not any("model.safetensors" in line for line in told[: told.index(licence)])
    assert (report.revision, report.licence) == (COMMIT, "apache-2.0")
    assert "pytorch_model.bin" not in hub.fetched
    assert "consolidated.safetensors" not in hub.fetched
    hub.fetched.clear()
    pull_hub_model(NAME, accept_licence=False)
    assert not hub.fetched
    opened = open_hub_folder(NAME)
    assert opened.revision == COMMIT
    model = load_language_model(NAME, device="cpu")
    assert model.capabilities.licence == "apache-2.0"
    assert model.capabilities.name == NAME
    local = load_language_model(hub.folder, device="cpu")
    prompt = ask(noise(0.5), noise(0.5, 1))
    assert model.score(prompt, ["x"])[0].tolist() == local.score(prompt, ["x"])[0].tolist()
    assert model.capabilities.weights_sha256 == local.capabilities.weights_sha256


def test_a_licence_is_accepted_before_weights_are_fetched(hub: Hub) -> None:
    write_card(hub, "license: other\nlicense_name: nvidia-oneway-noncommercial")
    with pytest.raises(LicenceError, match=r"nvidia-oneway.*--accept-licence"):
        pull_hub_model(NAME, accept_licence=False)
    assert set(hub.fetched) == {"README.md", "config.json"}
    report = pull_hub_model(NAME, accept_licence=True)
    assert report.licence == "nvidia-oneway-noncommercial"


def test_what_is_not_asked_is_refused_before_weights_are_fetched(hub: Hub) -> None:
    (hub.folder / "config.json").write_text('{"model_type": "whisper"}', encoding="utf-8")
    with pytest.raises(ModelError, match="only writes down speech"):
        pull_hub_model(NAME, accept_licence=True)
    assert hub.fetched == ["config.json"]


def test_a_model_that_does_not_exist(hub: Hub) -> None:
    with pytest.raises(ModelError, match="someone/else: cannot be found on the hub"):
        pull_hub_model("someone/else", accept_licence=True)
    assert not hub.fetched


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ("---\nlicense: mit\n---\n", "mit"),
        ("---\nlicense: other\nlicense_name: gemma\n---\n", "gemma"),
        (
            "---\nlicense: other\nlicense_name: a\nlicense_link: https://b.example/c\n---\n",
            "a, https://b.example/c",
        ),
        ("# no front matter", ""),
        ("---\nlicense: [1, 2\n---\n", ""),
        ("---\n- a list\n---\n", ""),
        ("---", ""),
    ],
)
def test_reads_the_licence_of_a_card(card: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(card, encoding="utf-8")
    assert read_licence(path) == expected


def test_a_folder_without_a_card_has_no_licence(tmp_path: Path) -> None:
    assert read_licence(tmp_path / "README.md") == ""


def test_tells_hub_ids_from_paths() -> None:
    assert is_hub_id("nvidia/audio-flamingo-3-hf@abc")
    assert not any(map(is_hub_id, ["earful-small", "./x", "/x/y", "a/b/c", "../x/y"]))
