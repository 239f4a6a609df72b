"""Credentials: the variables that hold them, and what to say where there are none."""

from __future__ import annotations

from typing import Final

from earful.errors import StoreError
from earful.object_stores.location import Location

_VARIABLES: Final = {
    "s3": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION",
    "gs": "GOOGLE_SERVICE_ACCOUNT",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
_ALSO: Final = {
    "s3": ", or run on a machine whose cloud gives it a role",
    "gs": " to the path of a service account's JSON, or log in with `gcloud auth "
    "application-default login`",
    "az": ", or run on a machine whose cloud gives it an identity",
}
# Where a cloud's machines ask for credentials of their own: the last place to look for any.
_OWN_CREDENTIALS: Final = ("169.254.169.254", "169.254.170.2", "metadata.google.internal")
_NO_ACCOUNT: Final = "Account must be specified"


def credential_variables(location: Location) -> str:
    """Return the names of the variables that hold credentials, in words."""
    return _VARIABLES[location.scheme]


def require_credentials(location: Location, reason: str) -> None:
    """Refuse to blame anything else where nobody gave credentials.

    Args:
        location: What was asked for.
        reason: What the store's library said.

    Raises:
        StoreError: There are none; the message begins with that, and says what to set.
    """
    if _NO_ACCOUNT not in reason and not any(place in reason for place in _OWN_CREDENTIALS):
        return
    account = " (or --storage-option account=NAME)" if location.scheme == "az" else ""
    raise StoreError(
        f"no credentials for {location}: set {_VARIABLES[location.scheme]}{account}"
        f"{_ALSO[location.scheme]}; of a public one give --storage-option anonymous=true. None "
        f"were in the environment, and the cloud gave this machine none ({reason})"
    )
