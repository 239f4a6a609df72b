import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from training import features
from training.corpus_features import read_features

from earful.model.tiny import SAMPLE_RATE


def tone(hz: float, seconds: float = 0.3, rate: int = SAMPLE_RATE) -> NDArray[np.float32]:
    t = np.arange(round(seconds * rate)) / rate
    return (0.3 * np.sin(2 * np.pi * hz * t)).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(200, 30_000))
def test_a_disturbed_clip_is_finite_within_full_scale_and_told_by_its_seed(
    seed: int, n_samples: int
) -> None:
    clip = tone(440)[:n_samples]
    found = features.disturb(clip, tone(900), np.random.default_rng(seed))
    assert np.isfinite(found).all()
    assert 0 < np.abs(found).max() <= 1.0
    again = features.disturb(clip, tone(900), np.random.default_rng(seed))
    np.testing.assert_array_equal(found, again)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    rows = [("train", 300), ("train", 500), ("held_out", 900)]
    with (tmp_path / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file_name", "label", "split"])
        for split, hz in rows:
            writer.writerow([f"{hz}.flac", f"tone {hz}", split])
            soundfile.write(tmp_path / f"{hz}.flac", tone(hz, rate=22050), 22050)
    return tmp_path


def test_only_training_clips_are_disturbed(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = corpus / "outputs.npz"
    arguments = ["features", "--corpus", str(corpus), "--out", str(out), "--variants", "2"]
    monkeypatch.setattr("sys.argv", arguments)
    features.main()
    found = read_features(corpus, out)
    assert sorted(zip(found.row.tolist(), found.variant.tolist(), strict=True)) == [
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
        (2, 0),
    ]
    undisturbed, disturbed = found.views(0)
    assert not np.array_equal(found.outputs[undisturbed], found.outputs[disturbed])
    (corpus / "manifest.csv").write_text("file_name,label,split\n300.flac,tone,train\n")
    with pytest.raises(SystemExit, match="another manifest"):
        read_features(corpus, out)
