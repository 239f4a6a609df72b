from pathlib import Path

import pytest

from earful.errors import AudioError, ModelError
from earful.index import Index
from earful.index.builder import build_index
from earful.index.cache import FeatureCacheFolder
from earful.model import ClipRef, ScriptedLanguageModel
from earful.model.kept_features import FeatureCache
from earful.rag import FewShot
from earful.rag.generation import precompute_features
from tests.support.labelled_tones import write_sound


class KeepsFeatures(ScriptedLanguageModel):
    cache: FeatureCache | None = None

    def __init__(self) -> None:
        super().__init__()
        self.encoded: list[ClipRef] = []

    def keep_features(self, cache: FeatureCache) -> None:
        self.cache = cache

    def encode_exemplar(self, clip: ClipRef) -> None:
        if not Path(str(clip.audio)).exists():
            raise AudioError(f"{clip.audio}: no such file")
        self.encoded.append(clip)


def test_features_are_kept_with_the_index(index: Path, query: Path) -> None:
    model = KeepsFeatures()
    few = FewShot.open(index, model=model)
    assert isinstance(model.cache, FeatureCacheFolder)
    model.cache.fault = "features of exemplars cannot be kept"
    assert model.cache.fault in few.classify(query, shots=1).notes


def test_all_exemplars_can_be_encoded_ahead(index: Path, tmp_path: Path) -> None:
    model = KeepsFeatures()
    progress: list[tuple[int, int]] = []
    opened = Index.open(index)
    report = precompute_features(opened, model, progress=lambda *counts: progress.append(counts))
    assert report.kept == 36
    assert report.failed == ()
    assert progress[-1] == (36, 36)
    assert {clip.content_sha256 for clip in model.encoded} == set(opened.vectors().content)
    with pytest.raises(ModelError, match="scripted keeps no features"):
        precompute_features(opened, ScriptedLanguageModel())


def test_an_exemplar_that_is_gone_stops_no_other(tmp_path: Path) -> None:
    for take in range(3):
        write_sound(tmp_path / "low" / f"{take}.wav", "low", take)
    build_index(tmp_path, tmp_path / "s.index", embedder="logmel")
    (tmp_path / "low" / "1.wav").unlink()
    report = precompute_features(Index.open(tmp_path / "s.index"), KeepsFeatures())
    assert report.kept == 2
    ((id_, error),) = report.failed
    assert id_ == "low/1.wav"
    assert "no such file" in error
