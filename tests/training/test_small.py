import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from training.features import load_trunk
from training.small import __main__ as command
from training.small.compress import narrow, reduced_rank
from training.small.fit import fit_heads, fit_projection, fit_words

from earful.model import LabelNamer, load_embedder
from earful.model.audio import Clip
from earful.model.small import RANKS, Heard, SmallEmbedder, load_small

NAMES = ("bell", "dog", "rain")


# --- heads ------------------------------------------------------------------------------


def made_up(n_each: int, noise: NDArray[np.float64]) -> tuple[NDArray[np.float64], list[str]]:
    """Three labels along three axes, and noise of a known deviation along each axis."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), n_each)
    rows = rng.standard_normal((labels.size, noise.size)) * noise
    rows[np.arange(labels.size), labels] += 1.0
    return rows, [NAMES[label] for label in labels]


def test_noise_within_labels_is_divided_by_its_deviation_and_shrinkage() -> None:
    noise = np.array([0.1] * 3 + [2.0] * 5)
    rows, labels = made_up(4000, noise)
    fitted = fit_projection(rows, labels, 8, standardise=False)
    np.testing.assert_allclose(fitted.shift, rows.mean(axis=0))
    # The mean variance is (3 * 0.01 + 5 * 4) / 8, and twice that is added to each; an axis' length
    # in the result is one over the root, whichever way the result is turned.
    wanted = 1 / np.sqrt(noise**2 + 2 * (noise**2).mean())
    np.testing.assert_allclose(np.linalg.norm(fitted.project, axis=0), wanted, rtol=0.05)
    # The first axes are those that the labels vary along, but for the noise that is left.
    assert fit_projection(rows[:30], labels[:30], 99, standardise=True).project.shape[0] <= 30


def test_a_label_with_two_clips_says_nothing_of_what_varies_within_it() -> None:
    rows, labels = made_up(50, np.full(6, 0.1))
    odd = np.zeros((2, 6))
    odd[:, 5] = 100.0, -100.0
    fitted = fit_projection(
        np.concatenate([rows, odd]), [*labels, "odd", "odd"], 6, standardise=False
    )
    lengths = np.linalg.norm(fitted.project, axis=0)
    assert lengths[5] == pytest.approx(lengths[3], rel=0.3)
    with pytest.raises(SystemExit, match="no label has 3 clips"):
        fit_projection(odd, ["odd", "odd"], 6, standardise=False)


def test_heads_and_words_are_fitted_to_what_is_heard() -> None:
    """Labels are a direction of both networks and a class each, beside much noise."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 40)
    outputs = 0.1 * rng.standard_normal((120, 512))
    outputs[np.arange(120), labels] += 1.0
    outputs[:, 100:140] += 2.0 * rng.standard_normal((120, 40))
    pooled = 0.01 * rng.random((120, 1024))
    pooled[np.arange(120), labels] += 0.2
    yamnet = load_small(device="cpu").ears.yamnet
    scores = rng.normal(-6.0, 1.0, size=(120, 521))
    for label, name in enumerate(("Bell", "Dog", "Rain")):
        scores[labels == label, yamnet.class_names.index(name)] += 5.0
    heard = Heard(
        outputs=outputs.astype(np.float32), counts=(1,) * 120, pooled=pooled.astype(np.float32)
    )
    named = [NAMES[label] for label in labels]
    heads = fit_heads(heard, named)
    vectors = heads.join(heads.window_means(heard.outputs, heard.counts), heard.pooled)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)
    similarities = vectors @ vectors.T
    np.fill_diagonal(similarities, -1.0)
    assert (labels[similarities.argmax(axis=1)] == labels).all()
    maps = fit_words(vectors, scores, named, yamnet.class_words)
    np.testing.assert_allclose(maps.mean, scores.mean(axis=0))
    standard = (scores - maps.mean) / maps.scale
    np.testing.assert_allclose(maps.covariance, np.cov(standard.T, bias=True), atol=1e-12)
    shipped = load_small(device="cpu")
    # One of its own: the shipped one is shared.
    words = SmallEmbedder(shipped.ears, shipped.heads, shipped.fingerprint, lambda: maps)
    told = words.label_words(NAMES)
    z = scores @ told.weights.T + told.offsets
    np.testing.assert_allclose(z.mean(axis=0), 0.0, atol=1e-9)
    np.testing.assert_allclose(z.std(axis=0), 1.0, atol=1e-9)
    assert (z.argmax(axis=1) == labels).mean() > 0.95
    assert ((vectors @ told.imagined.T).argmax(axis=1) == labels).mean() > 0.95


