"""Addresses: what is one, and the paths that stand for objects."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.errors import StoreError
from earful.object_stores import (
    Location,
    ObjectStore,
    is_address,
    location_at,
    parse_location,
    shown_path,
    stored_path,
)

PARTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\?"),
    min_size=1,
    max_size=8,
).filter(lambda part: part not in (".", ".."))


@pytest.mark.parametrize("path", ["a.wav", "/a/b", "C:\\a.wav", "c:/a", "~/x", "night:2.wav", ""])
def test_a_path_is_no_address(path: str) -> None:
    assert not is_address(path)
    assert location_at(path) is None


@given(
    st.sampled_from(["s3", "gs", "az"]), st.from_regex(r"[a-z0-9]{3,20}", fullmatch=True),
    st.lists(PARTS, max_size=4),
)  # fmt: skip
def test_an_address_is_read_as_it_is_written(scheme: str, bucket: str, parts: list[str]) -> None:
    made = Location(scheme=scheme, bucket=bucket, key="/".join(parts))
    assert is_address(str(made))
    assert parse_location(str(made)) == made
    assert location_at(stored_path(made)) == made
    assert shown_path(stored_path(made)) == str(made)


@pytest.mark.parametrize(
    "address",
    ["s3:bucket", "s3://", "s3://a", "s3://b b/x", "s3://bucket//x", "s3://bucket/a/./b",
     "s3://bucket/a\nb", "s3://bucket/" + "x" * 1025, "ftp://bucket/x", "s3://bucket/a?versionId=1"],
)  # fmt: skip
def test_what_is_malformed_is_refused(address: str) -> None:
    with pytest.raises(StoreError):
        parse_location(address)


def test_a_path_elsewhere_with_the_same_folders_stands_for_nothing(tmp_path: Path) -> None:
    assert location_at(tmp_path / "stores" / "tree" / "s3" / "bucket" / "x") is None


def test_a_store_is_never_pickled_and_shows_no_more_than_its_address() -> None:
    import pickle

    store = ObjectStore(parse_location("s3://bucket/x"), client=object())
    assert repr(store) == "ObjectStore('s3://bucket/x')"
    with pytest.raises(TypeError, match="credentials"):
        pickle.dumps(store)
