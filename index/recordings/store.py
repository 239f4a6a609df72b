"""StepStore: the folder of all steps that are kept, ``store.json`` and two files a recording."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from earful.errors import ScanError, ScanMismatchError
from earful.files import write_atomically
from earful.index.recordings.array_file import HEADER_BYTES, Steps, StepsFile, map_steps
from earful.index.recordings.kept import KeptRecording
from earful.index.recordings.key import recording_key
from earful.index.recordings.settings import STORE_VERSION, StoreSettings
from earful.index.recordings.writer import BusyRecordingError, StepWriter
from earful.model.audio import AudioLimits
from earful.system import FileLock, lock_beside, sync_folder
from earful.values import repr_of
from earful.wording import as_argument, listed, printable

STORE_FILE: Final = "store.json"
_FORMAT: Final = "earful-steps"
_KEY_DIGITS: Final = 64
_ROWS_AT_ONCE: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfinishedRecording:
    """A recording of which only a beginning is kept.

    Attributes:
        key: Its key.
        about: What is known of it; ``None`` if nothing can be read.
        is_busy: Whether a process is at it.
    """

    key: str
    about: KeptRecording | None
    is_busy: bool


class StepStore:
    """Steps of recordings, found by content; several processes may use one store at once.

    Attributes:
        folder: The store's folder.
        settings: All that decides the steps.
    """

    def __init__(self, folder: Path, settings: StoreSettings) -> None:
        self.folder = folder
        self.settings = settings
        self._digest = settings.digest()

    def __repr__(self) -> str:
        return repr_of(self, folder=self.folder, embedder=self.settings.fingerprint.name)

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Self:
        """Open a store that is there.

        Raises:
            ScanError: It is missing, damaged, foreign or newer.
        """
        path = Path(folder) / STORE_FILE
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ScanError(
                f"{path}: cannot be read ({error.strerror}); expected the kept steps of a scan, as "
                "`earful scan` writes them"
            ) from error
        except (ValueError, RecursionError) as error:
            raise ScanError(f"{path}: is damaged ({error}); expected JSON") from error
        if not isinstance(values, dict) or values.get("format") != _FORMAT:
            raise ScanError(f"{path}: is no store of steps; expected one that `earful scan` wrote")
        if values.get("version") != STORE_VERSION:
            raise ScanError(
                f"{path}: expected version {STORE_VERSION}, got {values.get('version')!r}; another "
                "release of earful wrote it"
            )
        return cls(Path(folder), StoreSettings.from_dict(values.get("settings"), where=str(path)))

    @classmethod
    def open_for(cls, folder: str | os.PathLike[str], settings: StoreSettings) -> Self:
        """Open a store for steps of some settings, or begin one.

        Raises:
            ScanMismatchError: It holds steps of other settings; the message names them.
            ScanError: It is damaged, foreign or newer.
            OSError: It cannot be written.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / STORE_FILE
        # Held for a moment, so that two processes do not begin a store at once.
        with FileLock(lock_beside(path)):
            if not path.exists():
                if any(not name.startswith(".") for name in os.listdir(folder)):
                    raise ScanError(
                        f"{folder}: holds files, but no {STORE_FILE}; expected a store of steps or "
                        "an empty folder; choose another with --vectors"
                    )
                whole = {
                    "format": _FORMAT,
                    "version": STORE_VERSION,
                    "settings": settings.to_dict(),
                }
                write_atomically(path, json.dumps(whole, indent=1) + "\n")
        found = cls.open(folder)
        found.require(settings)
        return found

    def require(self, settings: StoreSettings) -> None:
        """Refuse steps of other settings.

        Raises:
            ScanMismatchError: The store holds others; the message names what differs.
        """
        if differences := self.settings.differences(settings):
            raise ScanMismatchError(
                f"{self.folder}: holds steps that were made otherwise; kept / asked for: "
                f"{listed(differences)}. Give --vectors and a new folder to keep these, too"
            )

    def key(
        self, path: str | os.PathLike[str], *, limits: AudioLimits = AudioLimits()
    ) -> tuple[str, int]:
        """Return a recording's key and the size of its file in bytes.

        Raises:
            AudioError: It is no readable file, or too large.
        """
        return recording_key(path, self._digest, limits=limits)

    def __contains__(self, key: str) -> bool:
        return self._base(key).with_suffix(".npy").exists()

    def about(self, key: str) -> KeptRecording:
        """Return what is known of a recording that is kept.

        Raises:
            ScanError: It is damaged, or not kept.
        """
        path = self._base(key).with_suffix(".json")
        try:
            return KeptRecording.read(path)
        except FileNotFoundError as error:
            raise ScanError(f"{path}: is missing, expected it beside its steps") from error

    def steps(self, key: str) -> Steps:
        """Map the steps of a recording that is kept, read-only.

        Returns:
            float16, shape ``(n_steps, step_dim)``.

        Raises:
            ScanError: They are damaged, or not kept.
        """
        with self._steps_path(key) as path:
            return map_steps(path, self.settings.row_dim)[:, : self.settings.step_dim]

    def open_steps(self, key: str) -> StepsFile:
        """Open the steps of a recording that is kept, to be read slice by slice.

        Raises:
            ScanError: They are damaged, or not kept.
        """
        with self._steps_path(key) as path:
            return StepsFile(path, self.settings.row_dim, self.settings.step_dim)

    def overview(self, key: str) -> NDArray[np.uint8]:
        """Read the overview of a recording that is kept; see ``overview`` of the encoders.

        Returns:
            uint8, shape ``(n_steps, overview_bands)``.

        Raises:
            ScanError: It is damaged, or not kept.
        """
        settings = self.settings
        with self._steps_path(key) as path:
            rows = StepsFile(path, settings.row_dim, settings.row_dim)
        found = np.empty((len(rows), settings.overview_bands), np.uint8)
        for first in range(0, len(rows), _ROWS_AT_ONCE):
            part = np.ascontiguousarray(rows[first : first + _ROWS_AT_ONCE][:, settings.step_dim :])
            found[first : first + len(part)] = part.view(np.uint8)
        return found

    def writer(self, key: str, begun: KeptRecording) -> StepWriter:
        """Return a writer of a recording's steps; see ``StepWriter``."""
        return StepWriter(self._base(key), self.settings, begun)

    def bytes_missing(self, duration_s: float) -> int:
        """Return about how many bytes the steps of so many seconds take."""
        n_steps = duration_s * self.settings.steps_rate
        return HEADER_BYTES + int(n_steps * self.settings.row_dim * 2)

    def keys(self) -> list[str]:
        """Return the keys of the recordings that are kept, in order."""
        return sorted(path.stem for path in self._files(".npy"))

    def paths(self) -> dict[str, str]:
        """Return where each recording was when it was first read, beginnings as well, by key.

        The path is empty where it cannot be read.
        """
        found = {}
        for path in sorted([*self._files(".npy"), *self._files(".part")]):
            about = _about_beside(path)
            found[path.stem] = "" if about is None else about.path
        return found

    def bytes_of(self, key: str) -> int:
        """Return the size of what is kept of a recording, 0 for nothing."""
        found = 0
        for ending in (".npy", ".part"):
            with suppress(OSError):
                found += self._base(key).with_suffix(ending).stat().st_size
        return found

    def unfinished(self) -> list[UnfinishedRecording]:
        """Return the recordings of which only a beginning is kept."""
        return [
            UnfinishedRecording(
                key=path.stem, about=_about_beside(path), is_busy=not _is_free(path)
            )
            for path in sorted(self._files(".part"))
        ]

    def remove(self, keys: Iterable[str]) -> int:
        """Remove what is kept of recordings, beginnings as well; return their number.

        Raises:
            BusyRecordingError: A process is at one of them; none is removed.
            OSError: One cannot be removed.
        """
        n = 0
        chosen = list(dict.fromkeys(keys))
        for key in chosen:
            part = self._base(key).with_suffix(".part")
            if part.exists() and not _is_free(part):
                raise BusyRecordingError(
                    f"{part}: another process is encoding it; wait until it is done, and run the "
                    "same command again"
                )
        for key in chosen:
            base = self._base(key)
            # The steps first: what is left of a recording that has none is no recording.
            files = [base.with_suffix(ending) for ending in (".npy", ".part", ".json", ".lock")]
            there = [path for path in files if path.exists()]
            for path in there:
                path.unlink(missing_ok=True)
            if there:
                sync_folder(base.parent)
                n += 1
                with suppress(OSError):  # not empty
                    base.parent.rmdir()
        return n

    def stem(self, key: str) -> str:
        """Return a recording's files as messages name them, without their endings."""
        return printable(str(self._base(key)))

    def remove_command(self, key: str) -> str:
        """Return the command that removes a recording from the store."""
        return f"`earful recordings remove {as_argument(self.folder)} {key[:12]}`"

    def _base(self, key: str) -> Path:
        return self.folder / key[:2] / key

    @contextmanager
    def _steps_path(self, key: str) -> Iterator[Path]:
        """Give the path of a recording's steps to open, and say it if they are not there."""
        path = self._base(key).with_suffix(".npy")
        try:
            yield path
        except FileNotFoundError as error:
            raise ScanError(f"{path}: is missing; expected the steps of a recording") from error

    def _files(self, ending: str) -> Iterator[Path]:
        for path in self.folder.glob(f"??/*{ending}"):
            if len(path.stem) == _KEY_DIGITS and not path.name.startswith("."):
                yield path


def _about_beside(path: Path) -> KeptRecording | None:
    """Return what is known of a recording by the path of its steps; ``None`` if damaged."""
    try:
        return KeptRecording.read(path.with_suffix(".json"))
    except (FileNotFoundError, ScanError):
        return None


def _is_free(part: Path) -> bool:
    try:
        return FileLock(part.with_suffix(".lock")).is_free()
    except OSError:
        return True  # a store that nobody here may write
