import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from earful.index.cache import FeatureCacheFolder
from earful.index.cache.features import FEATURES_NAME

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
    cache = FeatureCacheFolder(tmp_path_factory.mktemp("index"))
    assert cache.get(f"{MAKER}/{CONTENT}") is None
    cache.put(f"{MAKER}/{CONTENT}", features)
    found = cache.get(f"{MAKER}/{CONTENT}")
    assert found is not None
    np.testing.assert_array_equal(found, features)
    assert cache.fault == ""


@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_no_bit_may_change(place: int, bit: int, kept: Path) -> None:
    path = kept / FEATURES_NAME / MAKER / f"{CONTENT}.npy"
    whole = bytearray(path.read_bytes())
    torn = bytearray(whole)
    torn[place % len(torn)] ^= 1 << bit
    path.write_bytes(torn)
    assert FeatureCacheFolder(kept).get(f"{MAKER}/{CONTENT}") is None
    path.write_bytes(whole)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("index")
    FeatureCacheFolder(folder).put(f"{MAKER}/{CONTENT}", np.ones((2, 3), np.float32))
    return folder


@pytest.mark.parametrize("damage", ["cut", "zeros", "empty", "text", "no digest"])
def test_a_damaged_entry_is_made_again(tmp_path: Path, damage: str) -> None:
    cache = FeatureCacheFolder(tmp_path)
    cache.put(f"{MAKER}/{CONTENT}", np.ones((2, 3), np.float32))
    path = tmp_path / FEATURES_NAME / MAKER / f"{CONTENT}.npy"
    content = path.read_bytes()
    damaged = {
        "cut": content[:-4],
        # As a power cut leaves what was renamed but never reached the disk.
        "zeros": content[:100] + bytes(len(content) - 100),
        "empty": b"",
        "text": b"not an array",
        "no digest": content[:-32],
    }
    path.write_bytes(damaged[damage])
    assert cache.get(f"{MAKER}/{CONTENT}") is None
    cache.put(f"{MAKER}/{CONTENT}", np.ones((2, 3), np.float32))
    assert cache.get(f"{MAKER}/{CONTENT}") is not None


@pytest.mark.parametrize(
    "features", [np.full((2, 3), np.nan, np.float32), np.ones((2, 3)), np.ones(3, np.float32)]
)
def test_what_is_no_features_is_made_again(tmp_path: Path, features: NDArray[np.float32]) -> None:
    cache = FeatureCacheFolder(tmp_path)
    cache.put(f"{MAKER}/{CONTENT}", features)
    assert cache.get(f"{MAKER}/{CONTENT}") is None


def test_numpy_reads_what_is_kept(tmp_path: Path) -> None:
    FeatureCacheFolder(tmp_path).put(f"{MAKER}/{CONTENT}", np.ones((2, 3), np.float32))
    found = np.load(tmp_path / FEATURES_NAME / MAKER / f"{CONTENT}.npy")
    np.testing.assert_array_equal(found, np.ones((2, 3)))


def test_what_a_kill_left_behind_goes_in_time(tmp_path: Path) -> None:
    cache = FeatureCacheFolder(tmp_path)
    cache.put(f"{MAKER}/{CONTENT}", np.ones((2, 3), np.float32))
    folder = tmp_path / FEATURES_NAME / MAKER
    for name in ("old.partial", "new.partial"):
        (folder / name).write_bytes(b"half")
    os.utime(folder / "old.partial", (0, 0))
    assert cache.prune({CONTENT}) == 0
    assert sorted(path.name for path in folder.iterdir()) == [f"{CONTENT}.npy", "new.partial"]


def test_a_folder_that_cannot_be_written_is_said_and_no_error(tmp_path: Path) -> None:
    (tmp_path / FEATURES_NAME).write_text("a file where the folder should be")
    cache = FeatureCacheFolder(tmp_path)
    cache.put(f"{MAKER}/{CONTENT}", np.ones((2, 3), np.float32))
    assert "cannot be kept" in cache.fault
    assert cache.get(f"{MAKER}/{CONTENT}") is None


def test_what_is_no_longer_there_is_dropped(tmp_path: Path) -> None:
    cache = FeatureCacheFolder(tmp_path)
    for content in ("b" * 64, "c" * 64, "b" * 64 + "f" * 16):
        cache.put(f"{MAKER}/{content}", np.ones((1, 2), np.float32))
    assert cache.prune({"b" * 64}) == 1
    assert cache.get(f"{MAKER}/{'c' * 64}") is None
    assert cache.get(f"{MAKER}/{'b' * 64}") is not None
    assert cache.get(f"{MAKER}/{'b' * 64}{'f' * 16}") is not None
    assert not list((tmp_path / FEATURES_NAME).rglob("*.partial"))


def test_a_key_cannot_leave_the_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="hex digits"):
        FeatureCacheFolder(tmp_path).get("../../etc/passwd")
