import csv
import hashlib
import itertools
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from earful.demo import DemoCorpus
from earful.errors import CorpusError
from earful.index.corpus import open_corpus
from earful.model.audio import load_audio
from earful.rag.task import load_task

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "notebooks" / "demo"
PARTS = ("sounds", "unseen/examples", "unseen/queries")
FREE = {"CC0-1.0", "CC-BY-3.0", "CC-BY-4.0", "MIT", "BSD-3-Clause"}
COPY = 0.95  # normalised cross-correlation above which two clips are one recording


def manifest(part: str) -> list[dict[str, str]]:
    with (DEMO / part / "metadata.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("part", PARTS)
def test_the_manifest_names_every_clip_with_its_digest(part: str) -> None:
    rows = manifest(part)
    there = {path.relative_to(DEMO / part).as_posix() for path in (DEMO / part).rglob("*.flac")}
    assert {row["file_name"] for row in rows} == there
    for row in rows:
        data = (DEMO / part / row["file_name"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == row["sha256"]


def test_every_clip_is_free_and_credited() -> None:
    attribution = (ROOT / "ATTRIBUTION.md").read_text(encoding="utf-8")
    for row in [row for part in PARTS for row in manifest(part)]:
        assert row["licence"] in FREE
        assert row["author"]
        line = rf"\| {re.escape(row['package'])} .* \| {re.escape(row['author'])} \|"
        assert re.search(line, attribution), row


def test_the_corpus_stays_within_its_size() -> None:
    assert sum(path.stat().st_size for path in DEMO.rglob("*.flac")) <= 10e6
    counts = Counter(row["label"] for row in manifest("sounds"))
    assert len(counts) >= 25
    assert all(8 <= n <= 16 for n in counts.values())


def test_every_clip_decodes_and_none_is_there_twice() -> None:
    seen: dict[str, str] = {}
    for part in PARTS:
        for row in manifest(part):
            clip = load_audio(DEMO / part / row["file_name"])
            assert 0.02 < clip.duration_s <= 1.31
            assert clip.content_sha256 not in seen, (row, seen[clip.content_sha256])
            seen[clip.content_sha256] = row["file_name"]


def test_the_unseen_labels_are_not_in_the_index_corpus() -> None:
    task = load_task(DEMO / "unseen.toml")
    assert not set(task.labels) & {row["label"] for row in manifest("sounds")}
    for part in PARTS[1:]:
        assert {row["label"] for row in manifest(part)} == set(task.labels)
    examples = {row["member"] for row in manifest("unseen/examples")}
    assert not examples & {row["member"] for row in manifest("unseen/queries")}


def test_every_label_has_a_second_source() -> None:
    groups: dict[str, set[str]] = {}
    for row in manifest("sounds"):
        groups.setdefault(row["label"], set()).add(row["group"])
    assert all(len(found) >= 2 for found in groups.values()), groups


def test_no_group_has_both_examples_and_queries() -> None:
    """Retrieval leaves out the query's group: such an example could never be used."""
    examples, queries = ({row["group"] for row in manifest(part)} for part in PARTS[1:])
    assert not examples & queries


@pytest.mark.slow
def test_no_clip_is_a_copy_or_a_cut_of_another() -> None:
    clips: dict[str, list[tuple[str, NDArray[np.float32]]]] = {}
    for part in PARTS:
        for row in manifest(part):
            clip = load_audio(DEMO / part / row["file_name"], sample_rate=8000)
            clips.setdefault(row["label"], []).append((row["file_name"], clip.samples))
    for alike in clips.values():
        for (one, a), (other, b) in itertools.combinations(alike, 2):
            assert correlation(a, b) < COPY, (one, other)


def test_the_correlation_finds_a_shifted_and_louder_cut() -> None:
    noise = np.random.default_rng(0).standard_normal(8000).astype(np.float32)
    assert correlation(noise, 0.3 * noise) == pytest.approx(1.0, abs=1e-6)
    assert correlation(noise, -0.3 * noise[200:]) > COPY
    assert correlation(noise, noise[::-1].copy()) < 0.1


def correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Return the largest absolute correlation of two waveforms over all lags."""
    n = 2 ** (a.size + b.size - 1).bit_length()
    spectrum = np.fft.rfft(a, n) * np.conj(np.fft.rfft(b, n))
    return float(np.abs(np.fft.irfft(spectrum, n)).max() / np.linalg.norm(a) / np.linalg.norm(b))


def test_the_selection_is_what_the_manifests_say() -> None:
    with (ROOT / "training" / "demo_sources.csv").open(newline="", encoding="utf-8") as file:
        selected = sorted((row["label"], row["member"]) for row in csv.DictReader(file))
    assert selected == sorted((r["label"], r["member"]) for part in PARTS for r in manifest(part))


@pytest.mark.parametrize("part", PARTS)
def test_a_clip_names_its_segment_of_the_original(part: str) -> None:
    for row in manifest(part):
        length_s = float(row["member_last"]) - float(row["member_first"])
        clip = load_audio(DEMO / part / row["file_name"])
        assert clip.duration_s == pytest.approx(length_s, abs=2e-3), row


def test_the_library_reads_the_corpus() -> None:
    found = DemoCorpus.find()
    rows = list(open_corpus(found.sounds))
    assert len(rows) == len(manifest("sounds"))
    assert all(row.exemplar.group and row.exemplar.licence for row in rows)


def test_a_folder_that_is_no_demo_says_what_is_expected(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EARFUL_DEMO", str(tmp_path))
    with pytest.raises(CorpusError, match=r"EARFUL_DEMO=.*unseen\.toml.*Unset it"):
        DemoCorpus.find()


def test_a_named_folder_goes_before_what_came_with_earful(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "demo").symlink_to(DEMO)
    monkeypatch.setenv("EARFUL_DEMO", str(tmp_path / "demo"))
    assert DemoCorpus.find().sounds == tmp_path / "demo/sounds"


def test_a_checkout_and_an_installation_find_their_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("EARFUL_DEMO", raising=False)
    monkeypatch.chdir(tmp_path)
    assert DemoCorpus.find().sounds == DEMO / "sounds"
    monkeypatch.setattr("earful.demo.corpus._INSTALLED", tmp_path)
    with pytest.raises(CorpusError, match=r"install it again.*EARFUL_DEMO"):
        DemoCorpus.find()
    for part in ("sounds", "unseen", "unseen.toml"):
        (tmp_path / part).symlink_to(DEMO / part)
    assert DemoCorpus.find().task == tmp_path / "unseen.toml"
