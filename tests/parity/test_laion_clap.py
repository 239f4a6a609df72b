"""Our vectors against the package ``laion-clap``, on random original checkpoints.

Needs an environment of its own, some gigabytes large, so it runs only when asked to:

    EARFUL_PARITY=1 pytest tests/parity -s

``EARFUL_PARITY_ENV`` names the folder of that environment; it is made where it lacks.
The differences it prints are those in ``docs/clap-checkpoints.md``.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from earful.model.audio import Clip
from earful.model.clap import convert_clap, load_clap

HERE = Path(__file__).parent
RATE = 48_000
TEXTS = ["a dog barks twice", "rain", "This is a sound of dog."]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.environ.get("EARFUL_PARITY"), reason="set EARFUL_PARITY=1 to make its environment"
    ),
    pytest.mark.timeout(3600),
]


def make_clips() -> dict[str, NDArray[np.float32]]:
    """Make tones in noise of 1, 3.3 and 10 s, which the package does not crop."""
    generator = np.random.default_rng(0)
    clips = {}
    for seconds in (1.0, 3.3, 10.0):
        time_s = np.arange(round(seconds * RATE)) / RATE
        wave = 0.3 * np.sin(2 * np.pi * generator.uniform(200, 4000) * time_s)
        wave += generator.normal(scale=0.05, size=len(wave)) * (np.sin(5 * time_s) > 0)
        clips[f"{seconds:04.1f}"] = wave.astype(np.float32)
    return clips


def quantise(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Do to audio what the package does before it embeds: round to 16 bits, and back."""
    integers = (np.clip(samples, -1.0, 1.0) * 32767.0).astype(np.int16)
    return (integers / 32767.0).astype(np.float32)


def save_byte_tokenizer(folder: Path) -> None:
    """Write a RoBERTa tokenizer over single bytes, in the files every version reads."""
    from tokenizers.pre_tokenizers import ByteLevel

    words = ["<s>", "<pad>", "</s>", "<unk>", *sorted(ByteLevel.alphabet()), "do", "dog", "<mask>"]
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\nd o\ndo g\n")


@pytest.fixture(scope="module")
def their_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    chosen = os.environ.get("EARFUL_PARITY_ENV")
    folder = Path(chosen) if chosen else tmp_path_factory.mktemp("laion-clap") / "env"
    environment = {**os.environ, "PYTHON": os.environ.get("PYTHON", sys.executable)}
    subprocess.run([HERE / "make_laion_clap_environment.sh", folder], check=True, env=environment)
    return folder / "bin" / "python"


@pytest.mark.parametrize("size", ["HTSAT-tiny", "HTSAT-base"])
@pytest.mark.parametrize("fused", [False, True], ids=["unfused", "fused"])
def test_an_original_checkpoint_embeds_as_in_the_package(
    tmp_path: Path, their_python: Path, size: str, fused: bool
) -> None:
    clips = make_clips()
    np.savez(tmp_path / "clips.npz", **clips)  # type: ignore[arg-type]
    (tmp_path / "texts.json").write_text(json.dumps(TEXTS))
    save_byte_tokenizer(tmp_path / "roberta-base")
    command: list[str | Path] = [
        their_python,
        HERE / "embed_with_laion_clap.py",
        "--folder",
        tmp_path,
    ]
    command += ["--size", size, *(["--fused"] if fused else [])]
    subprocess.run(command, check=True)
    with np.load(tmp_path / "vectors.npz") as theirs:
        their_audio, their_text = theirs["audio"], theirs["text"]

    convert_clap(str(tmp_path / "checkpoint.pt"), tmp_path / "converted")
    embedder = load_clap(str(tmp_path / "converted"), device="cpu")
    samples = [clips[name] for name in sorted(clips)]
    rounded = embedder.embed([Clip(samples=quantise(s), sample_rate=RATE) for s in samples])
    exact = embedder.embed([Clip(samples=s, sample_rate=RATE) for s in samples])
    text = embedder.embed_text(TEXTS)
    print(
        f"\n{size} {'fused' if fused else 'unfused'}: largest difference of a number in a unit "
        f"vector: audio {np.abs(rounded - their_audio).max():.1e}, "
        f"text {np.abs(text - their_text).max():.1e}, "
        f"audio without rounding to 16 bits {np.abs(exact - their_audio).max():.1e} "
        f"(smallest cosine {(exact * their_audio).sum(axis=1).min():.7f}); "
        f"cosine between clips {float(exact[0] @ exact[1]):.3f}"
    )
    np.testing.assert_allclose(rounded, their_audio, rtol=0, atol=1e-4)
    np.testing.assert_allclose(text, their_text, rtol=0, atol=1e-4)
    assert (exact * their_audio).sum(axis=1).min() > 0.999
    assert np.abs(exact[0] - exact[1]).max() > 1e-2
