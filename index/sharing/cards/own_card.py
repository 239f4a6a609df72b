"""A card that a user wrote, or changed, in place of the usual one."""

from __future__ import annotations

from pathlib import Path

from earful.errors import SharingError


def read_card(path: Path) -> str:
    """Read a card that a user wrote, or changed.

    Raises:
        SharingError: It cannot be read, or has no front matter that the hub's client can read.
    """
    from huggingface_hub import DatasetCard

    try:
        text = path.read_text(encoding="utf-8")
        data: dict[str, object] = DatasetCard(text).data.to_dict()  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise SharingError(f"{path}: is no card ({error}); `earful index card` writes one") from (
            error
        )
    except Exception as error:  # YAML's own, whichever library the client uses
        raise SharingError(
            f"{path}: its front matter is no YAML ({str(error).splitlines()[0]}); `earful index "
            "card` writes one"
        ) from error
    if "license" not in data:
        raise SharingError(
            f"{path}: its front matter names no license; `earful index card` writes one that does"
        )
    return text
