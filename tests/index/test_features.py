from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from earful.index.features import FEATURES_NAME, ExemplarFeatures

MAKER = "a" * 32
CONTENT = "b" * 64


@given(
    features=hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=4),
        elements=st.floats(-9, 9, width=32),
    )
)
def test_what_is_kept_comes_back(
    features: NDArray[np.float32], tmp_path_factory: pytest.TempPathFactory
) -> None:
    cache = ExemplarFeatures(tmp_path_factory.mktemp("index"))
    assert cache.get(f"{MAKER}/{CONTENT}") is None
    cache.put(f"{MAKER}/{CONTENT}", features)
    found = cache.get(f"{MAKER}/{CONTENT}")
    assert found is not None
    np.testing.assert_array_equal(found, features)
    assert cache.fault == ""


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "pickle", "nan", "double"])
def test_a_damaged_entry_is_made_again(tmp_path: Path, damage: str) -> None:
    cache = ExemplarFeatures(tmp_path)
    cache.put(f"{MAKER}/{CONTENT}", np.ones((2, 3), np.float32))
    path = tmp_path / FEATURES_NAME / MAKER / f"{CONTENT}.npy"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-4])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "text":
        path.write_text("not an array")
    elif damage == "pickle":
        np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    elif damage == "nan":
        np.save(path, np.full((2, 3), np.nan, np.float32))
    else:
        np.save(path, np.ones((2, 3)))
    assert cache.get(f"{MAKER}/{CONTENT}") is None
    cache.put(f"{MAKER}/{CONTENT}", np.ones((2, 3), np.float32))
    assert cache.get(f"{MAKER}/{CONTENT}") is not None


def test_a_folder_that_cannot_be_written_is_said_and_no_error(tmp_path: Path) -> None:
    (tmp_path / FEATURES_NAME).write_text("a file where the folder should be")
    cache = ExemplarFeatures(tmp_path)
    cache.put(f"{MAKER}/{CONTENT}", np.ones((2, 3), np.float32))
    assert "cannot be kept" in cache.fault
    assert cache.get(f"{MAKER}/{CONTENT}") is None


def test_what_is_no_longer_there_is_dropped(tmp_path: Path) -> None:
    cache = ExemplarFeatures(tmp_path)
    for content in ("b" * 64, "c" * 64, "b" * 64 + "f" * 16):
        cache.put(f"{MAKER}/{content}", np.ones((1, 2), np.float32))
    assert cache.prune({"b" * 64}) == 1
    assert cache.get(f"{MAKER}/{'c' * 64}") is None
    assert cache.get(f"{MAKER}/{'b' * 64}") is not None
    assert cache.get(f"{MAKER}/{'b' * 64}{'f' * 16}") is not None
    assert not list((tmp_path / FEATURES_NAME).rglob("*.partial"))


def test_a_key_cannot_leave_the_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="hex digits"):
        ExemplarFeatures(tmp_path).get("../../etc/passwd")
