"""ServerState: what a server has opened, and what is made on first use."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from earful.errors import ScanMismatchError, ServeError
from earful.index.labels import journal_path
from earful.serve.faults import hide_paths
from earful.serve.reviewing import Desk
from earful.serve.settings import ServeSettings, new_token
from earful.serve.sources import Sources
from earful.serve.uploads import Uploads
from earful.serve.work import Changes, Commits, FairQueue, Jobs, share_arenas
from earful.wording import counted, quoted

if TYPE_CHECKING:
    from earful.index import Index
    from earful.index.storage import IndexFolder
    from earful.model import Embedder
    from earful.rag import FewShot
    from earful.rag.review import ReviewSession
    from earful.rag.task import Task

_log = logging.getLogger(__name__)

Result = TypeVar("Result")

INDEX_REVIEW: Final = "index"
"""Name of the review of the index's own rows."""


class Reviews(Mapping[str, "ReviewSession"]):
    """Reviews by name: scans that are open, and the doubtful rows of the index when asked for.

    Args:
        open_index: Opens the review of the index, which looks at all its rows.
    """

    def __init__(self, open_index: Callable[[], ReviewSession]) -> None:
        self._open_index = open_index
        self._opened: dict[str, ReviewSession] = {}
        self._lock = threading.Lock()

    def __getitem__(self, name: str) -> ReviewSession:
        if name == INDEX_REVIEW:
            with self._lock:
                if name not in self._opened:
                    self._opened = {**self._opened, name: self._open_index()}
        return self._opened[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._opened)

    def __len__(self) -> int:
        return len(self._opened)

    def add(self, session: ReviewSession) -> None:
        """Add a scan under review."""
        with self._lock:
            self._opened = {**self._opened, session.name: session}


class ServerState:
    """An index, scans under review, and what the server does with them.

    Args:
        index: The index.
        settings: Where and how the page is served.
        task: The question, if another than "which label of the index".
        model: Name or folder of the language model that answers; ``"none"`` for the vote alone.
        reviews: Scans under review, by name.
        folders: Folders of recordings that pages may have scanned, by name.
        device: Device of all models.

    Attributes:
        settings: As given.
        task: As given.
        model: As given.
        folders: As given.
        sources: Audio by id.
        uploads: What pages have sent.
        work: Queue of heavy calls.
        jobs: Work of minutes.
        changes: What pages are told.
        commits: Commits of labels into the index.
        desk: Reviews as pages see them.
        tickets: Secrets that open the page once.
    """

    def __init__(
        self,
        index: Index,
        settings: ServeSettings,
        *,
        task: Task | None = None,
        model: str = "none",
        reviews: Mapping[str, ReviewSession] | None = None,
        folders: Mapping[str, Path] | None = None,
        device: str = "auto",
    ) -> None:
        self.settings = settings
        self.task = task
        self.model = model
        self.folders = dict(folders or {})
        self.device = device
        self.tickets: set[str] = set()
        self.changes = Changes(settings.max_streams)
        self.work = FairQueue(settings.max_waiting)
        self.jobs = Jobs(self.changes, self.explain)
        self.commits = Commits(self._commit, self.changes, self.explain)
        self._index = index
        self._seen_rows = index.state
        self._index_lock = threading.RLock()
        self._writing = threading.Lock()
        self._loading = threading.RLock()
        self._few_shot: FewShot | None = None
        self._embedder: Embedder | None = None
        self._reviews = Reviews(self._open_index_review)
        self.uploads = Uploads(settings)
        self.sources = Sources(self.read_index, lambda id: self.uploads.find(id).source)
        self.desk = Desk(self._reviews, self.sources, self.changes)
        for session in (reviews or {}).values():
            self.add_review(session)

    # --- what is opened ------------------------------------------------------------------------

    @property
    def index_path(self) -> Path:
        """Folder of the index."""
        return self._index.path

    @property
    def reviews(self) -> Mapping[str, ReviewSession]:
        """Scans under review, by name; ``"index"`` for the doubtful rows of the index."""
        return self._reviews

    @property
    def opened_paths(self) -> tuple[Path, ...]:
        """Files and folders that are opened, whose places no message may tell."""
        scans = [session.folder for session in self._reviews.values()]
        return (self.index_path, self.uploads.folder, *self.folders.values(), *scans)

    def new_ticket(self) -> str:
        """Return a secret that opens the page once, in the token's place."""
        ticket = new_token()
        self.tickets.add(ticket)
        return ticket

    def explain(self, message: str) -> str:
        """Return a message with names in place of paths."""
        return hide_paths(message, self.opened_paths)

    def add_review(self, session: ReviewSession) -> None:
        """Let pages review a scan, and play its recordings."""
        self._reviews.add(session)
        self.sources.add_scan(session.events, session.name)

    def commit_rest(self) -> None:
        """Commit what an earlier run, that was killed, has left out of the index."""
        folders = {name: review.folder for name, review in self._reviews.items()}
        folders[INDEX_REVIEW] = self.index_path
        if not self.settings.read_only:
            self.commits.request(
                name for name, folder in folders.items() if journal_path(folder).exists()
            )

    def _open_index_review(self) -> ReviewSession:
        from earful.index import Index
        from earful.rag.review import ReviewSession, ReviewSettings

        return ReviewSession.open(
            index=Index.open(self.index_path),
            task=self.task,
            settings=ReviewSettings(double=self.settings.double),
        )

    # --- the index -----------------------------------------------------------------------------

    def read_index(self, read: Callable[[Index], Result]) -> Result:
        """Call a function with the index, as it is now, while nobody else uses it.

        What has been written since, here or by another process, is read first and told to pages.
        """
        with self._index_lock:
            self._index.refresh()
            state = self._index.state
            changed = state != self._seen_rows
            self._seen_rows = state
            n = len(self._index)
            found = read(self._index)
        if changed:
            text = f"the index has {counted(n, 'row')} now"
            self.changes.publish("index", {"n": n, "text": text})
        return found

    def write_index(self, write: Callable[[IndexFolder], Result]) -> Result:
        """Call a function that changes the index, while no other of this server does.

        Raises:
            ServeError: The server is for reading only.
            IndexBusyError: Another process is writing.
        """
        from earful.index.storage import IndexFolder

        if self.settings.read_only:
            raise ServeError("the server is for reading only; start it without --read-only")
        with self._writing:
            found = write(IndexFolder.open(self.index_path))
        self.read_index(len)
        return found

    def _commit(self, name: str) -> Mapping[str, Any]:
        """Commit the labels of a review into the index."""
        from earful.rag.review import commit_labels

        # The index's own journal needs no review, which would look at all of its rows.
        labelled = self.index_path if name == INDEX_REVIEW else self._reviews[name]
        report = self.write_index(
            lambda folder: commit_labels(labelled, folder.path, embedder=self.embedder)
        )
        return {
            "n_rows": report.n_rows,
            "n_removed": report.n_removed,
            "n_missing": sum(n for _, n in report.missing),
            "failed": [self.explain(f"{audio}: {why}") for audio, why in report.failed],
            "text": self.explain(report.text),
        }

    # --- what is made on first use -------------------------------------------------------------

    def embedder(self) -> Embedder:
        """Return the encoder of the index, loaded on first use.

        Raises:
            ModelError: It cannot be loaded.
        """
        from earful.model import load_embedder

        with self._loading:
            if self._embedder is None:
                made_by = self._index.fingerprint
                _log.info("loading the encoder %s", made_by.name)
                self._embedder = load_embedder(
                    made_by.name,
                    revision=made_by.revision,
                    device=self.device,
                    dtype=made_by.dtype,
                )
            return self._embedder

    def few_shot(self) -> FewShot:
        """Return what answers questions; made on first use, and kept.

        One caller at a time may use it: run it by ``work``. Its index is its own: what it reads is
        not changed under its hands.

        Raises:
            ModelError: The encoder or the language model cannot be loaded.
        """
        from earful.index import Index
        from earful.rag import FewShot

        with self._loading:
            if self._few_shot is None:
                model = None if self.model in ("", "none") else self.model
                self._few_shot = FewShot.open(
                    Index.open(self.index_path),
                    embedder=self.embedder(),
                    model=model,
                    device=self.device,
                )
            if self._few_shot.index is not None:
                self._few_shot.index.refresh()
            return self._few_shot

    @property
    def is_loaded(self) -> bool:
        """Whether what answers questions is in memory."""
        return self._few_shot is not None

    def close(self) -> None:
        """End what runs, commit what waits, and remove what was uploaded."""
        with ExitStack() as ending:  # the last one first, and all of them whatever fails
            ending.callback(self.uploads.close)
            ending.callback(self.commits.close)
            ending.callback(self.jobs.close)
            ending.callback(self.work.close)
            ending.callback(self.changes.close)


