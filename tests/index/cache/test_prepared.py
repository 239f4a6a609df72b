import hashlib
import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.index.cache import PreparedCache, key_of
from earful.index.cache.prepared import PREPARED_NAME

KEY = key_of("a", 1)
ARRAYS = {"numbers": np.array([0.5, 2.0]), "note": np.array("of few"), "flags": np.array([True])}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("index")
    PreparedCache(folder).put(KEY, ARRAYS)
    return folder


def path_of(folder: Path) -> Path:
    return folder / PREPARED_NAME / f"{KEY}.npz"


def test_what_is_kept_comes_back(kept: Path) -> None:
    found = PreparedCache(kept).get(KEY)
    assert found is not None
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
    assert PreparedCache(kept).get(key_of("a", 2)) is None


@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_no_bit_may_change(place: int, bit: int, kept: Path) -> None:
    path = path_of(kept)
    whole = bytearray(path.read_bytes())
    torn = bytearray(whole)
    torn[place % len(torn)] ^= 1 << bit
    path.write_bytes(torn)
    assert PreparedCache(kept).get(KEY) is None
    path.write_bytes(whole)


@pytest.mark.parametrize("content", [b"", b"not an archive", bytes(200)])
def test_what_is_damaged_is_as_if_it_were_not_there(tmp_path: Path, content: bytes) -> None:
    cache = PreparedCache(tmp_path)
    cache.put(KEY, ARRAYS)
    path_of(tmp_path).write_bytes(content)
    assert cache.get(KEY) is None
    cache.put(KEY, ARRAYS)
    assert cache.get(KEY) is not None


def test_objects_are_not_loaded_whatever_their_digest(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, numbers=np.array([{"a": 1}], dtype=object))
    content = buffer.getvalue()
    (tmp_path / PREPARED_NAME).mkdir()
    path_of(tmp_path).write_bytes(content + hashlib.sha256(content).digest())
    assert PreparedCache(tmp_path).get(KEY) is None


def test_of_many_the_oldest_are_dropped(tmp_path: Path) -> None:
    cache = PreparedCache(tmp_path)
    keys = [key_of(number) for number in range(70)]
    for number, key in enumerate(keys):
        cache.put(key, ARRAYS)
        os.utime(tmp_path / PREPARED_NAME / f"{key}.npz", ns=(number, number))
    assert len(list((tmp_path / PREPARED_NAME).iterdir())) == 64
    assert cache.get(keys[0]) is None
    assert cache.get(keys[-1]) is not None


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / PREPARED_NAME).write_text("a file where the folder should be")
    cache = PreparedCache(tmp_path)
    cache.put(KEY, ARRAYS)
    assert cache.get(KEY) is None


def test_keys_differ_wherever_values_do() -> None:
    values: list[tuple[object, ...]] = [
        *(("a",), ("a", ""), ("", "a"), ("a", None), ("a", 0), ("a", 0.5), ("a", False)),
        *(("a", ["b"]), ("a", ["b", ["c"]]), ("a", {"b": 1}), ("a", {"b": 2}), ("\udcff",)),
    ]
    assert len({key_of(*some) for some in values}) == len(values)
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1})
