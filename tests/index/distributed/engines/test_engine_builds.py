"""Builds by an engine in this process: what they make, keep and refuse beside a local build."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from earful.errors import EngineError, IndexBusyError, IndexFolderError
from earful.index import Index, build_index
from earful.index.builder import BuildOptions, BuildProgress
from earful.index.distributed import Shard, Unit, UnitDriver, UnitResult
from tests.support.engines import EngineHere
from tests.support.levels import Levels, write_level

SMALL = BuildOptions(commit_rows=5, n_decoders=1)


def contents(path: Path) -> list[tuple[str, str]]:
    read = Index.open(path).read_table(["id", "row_sha256"])
    return sorted(zip(*read.to_pydict().values(), strict=True))


def broken_levels(n_right: int) -> Callable[[], Levels]:
    """Return what loads embedders that fail after some batches, and go on failing."""

    class Breaks(Levels):
        def embed(self, clips):  # type: ignore[no-untyped-def]
            if self.n_clips > n_right:
                raise RuntimeError("no memory on the GPU")
            return super().embed(clips)

    return Breaks


def test_an_engine_makes_what_a_local_build_makes(table: Path, tmp_path: Path) -> None:
    here, there = tmp_path / "here.index", tmp_path / "there.index"
    seen: list[BuildProgress] = []
    local = build_index(table, here, embedder=Levels())
    engine = EngineHere(load=Levels, seed=5)
    report = build_index(table, there, embedder=Levels(), engine=engine, progress=seen.append)
    assert contents(there) == contents(here)
    assert report.rejected == local.rejected != ()
    assert (report.accepted, report.n) == (13, 13)
    assert report.audio_s == pytest.approx(local.audio_s, 0.1)
    query = np.array([0.6, 0.8], dtype=np.float32)
    found = [
        [(hit.exemplar.id, hit.similarity) for hit in Index.open(path).vectors().search(query, k=8)]
        for path in (here, there)
    ]
    assert found[0] == found[1]
    assert [one.done for one in seen] == sorted(one.done for one in seen)
    assert (seen[-1].done, seen[-1].committed, seen[-1].rejected) == (14, 13, 1)


def test_the_same_call_again_embeds_nothing(table: Path, tmp_path: Path) -> None:
    index = tmp_path / "s.index"
    build_index(table, index, embedder=Levels(), engine=EngineHere(load=Levels))
    loaded: list[Levels] = []

    def load() -> Levels:
        loaded.append(Levels())
        return loaded[-1]

    report = build_index(table, index, embedder=Levels(), engine=EngineHere(load=load))
    assert (report.accepted, report.skipped, len(report.rejected)) == (0, 13, 1)
    assert sum(one.n_clips for one in loaded) == 0


def test_an_engine_builds_shards(table: Path, tmp_path: Path) -> None:
    ids: list[str] = []
    for i in (1, 2):
        build_index(
            table,
            tmp_path / f"{i}.index",
            embedder=Levels(),
            shard=Shard(i=i, n=2),
            engine=EngineHere(load=Levels),
        )
        ids += [id_ for id_, _ in contents(tmp_path / f"{i}.index")]
    build_index(table, tmp_path / "all.index", embedder=Levels())
    assert sorted(ids) == [id_ for id_, _ in contents(tmp_path / "all.index")]


def test_what_was_embedded_before_an_error_is_kept(table: Path, tmp_path: Path) -> None:
    index = tmp_path / "s.index"
    engine = EngineHere(load=broken_levels(5), n=1)
    with pytest.raises(EngineError, match=r"table.csv:\d+ to .*no memory on the GPU"):
        build_index(table, index, embedder=Levels(), engine=engine, options=SMALL)
    assert len(contents(index)) >= 5
    report = build_index(table, index, embedder=Levels(), engine=EngineHere(load=Levels))
    assert (report.n, report.skipped + report.accepted) == (13, 13)


class _Interrupted(EngineHere):
    """An engine during which somebody presses Ctrl-C."""

    def run(self, next_unit, make_worker):  # type: ignore[no-untyped-def]
        with closing(super().run(next_unit, make_worker)) as outcomes:
            yield next(outcomes)
            raise KeyboardInterrupt


def test_ctrl_c_keeps_what_was_embedded_and_ends_the_workers(table: Path, tmp_path: Path) -> None:
    engine = _Interrupted(load=Levels, n=1)
    with pytest.raises(KeyboardInterrupt):
        build_index(table, tmp_path / "s.index", embedder=Levels(), engine=engine)
    assert engine.n_open == 0
    assert len(contents(tmp_path / "s.index")) == 5


class _Twice(EngineHere):
    """An engine that tells of each unit twice, as after an answer that was believed lost."""

    def run(self, next_unit, make_worker):  # type: ignore[no-untyped-def]
        for outcome in super().run(next_unit, make_worker):
            yield outcome
            yield outcome


class _Forgetful(EngineHere):
    """An engine that loses an answer."""

    def run(self, next_unit, make_worker):  # type: ignore[no-untyped-def]
        for number, outcome in enumerate(super().run(next_unit, make_worker)):
            if number != 1:
                yield outcome


def test_a_unit_that_is_reported_twice_counts_once(table: Path, tmp_path: Path) -> None:
    report = build_index(table, tmp_path / "s.index", embedder=Levels(), engine=_Twice(load=Levels))
    assert (report.accepted, len(report.rejected), report.n) == (13, 1, 13)


def test_a_unit_without_an_answer_is_an_error(table: Path, tmp_path: Path) -> None:
    with pytest.raises(IndexFolderError, match=r"\d rows of 14 were neither accepted nor rejected"):
        build_index(table, tmp_path / "s.index", embedder=Levels(), engine=_Forgetful(load=Levels))


def test_the_index_is_locked_while_workers_work(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = tmp_path / "s.index"
    refused: list[Exception] = []

    def take(self: UnitDriver, result: UnitResult) -> bool:
        try:
            build_index(table, index, embedder=Levels(), engine=EngineHere(load=Levels))
        except IndexBusyError as error:
            refused.append(error)
        return bool(taken(self, result))

    taken = UnitDriver.take
    monkeypatch.setattr(UnitDriver, "take", take)
    build_index(table, index, embedder=Levels(), engine=EngineHere(load=Levels))
    assert len(refused) == 3


def test_rows_are_known_in_units(tmp_path: Path) -> None:
    """What the index knows travels with the unit: a worker needs no table."""
    corpus, index = tmp_path / "corpus", tmp_path / "s.index"
    for number in range(6):
        write_level(corpus / "a" / f"{number}.wav", 0.1 + number / 10)
    build_index(corpus, index, embedder=Levels(), engine=EngineHere(load=Levels))
    write_level(corpus / "a" / "3.wav", 0.05)
    seen: list[Unit] = []

    class Watched(EngineHere):
        def run(self, next_unit, make_worker):  # type: ignore[no-untyped-def]
            for outcome in super().run(next_unit, make_worker):
                seen.append(outcome.unit)
                yield outcome

    report = build_index(corpus, index, embedder=Levels(), engine=Watched(load=Levels))
    assert (report.accepted, report.skipped, [one.id for one in report.replaced]) == (
        1,
        5,
        ["a/3.wav"],
    )
    assert all(row.known is not None for unit in seen for row in unit.rows)
