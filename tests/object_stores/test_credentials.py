"""Without credentials: said first, with what to set, and never mixed up with another fault."""

from typing import Any

import pytest

from earful.errors import StoreError
from earful.object_stores import ObjectStore, parse_location

pytest.importorskip("obstore")
ASKED = {
    "s3": "Error performing PUT http://169.254.169.254/latest/api/token in 6 ms",
    "gs": "Error performing token request: GET http://metadata.google.internal/computeMetadata",
    "az": "Error performing token request: GET http://169.254.169.254/metadata/identity",
}
SET = {
    "s3": "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION, or run on a machine",
    "gs": "set GOOGLE_SERVICE_ACCOUNT to the path of a service account's JSON, or log in",
    "az": "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}


def failing(monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
    import obstore

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError(reason)

    for name in ("head", "get", "put", "list", "delete"):
        monkeypatch.setattr(obstore, name, fail)


@pytest.mark.parametrize("scheme", ASKED)
def test_what_is_missing_is_said_first(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, f"Generic error: {ASKED[scheme]}")
    address = f"{scheme}://sounds/birds.index"
    store = ObjectStore(parse_location(address), client=object())
    for ask in (
        lambda: store.head("a"),
        lambda: store.read("a", max_bytes=9),
        lambda: store.create("a", b""),
        lambda: store.upload("a", b""),
        lambda: list(store.list()),
        lambda: store.delete(["a"]),
    ):
        with pytest.raises(StoreError) as caught:
            ask()
        said = str(caught.value)
        assert said.startswith(f"no credentials for {address}: {SET[scheme]}")
        assert "--storage-option anonymous=true" in said
        assert said.index("anonymous") < said.index(ASKED[scheme])


def test_an_azure_account_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_CONNECTION_STRING"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(StoreError, match=r"no credentials for az://sounds: .*account=NAME"):
        ObjectStore(parse_location("az://sounds"))


def test_another_fault_is_told_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, "error sending request for url http://10.0.0.1/sounds")
    store = ObjectStore(parse_location("s3://sounds"), client=object())
    with pytest.raises(StoreError, match=r"cannot be reached or refuses .*AWS_ACCESS_KEY_ID"):
        store.head("a")
