"""Our window encoder against the package ``msclap``, on random weights of the real sizes.

Needs an environment of its own, some gigabytes large, so it runs only when asked to:

    EARFUL_PARITY=1 pytest tests/parity -s

``EARFUL_PARITY_MSCLAP_ENV`` names the folder of that environment; it is made where it lacks.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from earful.model.encoders import MsClapConfig, MsClapEncoder, from_published_names

HERE = Path(__file__).parent
TOLERANCE = 1e-4
CONFIG = MsClapConfig()

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.environ.get("EARFUL_PARITY"), reason="set EARFUL_PARITY=1 to make its environment"
    ),
    pytest.mark.timeout(3600),
]


def make_windows() -> dict[str, NDArray[np.float32]]:
    """Make noise, tones in noise that comes and goes, a sawtooth, a click and silence."""
    generator = np.random.default_rng(0)
    time_s = np.arange(CONFIG.window_samples) / CONFIG.sample_rate
    hiss = generator.normal(scale=0.05, size=len(time_s))
    windows = {
        "noise": 4 * hiss,
        "tones": 0.3 * np.sin(2 * np.pi * 440 * time_s) + hiss * (np.sin(5 * time_s) > 0),
        "sawtooth": (time_s * 220) % 1 - 0.5,
        "click": np.where(np.arange(len(time_s)) == 9999, 1.0, 0.0),
        "silence": np.zeros(len(time_s)),
    }
    return {name: wave.astype(np.float32) for name, wave in windows.items()}


@pytest.fixture(scope="module")
def their_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    chosen = os.environ.get("EARFUL_PARITY_MSCLAP_ENV")
    folder = Path(chosen) if chosen else tmp_path_factory.mktemp("msclap") / "env"
    environment = {**os.environ, "PYTHON": os.environ.get("PYTHON", sys.executable)}
    subprocess.run([HERE / "make_msclap_environment.sh", folder], check=True, env=environment)
    return folder / "bin" / "python"


def test_windows_have_the_features_of_the_package(tmp_path: Path, their_python: Path) -> None:
    windows = make_windows()
    stacked = np.stack(list(windows.values()))
    np.save(tmp_path / "windows.npy", stacked)
    command: list[str | Path] = [their_python, HERE / "embed_with_msclap.py", "--folder", tmp_path]
    subprocess.run(command, check=True)
    theirs = np.load(tmp_path / "features.npy")
    published = torch.load(tmp_path / "checkpoint.pth", weights_only=True)["model"]
    state = {
        name.removeprefix("clap."): tensor
        for name, tensor in published.items()
        if name.startswith("clap.")
    }
    assert len(state) == 204

    encoder = MsClapEncoder(CONFIG).eval()
    encoder.load_state_dict(from_published_names(state, CONFIG))
    ours = encoder.encode(torch.from_numpy(stacked)).numpy()
    far = np.abs(ours - theirs).max(axis=1)
    print(f"\nlargest difference of a feature (their standard deviation {theirs.std():.2f}):")
    print(", ".join(f"{name} {value:.1e}" for name, value in zip(windows, far, strict=True)))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE)
    apart = np.abs(theirs[:, None] - theirs[None]).max(axis=2)[np.triu_indices(len(theirs), k=1)]
    assert apart.min() > 100 * TOLERANCE
