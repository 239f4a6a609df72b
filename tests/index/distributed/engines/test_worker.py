import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from earful.errors import EngineError, IndexMismatchError
from earful.index.builder import BuildOptions
from earful.index.distributed import EmbedderByName, UnitHome, WorkerMaker
from earful.model import Fingerprint, load_embedder
from tests.support.engines import units_of
from tests.support.levels import Levels, write_level


def maker(root: Path, **changes: object) -> WorkerMaker:
    made = WorkerMaker(
        load=Levels,
        fingerprint=Levels().fingerprint,
        n_classes=0,
        home=UnitHome(root=root),
        options=BuildOptions(n_decoders=1),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def decode_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARFUL_DECODE", "here")


def test_a_worker_embeds_rows(tmp_path: Path) -> None:
    for number in range(3):
        write_level(tmp_path / f"{number}.wav", 0.25)
    worker = pickle.loads(pickle.dumps(maker(tmp_path)))()
    (unit,) = units_of(4, n_each=4)
    result = worker.work(unit)
    assert (result.numbers, worker.fault()) == ((0, 1, 2), "")
    assert [item.number for item in result.rejected] == [3]


def renamed(**changes: object) -> Fingerprint:
    return replace(Levels().fingerprint, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"fingerprint": renamed(weights_sha256="a" * 64)}, IndexMismatchError, "weights_sha256"),
        ({"fingerprint": renamed(dtype="bfloat16")}, IndexMismatchError, "dtype: 'bfloat16'"),
        ({"fingerprint": renamed(resampler="other")}, IndexMismatchError, "resampler"),
        ({"n_classes": 7}, IndexMismatchError, "class scores: 7 / 0"),
        ({"version": "0.0.9"}, EngineError, "expected 0.0.9"),
        ({"home": UnitHome(root=Path("/not/mounted"))}, EngineError, "/not/mounted is not there"),
    ],
)
def test_a_worker_that_would_make_other_rows_refuses(
    tmp_path: Path, changes: dict[str, object], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match="worker on ") as caught:
        maker(tmp_path, **changes)()
    assert says in str(caught.value)


def test_equal_weights_under_another_name_are_the_same(tmp_path: Path) -> None:
    class Named(Levels):
        def __init__(self) -> None:
            super().__init__()
            self.fingerprint = renamed(weights_sha256="a" * 64, name="here")

    wanted = renamed(weights_sha256="a" * 64, name="there", revision="2")
    assert maker(tmp_path, load=Named, fingerprint=wanted)().fault() == ""


def test_a_worker_knows_when_its_embedder_fails_at_every_sound(tmp_path: Path) -> None:
    def load() -> Levels:
        return Levels(fail_at=1)

    assert maker(tmp_path, load=load)().fault() == "OSError: stopped on purpose"


def test_an_embedder_is_loaded_by_its_fingerprint() -> None:
    found = EmbedderByName.of(load_embedder("logmel").fingerprint, device="cpu")
    assert pickle.loads(pickle.dumps(found))().fingerprint == load_embedder("logmel").fingerprint
