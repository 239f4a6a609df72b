"""Faults of media: numbers that a view or a stretch cannot have, and recordings that are gone."""

from __future__ import annotations

from earful.serve.faults import RequestError


class MediaRangeError(RequestError):
    """A number that a view or a stretch cannot have: status 422.

    Args:
        message: What is wrong.
        field: Its name in the request.
    """

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message, code="out_of_range", field=field)


class RecordingGoneError(RequestError):
    """A recording that is no longer where it was when it was scanned or indexed: status 410."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status=410, code="gone", field="source")
