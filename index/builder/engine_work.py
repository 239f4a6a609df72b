"""Engine work: the rows of a build embedded by an engine's workers and committed as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from earful.errors import IndexFolderError
from earful.index.corpus import Corpus, CorpusRow
from earful.index.distributed import (
    Engine,
    Unit,
    UnitDriver,
    UnitHome,
    UnitResult,
    WorkerMaker,
    reject_rows,
    run_units,
)
from earful.index.intake import BuildOptions
from earful.index.storage import IndexFolder

if TYPE_CHECKING:
    from earful.model import Embedder

# Many workers fill the default in no time, and each commit makes a file.
_COMMIT_ROWS: Final = 32_768


class EngineWork(UnitDriver):
    """One run by an engine: the driver of its units, whose counts are those of ``LocalWork``."""

    def __init__(
        self,
        corpus: Corpus,
        index: IndexFolder,
        embedder: Embedder,
        options: BuildOptions,
        *,
        engine: Engine,
        n_rows: int,
        n_places: int,
    ) -> None:
        """Prepare for one run.

        Args:
            corpus: The corpus.
            index: The index, whose writer lock is held.
            embedder: Its embedder; the workers load their own, which are compared with it.
            options: How the build works.
            engine: Where the workers are.
            n_rows: Rows to embed.
            n_places: Rows of the corpus: more where only some are to be embedded.
        """
        if options.commit_rows == BuildOptions().commit_rows:
            options = replace(options, commit_rows=_COMMIT_ROWS)
        super().__init__(
            index, root=corpus.root, n_rows=n_places, options=options, on_commit=self._tell
        )
        self._engine = engine
        self._n_rows = n_rows
        self._home = UnitHome(root=corpus.root, kind=corpus.kind)
        self._maker = WorkerMaker(
            load=engine.loader(embedder.fingerprint),
            fingerprint=embedder.fingerprint,
            n_classes=index.n_classes,
            home=self._home,
            options=replace(options, n_decoders=options.n_decoders or engine.cpus_per_worker),
        )

    def run(self, rows: Iterable[tuple[int, CorpusRow]], on_progress: Callable[..., None]) -> None:
        """Embed rows and commit them; what was embedded before an error is kept.

        Args:
            rows: Each with its place in the corpus.
            on_progress: Called after each unit, and with ``now=True`` after each commit.

        Raises:
            EngineError: The engine cannot be started, or its workers cannot work.
            IndexFolderError: The index cannot be written, or a row has no answer.
        """
        self._on_progress = on_progress
        units = self.units(rows, n_rows=self._engine.unit_rows(self._n_rows))
        try:
            with closing(run_units(self._engine, units, self._maker, reject=self._reject)) as done:
                for result in done:
                    self.take(result)
                    on_progress()
        except IndexFolderError:
            raise
        except BaseException:
            self.commit()
            raise
        self.finish()

    def _tell(self) -> None:
        self._on_progress(now=True)

    def _reject(self, unit: Unit, error: str) -> UnitResult:
        return reject_rows(
            unit, error, self._index.fingerprint, home=self._home, n_classes=self._index.n_classes
        )
