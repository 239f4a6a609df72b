"""Endpoints on this machine, and a home of their own for what is kept."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from earful.model.endpoint import EndpointLanguageModel, EndpointSettings
from earful.testing.stub_endpoint import StubEndpoint, serve_stub

# Found and not imported: it takes seconds, whichever tests are asked for.
if find_spec("openai") is None:
    pytest.skip("needs openai", allow_module_level=True)

Open = Callable[..., EndpointLanguageModel]


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARFUL_HOME", str(tmp_path / "home"))
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "EARFUL_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def serve() -> Iterator[Callable[[StubEndpoint], StubEndpoint]]:
    """Serve stubs until the test ends."""
    with ExitStack() as stack:
        yield lambda stub: stack.enter_context(serve_stub(stub))


@pytest.fixture
def open_model(serve: Callable[[StubEndpoint], StubEndpoint]) -> Open:
    """Serve a stub and open the model behind it, without a check."""

    def open_it(stub: StubEndpoint, name: str = "ears-7b", **settings: Any) -> Any:
        serve(stub)
        return EndpointLanguageModel(name, EndpointSettings(base_url=stub.address, **settings))

    return open_it
