"""Manifests: what a stranger may write into one, and what of it is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.errors import StoreError
from earful.index.remote import PUBLISHED_FILES, Entry, Manifest, is_published
from earful.index.storage import APPROXIMATE_NAME, CHECKSUMS_NAME, HEADER_NAME, REJECTED_NAME

DIGEST = "ab" * 32
GOOD = {
    "format": 1,
    "published": "2026-11-30T10:00:00+00:00",
    "nonce": "x",
    "files": {
        "index.json": {"size": 3, "sha256": DIGEST},
        "table/exemplars.lance/data/a.lance": {"size": 5, "sha256": "cd" * 32},
    },
    "dropped": {"ef" * 32: "2026-11-29T10:00:00+00:00"},
}


def read(values: Any) -> Manifest:
    return Manifest.from_bytes(json.dumps(values).encode(), "s3://sounds/x.index")


def test_a_manifest_by_hand() -> None:
    found = read(GOOD)
    assert found.files["index.json"] == Entry(size_bytes=3, sha256=DIGEST)
    assert found.files["index.json"].object_name == f"objects/{DIGEST}"
    assert Manifest.from_bytes(found.to_bytes(), "x") == found


@pytest.mark.parametrize(
    "name",
    [
        "../index.json",
        "/etc/cron.d/x",
        "table/../../x",
        "table//x",
        "table/./x",
        "table\\x",
        "table/x\n",
        "table/.hidden",
        ".lock",
        "features/a",
        "snapshot/a",
        "",
        "index.json/a",
        "table",
        "table/" + "x" * 2000,
    ],
)
def test_a_name_that_no_index_has_is_refused(name: str) -> None:
    files = {**GOOD["files"], name: {"size": 1, "sha256": DIGEST}}  # type: ignore[dict-item]
    with pytest.raises(StoreError, match="is damaged"):
        read({**GOOD, "files": files})


@pytest.mark.parametrize(
    "entry",
    [
        {"size": -1, "sha256": DIGEST},
        {"size": 1 << 60, "sha256": DIGEST},
        {"size": True, "sha256": DIGEST},
        {"size": 1.5, "sha256": DIGEST},
        {"size": 1, "sha256": "../../x"},
        {"size": 1, "sha256": DIGEST.upper()},
        {"size": 1, "sha256": None},
        {"size": 1},
        [],
    ],
)
def test_a_size_or_digest_that_is_none_is_refused(entry: Any) -> None:
    with pytest.raises(StoreError, match="is damaged"):
        read({**GOOD, "files": {"index.json": entry}})


@pytest.mark.parametrize(
    "change",
    [
        {"format": 0},
        {"format": True},
        {"format": "1"},
        {"files": []},
        {"dropped": {"../x": "2026-11-29T10:00:00+00:00"}},
        {"dropped": {DIGEST: "yesterday"}},
        {"dropped": {DIGEST: "2026-11-29T10:00:00"}},
        {"published": 7},
    ],
)
def test_other_damage_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(StoreError, match="is damaged"):
        read({**GOOD, **change})


def test_a_file_that_is_a_folder_of_another_is_refused() -> None:
    entry = {"size": 1, "sha256": DIGEST}
    with pytest.raises(StoreError, match="which is a file"):
        read({**GOOD, "files": {"table/a": entry, "table/a/b": entry}})


def test_a_newer_format_names_the_way_out() -> None:
    with pytest.raises(StoreError, match=r"manifest format 2; .* Upgrade earful"):
        read({**GOOD, "format": 2})


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_an_error_or_a_manifest(data: bytes) -> None:
    with pytest.raises(StoreError):
        Manifest.from_bytes(data, "s3://sounds/x.index")


NAMES = st.sampled_from(["index.json", "checksums.txt", "table/a", "table/b/c", "table/b/d"])


@given(st.dictionaries(NAMES, st.integers(0, 1 << 40)), st.text(max_size=10))
def test_what_is_written_is_read(sizes: dict[str, int], nonce: str) -> None:
    nonce = nonce.encode("utf-8", "replace").decode()
    files = {name: Entry(size_bytes=size, sha256=DIGEST) for name, size in sizes.items()}
    made = Manifest(files=files, published="2026-11-30T10:00:00+00:00", nonce=nonce)
    assert Manifest.from_bytes(made.to_bytes(), "x") == made


def test_every_file_of_an_index_is_published_and_no_cache_is() -> None:
    own = {HEADER_NAME, CHECKSUMS_NAME, APPROXIMATE_NAME, REJECTED_NAME, "labels.jsonl"}
    assert own == set(PUBLISHED_FILES)
    caches = ("features", "replays", "answers", "prepared", "snapshot", "staging", "_quarantine")
    assert not any(is_published(f"{name}/a") for name in caches)
