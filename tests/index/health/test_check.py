"""Indexes with something wrong with them, each in one way."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earful.index import Index
from earful.index.builder import build_index
from earful.index.health import (
    HealthLimits,
    check_health,
    doubt,
    map_index,
    summary,
    write_health_page,
    write_map_page,
)
from earful.index.health.check import Health
from earful.index.health.findings import Finding

RATE = 8000
HZ = {"low": 200.0, "middle": 700.0, "high": 2000.0}


def write(path: Path, hz: float, seed: int, seconds: float = 0.25, level: float = 0.3) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    time_s = np.arange(round(seconds * RATE)) / RATE
    random = np.random.default_rng(seed)
    samples = level * np.sin(2 * np.pi * hz * random.uniform(0.9, 1.1) * time_s)
    samples += random.normal(size=time_s.size) * 0.05 * (level > 0)
    soundfile.write(path, samples.clip(-1, 1), RATE, subtype="PCM_16")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    """Six takes of three tones; then, one by one, all that can be wrong."""
    root = tmp_path_factory.mktemp("corpus")
    for number, (label, hz) in enumerate(HZ.items()):
        for take in range(6):
            write(root / label / f"{take}.wav", hz, 10 * number + take)
    write(root / "low/mislabelled.wav", 2000.0, 90)
    write(root / "high/long.wav", 2000.0, 91, seconds=9.0)
    write(root / "low/loud.wav", 200.0, 92, level=4.0)
    write(root / "lonely/only.wav", 4000.0, 93)
    write(root / "middle/silent.wav", 700.0, 94, level=0.0)
    (root / "middle/copy.wav").write_bytes((root / "high/0.wav").read_bytes())
    write(root / "middle/gone.wav", 700.0, 95)
    path = tmp_path_factory.mktemp("indexes") / "tones.index"
    build_index(root, path, embedder="logmel")
    (root / "middle/gone.wav").unlink()
    return Index.open(path)


@pytest.fixture(scope="module")
def health(index: Index) -> Health:
    return check_health(index, limits=HealthLimits(near_duplicate=0.9999))


def found(health: Health, kind: str) -> dict[tuple[str, ...], Finding]:
    return {one.ids: one for one in health.findings if one.kind == kind}


def test_a_label_that_its_neighbours_deny_is_suspected(health: Health) -> None:
    suspects = found(health, "label")
    (wrong,) = (one for ids, one in suspects.items() if ids == ("low/mislabelled.wav",))
    assert wrong.what.startswith("labelled 'low', and 100.0% of its neighbours' weight says 'high'")
    assert all(id_.startswith(("high/", "middle/copy")) for id_ in wrong.neighbours)
    assert not any(ids[0] in {"low/0.wav", "high/1.wav"} for ids in suspects)


def test_the_same_audio_under_two_labels_is_the_worst(health: Health) -> None:
    (copy,) = found(health, "copy").values()
    assert copy.ids == ("high/0.wav", "middle/copy.wav")
    assert "labels differ" in copy.what
    assert health.findings[0] == copy


def test_a_label_of_one_recording_is_an_orphan(health: Health) -> None:
    (orphan,) = found(health, "orphan").values()
    assert orphan.ids == ("lonely/only.wav",)
    assert orphan.what == "label 'lonely' has 1 exemplar of 1 recording"


def test_silence_clipping_length_and_lost_files_are_heard(health: Health) -> None:
    assert set(found(health, "silence")) == {("middle/silent.wav",)}
    assert set(found(health, "clipping")) == {("low/loud.wav",)}
    assert set(found(health, "duration")) == {("high/long.wav",)}
    (gone,) = found(health, "unreadable").values()
    assert gone.ids == ("middle/gone.wav",)
    assert "gone.wav" in gone.what


def test_labels_are_counted_by_leaving_each_row_out(health: Health, index: Index) -> None:
    by_label = {label.label: label for label in health.labels}
    assert (by_label["high"].n, by_label["high"].n_groups) == (7, 7)
    assert by_label["lonely"].accuracy == 0.0
    assert by_label["high"].accuracy == 1.0
    # An oracle: every row against all others of other files and content, by a plain sort.
    rows = index.vectors()
    right = 0
    for row, exemplar in enumerate(rows.exemplars):
        scores = rows.vectors @ rows.vectors[row]
        same = [rows.content[x] == rows.content[row] for x in range(len(rows))]
        order = [x for x in np.argsort(-scores, kind="stable").tolist() if not same[x]][:5]
        votes: dict[str, float] = {}
        for other in order:
            (label,) = rows.exemplars[other].labels
            votes[label] = votes.get(label, 0.0) + max(float(scores[other]), 1e-6)
        right += max(sorted(votes), key=votes.__getitem__) in exemplar.labels
    assert health.accuracy == pytest.approx(right / len(rows))


def test_near_duplicates_are_told_once_a_pair(index: Index, health: Health) -> None:
    # Takes of one tone are near, but no two forms of one recording.
    assert not found(check_health(index, limits=HealthLimits(near_duplicate=0.9)), "near-duplicate")
    # Without reading them nothing is known of them, and that is said.
    unread = check_health(index, audio=False)
    assert not any(one.kind in ("silence", "near-duplicate") for one in unread.findings)
    assert "near-duplicates" in doubt(unread)
    assert "near-duplicates" not in doubt(health)


def test_a_copy_at_another_level_and_rate_is_one_finding(tmp_path: Path) -> None:
    for take_ in range(12):
        write(tmp_path / f"corpus/low/{take_}.wav", 200.0, take_, seconds=1.0)
        write(tmp_path / f"corpus/high/{take_}.wav", 2000.0, 100 + take_, seconds=1.0)
    samples, rate = soundfile.read(tmp_path / "corpus/low/3.wav")
    soundfile.write(tmp_path / "corpus/high/copy.ogg", 0.05 * samples[400:], rate)
    build_index(tmp_path / "corpus", tmp_path / "tones.index", embedder="logmel")
    (pair,) = found(check_health(Index.open(tmp_path / "tones.index")), "near-duplicate").values()
    assert set(pair.ids) == {"low/3.wav", "high/copy.ogg"}
    assert pair.what.endswith("labelled 'high' and 'low'")
    assert pair.severity == 0.9


def test_a_row_that_is_everybody_s_neighbour_is_a_hub(tmp_path: Path) -> None:
    from earful.index.health.vectors import find_hubs
    from earful.index.search import VectorSet

    names = [f"{n:02d}" for n in range(20)]
    from pathlib import PurePosixPath

    from earful.index.corpus import Exemplar

    rows = VectorSet(
        exemplars=[Exemplar(id=name, audio=PurePosixPath(name)) for name in names],
        paths=[Path(name) for name in names],
        content=names,
        vectors=np.eye(20, dtype=np.float32),
    )
    occurrence = np.array([19] + [1] * 19)
    (hub,) = find_hubs(rows, occurrence, HealthLimits(k=2))
    assert hub.ids == ("00",)
    assert hub.what == "a neighbour of 19 rows, 10.0 times the average"


def test_the_page_and_the_json_say_it_all(health: Health, index: Index, tmp_path: Path) -> None:
    told = json.loads(json.dumps(health.to_dict()))
    assert told["n"] == 25
    assert sum(told["n_of"].values()) == len(told["findings"])
    write_health_page(health, index, tmp_path / "health.html")
    text = (tmp_path / "health.html").read_text()
    for name in ("table-label", "table-labels", "table-hubs"):
        assert f'id="{name}"' in text
    assert summary(health).startswith("25 rows; asked about each as if it were new, 5 neighbours")
    assert doubt(health) == "" or "embedder's mistakes" in doubt(health)


def test_nonsense_is_refused(index: Index, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="k=0"):
        HealthLimits(k=0)
    with pytest.raises(ValueError, match="near_duplicate=0"):
        HealthLimits(near_duplicate=0)
    empty = Index.create(tmp_path / "empty.index", index.fingerprint)
    with pytest.raises(ValueError, match="holds no rows"):
        check_health(empty)
    with pytest.raises(ValueError, match="three or more"):
        map_index(empty)
    with pytest.raises(ValueError, match="method='tsne'"):
        map_index(index, method="tsne")  # type: ignore[arg-type]


def test_the_map_is_the_plane_of_greatest_variance(index: Index, tmp_path: Path) -> None:
    found = map_index(index)
    vectors = index.vectors().vectors.astype(np.float64)
    centred = vectors - vectors.mean(axis=0)
    # The singular values say what no other two directions can beat.
    strengths = np.linalg.svd(centred, compute_uv=False) ** 2
    assert found.explained == pytest.approx(tuple(strengths[:2] / strengths.sum()))
    np.testing.assert_allclose((found.points**2).sum(axis=0), strengths[:2])
    np.testing.assert_array_equal(found.points, map_index(index).points)
    assert found.to_dict()["points"][0]["id"] == found.ids[0]
    write_map_page(found, index, tmp_path / "map.html", color_by="group")
    assert 'id="plot-map"' in (tmp_path / "map.html").read_text()


@pytest.mark.slow
def test_a_map_by_umap_keeps_neighbours(index: Index) -> None:
    pytest.importorskip("umap")
    found = map_index(index, method="umap")
    assert found.points.shape == (25, 2)
    assert np.isfinite(found.points).all()


def test_umap_that_is_not_installed_is_told(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from earful.errors import MissingExtraError

    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(MissingExtraError, match=r"earful\[map\]"):
        map_index(index, method="umap")
