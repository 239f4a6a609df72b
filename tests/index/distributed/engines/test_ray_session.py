import os
import sys

import pytest

from earful.errors import EngineError, MissingExtraError
from earful.index.distributed import RayEngine
from earful.index.distributed.engines.ray_session import (
    _environment,
    _require_answer,
    require_capacity,
)
from earful.model import load_embedder
from tests.support.engines import ToldWorker, units_of


def room(workers: int, cpus: int = 1, gpus: float = 0.0, *, autoscaling: bool = False) -> int:
    return require_capacity(
        {"CPU": 8.0, "GPU": 2.0, "memory": 1e9},
        workers=workers,
        cpus_per_worker=cpus,
        gpus_per_worker=gpus,
        autoscaling=autoscaling,
    )


def test_a_cluster_has_room_for_so_many() -> None:
    assert room(0) == 8
    assert room(0, cpus=3) == 2
    assert room(0, gpus=0.5) == 4
    assert room(3, gpus=0.5) == 3
    assert room(99, autoscaling=True) == 99


def test_too_little_room_is_an_error_that_says_what_would_do() -> None:
    with pytest.raises(EngineError, match=r"8 CPUs.*room for 8 workers.*expected 9.*--workers 8"):
        room(9)
    with pytest.raises(EngineError, match=r"2 GPUs.*--workers 2"):
        room(3, gpus=1.0)
    with pytest.raises(EngineError, match="a smaller --cpus-per-worker"):
        room(0, cpus=9)
    with pytest.raises(EngineError, match="knows of no GPU, expected 2"):
        require_capacity(
            {"CPU": 8.0}, workers=2, cpus_per_worker=1, gpus_per_worker=1.0, autoscaling=False
        )


@pytest.mark.parametrize(
    "wrong",
    [
        {"workers": -1},
        {"cpus_per_worker": 0},
        {"gpus_per_worker": -1.0},
        {"gpus_per_worker": 1.5},
        {"gpus_per_worker": float("nan")},
        {"autoscaling": True},
        {"unit_s": 0.0},
        {"max_unit_rows": 0},
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        RayEngine(**wrong)  # type: ignore[arg-type]


def test_units_are_smaller_where_every_worker_is_to_get_some() -> None:
    engine = RayEngine(workers=4)
    assert [engine.unit_rows(n) for n in (0, 64, 320, 10**6)] == [4, 4, 20, 64]


def test_workers_with_a_gpu_embed_on_it() -> None:
    fingerprint = load_embedder("logmel").fingerprint
    assert getattr(RayEngine().loader(fingerprint), "device") == "cpu"  # noqa: B009
    assert getattr(RayEngine(gpus_per_worker=1).loader(fingerprint), "device") == "cuda"  # noqa: B009


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9", "head", "head:x", ":6379"])
def test_an_address_where_nobody_answers_is_refused_at_once(address: str) -> None:
    with pytest.raises(EngineError, match="--ray-address"):
        _require_answer(address)


def test_the_environment_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    before = dict(os.environ)
    with _environment():
        assert os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] == "0"
        assert os.environ["RAY_USAGE_STATS_ENABLED"] == "1"  # the user's own goes before
    assert dict(os.environ) == before


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    units = units_of(1, n_each=1)
    with pytest.raises(MissingExtraError, match=r"pip install 'earful\[ray\]'"):
        list(RayEngine().run(lambda: next(units, None), lambda: ToldWorker({})))


def test_nothing_to_do_starts_no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert list(RayEngine().run(lambda: None, lambda: ToldWorker({}))) == []
