"""Storage options: what may be one, and that no secret is."""

import pytest

from earful.errors import StoreError
from earful.object_stores import set_storage_options, storage_options


@pytest.mark.parametrize(
    ("options", "keyword"),
    [
        ({"aws_secret_access_key": "s3cr3t-value"}, "environment variable"),
        ({"token": "s3cr3t-value"}, "environment variable"),
        ({"endpoint": "https://me:s3cr3t-value@host"}, "without a password"),
        ({"speed": "s3cr3t-value"}, "expected one of endpoint"),
        ({"timeout_s": "soon"}, "whole number"),
    ],
)
def test_storage_options_are_checked_and_never_repeated(
    options: dict[str, str], keyword: str
) -> None:
    with pytest.raises(StoreError, match=keyword) as caught:
        set_storage_options(options)
    assert "s3cr3t-value" not in str(caught.value)


def test_options_are_read_as_what_they_are() -> None:
    try:
        set_storage_options({"timeout_s": "9", "allow_http": "true", "region": "eu"})
        assert storage_options() == {"timeout_s": 9, "allow_http": True, "region": "eu"}
        set_storage_options({})
        assert storage_options() == {}
    finally:
        set_storage_options({})
