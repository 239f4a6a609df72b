"""The worker of a build: an embedder loaded once, and rows embedded as every build does.

It refuses, before it does any work, to be of another release, to have other weights than the
index, or not to see the corpus: a machine on which the folder is not mounted would otherwise reject
every row.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from earful import __version__
from earful.errors import EngineError, IndexMismatchError
from earful.index.distributed.units import Unit, UnitHome, UnitResult, embed_rows
from earful.index.intake import BuildOptions, classes_of
from earful.model import load_embedder
from earful.model.audio import Clip
from earful.model.runtime import test_sounds

if TYPE_CHECKING:
    from earful.model import Embedder, Fingerprint

_TEST_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedderByName:
    """Loads an embedder by its name, as each worker does in its own process.

    Attributes:
        name: As ``load_embedder`` takes it; a folder has to be there on every machine.
        revision: As there.
        device: As there.
        dtype: As there.
    """

    name: str
    revision: str = ""
    device: str = "cpu"
    dtype: str = "float32"

    @classmethod
    def of(cls, fingerprint: Fingerprint, *, device: str) -> Self:
        """Return what loads an embedder of this fingerprint on another machine."""
        return cls(
            name=fingerprint.name,
            revision=fingerprint.revision,
            device=device,
            dtype=fingerprint.dtype,
        )

    def __call__(self) -> Embedder:
        """Load it."""
        return load_embedder(
            self.name, revision=self.revision, device=self.device, dtype=self.dtype
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerMaker:
    """Makes the workers of one build, each in its own process; it can be pickled.

    Attributes:
        load: Loads the embedder.
        fingerprint: Of the embedder that the build was begun with.
        n_classes: Class scores of a row of the index; 0 for none.
        home: Where the audio lies.
        options: Batches, threads and limits.
        version: Release of earful that the build was begun with.
    """

    load: Callable[[], Embedder]
    fingerprint: Fingerprint
    n_classes: int
    home: UnitHome
    options: BuildOptions
    version: str = __version__

    def __call__(self) -> UnitWorker:
        """Load the embedder, and compare it.

        Raises:
            EngineError: earful is of another release here, or the corpus is not to be seen.
            IndexMismatchError: The embedder is not that of the build.
            ModelError: It cannot be loaded.
        """
        if self.version != __version__:
            raise EngineError(
                f"{_here()}: earful {__version__} is installed there, expected {self.version} as "
                "where the build was started; install the same release on every machine"
            )
        if not self.home.root.is_dir():
            raise EngineError(
                f"{_here()}: the corpus's folder {self.home.root} is not there; expected it at the "
                "same place on every machine: mount it there, or build with the local engine"
            )
        embedder = self.load()
        found = embedder.fingerprint
        if found.weights_sha256 and found.weights_sha256 == self.fingerprint.weights_sha256:
            # The digest says which weights they are, whatever they are called there.
            found = replace(found, name=self.fingerprint.name, revision=self.fingerprint.revision)
        differences = self.fingerprint.differences(found)
        if self.n_classes and classes_of(embedder) != self.n_classes:
            differences += [f"class scores: {self.n_classes} / {classes_of(embedder)}"]
        if differences:
            raise IndexMismatchError(
                f"{_here()}: its embedder {found.name!r} is not that of the build "
                f"({', '.join(differences)}); give every machine the same release of earful and "
                "the same weights"
            )
        return UnitWorker(self, embedder)


class UnitWorker:
    """Embeds units with the embedder of one process."""

    def __init__(self, made_by: WorkerMaker, embedder: Embedder) -> None:
        self._made_by = made_by
        self._embedder = embedder

    def work(self, unit: Unit) -> UnitResult:
        """Embed a unit, as ``embed_rows`` does."""
        made_by = self._made_by
        return embed_rows(
            unit,
            self._embedder,
            root=made_by.home.root,
            kind=made_by.home.kind,
            n_classes=made_by.n_classes,
            options=made_by.options,
        )

    def fault(self) -> str:
        """Return why the embedder cannot embed a sound of our own, or ``""``."""
        rate = self._embedder.fingerprint.sample_rate
        samples = test_sounds(round(_TEST_S * rate), rate)[0]
        try:
            self._embedder.embed([Clip(samples=samples, sample_rate=rate)])
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return ""


def _here() -> str:
    return f"worker on {socket.gethostname()}"