# --- narrowing --------------------------------------------------------------------------


def test_a_map_of_low_rank_is_found_again() -> None:
    generator = torch.Generator().manual_seed(0)
    responses = torch.randn(400, 12, generator=generator, dtype=torch.float64) + 3.0
    axes = torch.randn(12, 3, generator=generator, dtype=torch.float64)
    back = torch.randn(3, 12, generator=generator, dtype=torch.float64)
    targets = responses @ axes @ back + 7.0
    widen, narrow, bias = reduced_rank(targets, responses, 3)
    assert (widen.shape, narrow.shape, bias.shape) == ((12, 3), (3, 12), (12,))
    torch.testing.assert_close(responses @ narrow.T @ widen.T + bias, targets, atol=1e-3, rtol=1e-4)


def test_of_maps_of_a_rank_none_is_nearer() -> None:
    """An oracle: singular values of the predictions of least squares (Eckart and Young)."""
    generator = torch.Generator().manual_seed(0)
    responses = torch.randn(300, 8, generator=generator, dtype=torch.float64)
    targets = responses @ torch.randn(8, 8, generator=generator, dtype=torch.float64)
    targets += torch.randn(300, 8, generator=generator, dtype=torch.float64)
    widen, narrow, bias = reduced_rank(targets, responses, 2)
    lost = (responses @ narrow.T @ widen.T + bias - targets).square().sum()
    centred, about = responses - responses.mean(dim=0), targets - targets.mean(dim=0)
    predicted = centred @ torch.linalg.lstsq(centred, about).solution
    cut = torch.linalg.svdvals(predicted)[2:].square().sum()
    assert float(lost) == pytest.approx(float((predicted - about).square().sum() + cut), rel=1e-4)


def test_where_responses_are_too_few_they_stay_as_they_are() -> None:
    few = torch.randn(4, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    widen, narrow, _ = reduced_rank(2 * few, few, 9)
    whole = widen @ narrow
    # Doubled where the four differ, unchanged across.
    assert sorted(torch.linalg.svdvals(whole).round(decimals=3).tolist()) == [1.0] * 6 + [2.0] * 3


@pytest.mark.slow
def test_the_network_is_narrowed_to_what_the_original_says() -> None:
    generator = torch.Generator().manual_seed(0)
    windows = torch.rand(3, 100, 96, generator=generator)
    told: dict[int, float] = {}
    with torch.inference_mode():
        factors = narrow(load_trunk(), windows, on_layer=told.__setitem__)
    assert list(told) == list(RANKS)
    assert max(told.values()) < 0.2
    widen = factors[1].widen
    np.testing.assert_array_equal(widen, widen.astype(np.float16))


# --- the command ------------------------------------------------------------------------


@pytest.mark.slow
def test_a_corpus_of_ones_own_becomes_an_embedder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, out = tmp_path / "corpus", tmp_path / "own"
    corpus.mkdir()
    time_s = np.arange(11_025) / 22_050
    with (corpus / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file_name", "label", "split"])
        for split, label, hz in [
            ("train", "bell", 2000),
            ("train", "rumble", 90),
            ("held_out", "?", 9),
        ]:
            for number in range(3):
                sound = 0.3 * np.sin(2 * np.pi * hz * (1 + number / 20) * time_s)
                soundfile.write(corpus / f"{label}{number}.wav", sound, 22_050)
                writer.writerow([f"{label}{number}.wav", label, split])
    monkeypatch.setattr(
        "sys.argv", ["small", "--corpus", str(corpus), "--out", str(out), "--release", "mine"]
    )
    command.main()
    told = json.loads((out / "earful-small.json").read_text())
    # Six clips have six axes at most.
    assert told["parts"]["encoder"]["dims"] == [6, 6]
    embedder = load_embedder(str(out), device="cpu")
    assert isinstance(embedder, LabelNamer)
    assert (embedder.fingerprint.revision, embedder.fingerprint.dim) == ("mine", 12)
    bell = np.sin(2 * np.pi * 2050 * np.arange(22_050) / 44_100).astype(np.float32)
    (vector,) = embedder.embed([Clip(samples=0.3 * bell, sample_rate=44_100)])
    near, far = embedder.embed_text(["bell", "rumble"]) @ vector
    assert near > far


def test_a_corpus_without_training_clips_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("file_name,label,split\n")
    with pytest.raises(SystemExit, match="no clip has the split 'train'"):
        command.fit(tmp_path)
