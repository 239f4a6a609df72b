"""Folders of random LAION-CLAP models in the hub's layout."""

from pathlib import Path

import pytest

from earful.model.clap import ClapEmbedder, load_clap
from tests.support.clap_folders import save_folder


@pytest.fixture(scope="session", params=[False, True], ids=["unfused", "fused"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(save_folder(tmp_path_factory.mktemp("hub") / "clap", fused=request.param))


@pytest.fixture(scope="session")
def unfused(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(save_folder(tmp_path_factory.mktemp("hub") / "clap", fused=False))


@pytest.fixture(scope="session")
def embedder(folder: Path) -> ClapEmbedder:
    return load_clap(str(folder), device="cpu")
