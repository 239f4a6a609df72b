"""An index of tones to evaluate on, in place of the larger one of the folder above."""

from pathlib import Path

import pytest

from earful.index.builder import build_index
from tests.support.tone_evaluations import HZ, write_take


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six takes a tone, two of a group; the last group is the test split."""
    root = tmp_path_factory.mktemp("tones")
    rows = ["file_name,label,group,split,question,answer"]
    for number, (label, hz) in enumerate(HZ.items()):
        for take in range(6):
            path = write_take(root / label / f"{take}.wav", hz, 10 * number + take)
            split = "test" if take >= 4 else "train"
            name = path.relative_to(root)
            rows.append(f"{name},{label},{label}-{take // 2},{split},Which tone is it?,{label}")
    (root / "metadata.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture(scope="session")
def index(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("indexes") / "tones.index"
    build_index(corpus, path, embedder="logmel")
    return path
