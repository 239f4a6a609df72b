"""ServerState: what a server has opened, and what is made on first use."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from earful.errors import ScanMismatchError
from earful.serve.settings import ServeSettings
from earful.serve.sources import Sources
from earful.serve.uploads import Uploads
from earful.serve.work import Changes, FairQueue
from earful.wording import as_argument, quoted

if TYPE_CHECKING:
    from earful.index import Index
    from earful.rag import FewShot
    from earful.rag.scan import Events
    from earful.rag.task import Task

_log = logging.getLogger(__name__)

Result = TypeVar("Result")


class ServerState:
    """An index, scans under review, and what the server does with them.

    Args:
        index: The index.
        settings: Where and how the page is served.
        task: The question, if another than "which label of the index".
        model: Name or folder of the language model that answers; ``"none"`` for the vote alone.
        scans: Result folders of scans.
        device: Device of all models.

    Attributes:
        settings: As given.
        task: As given.
        model: As given.
        sources: Audio by id.
        uploads: What pages have sent.
        work: Queue of heavy calls.
        changes: What pages are told.
        scans: Scans by the name of their folder.
    """

    def __init__(
        self,
        index: Index,
        settings: ServeSettings,
        *,
        task: Task | None = None,
        model: str = "none",
        scans: Mapping[str, Events] | None = None,
        device: str = "auto",
    ) -> None:
        self.settings = settings
        self.task = task
        self.model = model
        self.device = device
        self.scans: dict[str, Events] = dict(scans or {})
        self.changes = Changes(settings.max_streams)
        self.work = FairQueue(settings.max_waiting)
        self.uploads = Uploads(settings)
        self.sources = Sources(
            self.read_index, lambda id: self.uploads.find(id).source, self.uploads.sources
        )
        for found in self.scans.values():
            self.sources.add_scan(found)
        self._index = index
        self._index_lock = threading.RLock()
        self._few_shot_lock = threading.Lock()
        self._few_shot: FewShot | None = None
        self._seen_rows = index.state

    @property
    def index_path(self) -> Path:
        """Folder of the index."""
        return self._index.path

    def read_index(self, read: Callable[[Index], Result]) -> Result:
        """Call a function with the index, as it is now, while nobody else uses it.

        What other processes have written since is read first, and told to pages.
        """
        with self._index_lock:
            self._index.refresh()
            state = self._index.state
            if state != self._seen_rows:
                self._seen_rows = state
                self.changes.publish("index", {"n": len(self._index)})
            return read(self._index)

    def few_shot(self) -> FewShot:
        """Return what answers questions; made on first use, and kept.

        One caller at a time may use it: run it by ``work``.
        """
        from earful.index import Index
        from earful.rag import FewShot

        with self._few_shot_lock:
            if self._few_shot is None:
                _log.info("loading what answers questions")
                model = None if self.model in ("", "none") else self.model
                self._few_shot = FewShot.open(
                    Index.open(self.index_path), model=model, device=self.device
                )
            opened = self._few_shot.index
            if opened is not None:
                opened.refresh()
            return self._few_shot

    @property
    def is_loaded(self) -> bool:
        """Whether the encoder and the model are in memory."""
        return self._few_shot is not None

    @property
    def opened_paths(self) -> tuple[Path, ...]:
        """Files and folders that are opened, whose places no message may tell."""
        return (
            self.index_path,
            self.uploads.folder,
            *(found.folder for found in self.scans.values() if found.folder is not None),
        )

    def close(self) -> None:
        """End what runs, and remove what was uploaded."""
        self.changes.close()
        self.work.close()
        self.uploads.close()


def open_state(
    index: str | Path,
    settings: ServeSettings,
    *,
    scans: Sequence[str | Path] = (),
    task: str | Path = "",
    model: str = "none",
    device: str = "auto",
    allow_outside: bool = False,
) -> ServerState:
    """Open an index and scans for a server.

    Args:
        index: Index folder.
        settings: Where and how the page is served.
        scans: Result folders of scans.
        task: Task file, or the name of a built-in task; empty for none.
        model: Language model; ``"none"`` for the vote alone.
        device: Device of all models.
        allow_outside: Whether a task's examples may lie outside its folder.

    Raises:
        IndexFolderError: The index is missing or damaged.
        ScanError: A scan is missing or damaged.
        ScanMismatchError: Two scans have one name, or one was made by another encoder than the
            index.
        TaskError: The task has mistakes.
    """
    from earful.index import Index
    from earful.rag.scan import Events
    from earful.rag.task import load_task

    opened = Index.open(index)
    found: dict[str, Events] = {}
    for folder in scans:
        scan = Events.open(folder)
        name = Path(folder).absolute().name
        if name in found:
            raise ScanMismatchError(
                f"two scans are called {quoted(name)}; rename the folder of one of them"
            )
        _require_same_encoder(opened, scan, Path(folder))
        found[name] = scan
    return ServerState(
        opened,
        settings,
        task=load_task(task, allow_outside=allow_outside) if task else None,
        model=model,
        scans=found,
        device=device,
    )


def _require_same_encoder(index: Index, scan: Events, folder: Path) -> None:
    """Refuse a scan whose encoder is not that of the index."""
    said: Any = scan.scan.get("fingerprint", {})
    name = said.get("name") if isinstance(said, Mapping) else None
    own = index.fingerprint
    if name is not None and (name, said.get("weights_sha256", own.weights_sha256)) != (
        own.name,
        own.weights_sha256,
    ):
        raise ScanMismatchError(
            f"{folder}: was made by the encoder {quoted(name)}, and the index {index.path} by "
            f"{quoted(own.name)}; expected one encoder: earful scan --embedder "
            f"{as_argument(own.name)} makes a scan that fits"
        )