def open_state(
    index: str | Path,
    settings: ServeSettings,
    *,
    scans: Sequence[str | Path] = (),
    recordings: Sequence[str | Path] = (),
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
        recordings: Folders of recordings that pages may have scanned.
        task: Task file, or the name of a built-in task; empty for none.
        model: Language model; ``"none"`` for the vote alone.
        device: Device of all models.
        allow_outside: Whether a task's examples may lie outside its folder.

    Raises:
        IndexFolderError: The index is missing or damaged.
        ScanError: A scan is missing or damaged.
        ScanMismatchError: Two scans or folders have one name, or a scan was made by another
            encoder than the index.
        ServeError: A folder of recordings is none.
        TaskError: The task has mistakes.
    """
    from earful.index import Index
    from earful.rag.task import load_task

    share_arenas()
    opened = Index.open(index)
    asked = load_task(task, allow_outside=allow_outside) if task else None
    reviews: dict[str, ReviewSession] = {}
    for folder in scans:
        session = open_review(folder, opened, settings, asked)
        if session.name == INDEX_REVIEW:
            raise ScanMismatchError(
                f"{folder}: a scan cannot be called {quoted(INDEX_REVIEW)}, as the review of the "
                "index's own rows is; rename its folder"
            )
        _require_new(session.name, reviews, "scans")
        reviews[session.name] = session
    folders: dict[str, Path] = {}
    for given in recordings:
        path = Path(given)
        if not path.is_dir():
            raise ServeError(f"{path}: expected a folder of recordings; --recordings takes some")
        name = path.absolute().name
        _require_new(name, folders, "folders of recordings")
        folders[name] = path.absolute()
    return ServerState(
        opened,
        settings,
        task=asked,
        model=model,
        reviews=reviews,
        folders=folders,
        device=device,
    )


def open_review(
    folder: str | Path, index: Index, settings: ServeSettings, task: Task | None
) -> ReviewSession:
    """Open a scan for review.

    Args:
        folder: Its result folder.
        index: That its labels go into.
        settings: Say how often a second reviewer is asked.
        task: Whose labels come first.

    Raises:
        ScanError: It is missing or damaged.
        ScanMismatchError: It was made by another encoder than the index.
    """
    from earful.rag.review import ReviewSession, ReviewSettings

    return ReviewSession.open(
        scan=folder, index=index, task=task, settings=ReviewSettings(double=settings.double)
    )


def _require_new(name: str, known: Mapping[str, object], what: str) -> None:
    if name in known:
        raise ScanMismatchError(
            f"two {what} are called {quoted(name)}; rename one of them, so that a page can tell "
            "them apart"
        )
