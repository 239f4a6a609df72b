"""Jobs that push and pull an index, for ``reliability/test_kills_sharing.py``."""

import os
from collections.abc import Callable
from pathlib import Path

import huggingface_hub.constants
from huggingface_hub import HfApi, hf_hub_download  # noqa: F401 - so that no fork has to import it

from earful.index import pull_index, push_index
from earful.index.sharing.places.hub import HubPlace
from earful.index.sharing.places.place import Progress, Sending

Say = Callable[[str, int], None]


def use_hub(address: str, token: str) -> None:
    """Let this process talk to a stub."""
    os.environ |= {"HF_ENDPOINT": address, "HF_TOKEN": token}
    huggingface_hub.constants.HF_HUB_OFFLINE = False
    huggingface_hub.constants.HF_HUB_DISABLE_XET = True


def push(index: str, place: str, address: str, token: str, *, say: Say) -> None:
    use_hub(address, token)
    say("begin", 0)
    push_index(index, place)
    say("safe", 1)


def push_piecemeal(index: str, place: str, address: str, token: str, *, say: Say) -> None:
    """Commit each file by itself."""
    send = HubPlace.send

    def send_each(hub: HubPlace, sending: Sending, progress: Progress | None) -> str:
        parent = sending.parent
        for file in sending.files:
            one = Sending(
                folder=sending.folder,
                files=(file,),
                remove=(),
                message=sending.message,
                parent=parent,
                private=False,
            )
            parent = send(hub, one, progress)
        return parent

    HubPlace.send = send_each  # type: ignore[method-assign,assignment]
    push(index, place, address, token, say=say)


def pull(place: str, index: str, address: str, token: str, *, say: Say) -> None:
    use_hub(address, token)
    say("begin", 0)
    pull_index(place, Path(index), embedder="direct")
    say("safe", 1)
