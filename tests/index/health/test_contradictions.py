"""Rows that deny a label: what a health check and ``earful index`` say of them."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from earful.index import Index, check_health, export_index, open_corpus
from earful.index.builder import build_index
from earful.index.health import HealthLimits, write_health_page
from tests.support.command_line import run, run_fine, run_refused
from tests.support.tone_evaluations import HZ, write_take

LIMITS = HealthLimits(near_duplicate=1.0)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three takes of two tones."""
    root = tmp_path_factory.mktemp("sounds")
    for label in ("low", "high"):
        for take in range(3):
            write_take(root / f"{label}{take}.wav", HZ[label], take)
    return root


def build(sounds: Path, folder: Path, denied: str) -> Index:
    """Build an index of all takes, and of further rows ``file,labels,not_labels``."""
    rows = [f"{x}{n}.wav,{x},,{x}{n}" for x in ("low", "high") for n in range(3)]
    rows += [f"{row},not{number}" for number, row in enumerate(denied.split())]
    shutil.copytree(sounds, folder / "sounds")
    table = folder / "sounds/metadata.csv"
    table.write_text("\n".join(["file_name,labels,not_labels,id", *rows]) + "\n")
    build_index(table, folder / "i", embedder="logmel")
    return Index.open(folder / "i")


def test_denying_rows_change_no_finding_of_the_others(sounds: Path, tmp_path: Path) -> None:
    plain = build(sounds, tmp_path / "plain", "")
    denying = build(sounds, tmp_path / "denying", "low0.wav,,high low1.wav,,high high2.wav,,low")
    one, two = (check_health(index, limits=LIMITS, audio=False) for index in (plain, denying))
    assert one.findings == two.findings
    assert (one.accuracy, one.n_asked, one.skewness) == (two.accuracy, two.n_asked, two.skewness)
    assert (one.n, two.n) == (6, 9)
    assert {x.label: (x.n, x.n_denied) for x in two.labels} == {"low": (3, 1), "high": (3, 2)}
    assert "n_denied" not in json.dumps(one.to_dict())
    assert [replace(x, n_denied=0) for x in two.labels] == list(one.labels)


def test_equal_audio_that_says_the_opposite_is_a_finding(sounds: Path, tmp_path: Path) -> None:
    index = build(sounds, tmp_path, "low0.wav,,low low1.wav,,high high2.wav,high,low")
    found = check_health(index, limits=LIMITS)
    (one,) = [x for x in found.findings if x.kind == "contradiction"]
    assert one.ids == ("low0", "not0")
    assert one.what.startswith("'low' is there, says low0; of the same audio not0 says")
    # Rows of one file that do not contradict each other are no copies to be mended.
    assert not any(x.kind == "copy" for x in found.findings)
    assert not any(x.kind == "unlabelled" for x in found.findings)
    page = tmp_path / "health.html"
    write_health_page(found, index, page)
    text = page.read_text()
    assert "not there" in text
    assert "1 contradiction of two rows" in text
    write_health_page(check_health(build(sounds, tmp_path / "p", "")), index, page)
    assert "not there" not in page.read_text()


def test_an_export_is_a_corpus_again(sounds: Path, tmp_path: Path) -> None:
    index = build(sounds, tmp_path, "low0.wav,,high|wren high2.wav,high,low")
    wanted = [(x.id, x.labels, x.not_labels) for x in index.vectors().exemplars]
    for name in ("rows.csv", "rows.parquet"):
        export_index(index, tmp_path / name)
        corpus = open_corpus(tmp_path / name, root=tmp_path / "sounds")
        found = [(row.exemplar.id, row.exemplar.labels, row.exemplar.not_labels) for row in corpus]
        assert found == wanted
    index.remove(["not0", "not1"])
    # The column stays, and an index without one has none in its exports.
    assert Index.open(index.path).not_labels == {}
    plain = build(sounds, tmp_path / "plain", "")
    export_index(plain, tmp_path / "plain.csv")
    assert "not_labels" not in (tmp_path / "plain.csv").read_text()


@pytest.mark.slow
def test_commands_show_and_add_what_is_not_there(
    sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(sounds, tmp_path, "low0.wav,,high")
    monkeypatch.chdir(tmp_path)
    run_fine("index", "add", "sounds/low1.wav", "--not-label", "high", "--index", "i")
    # A row that takes the place of another says so, and how to keep both.
    words = ("index", "add", "sounds/low1.wav", "--label", "low", "--not-label", "wren")
    run_fine(*words, "--index", "i", "--id", "own")
    result = run(
        "index", "add", "sounds/low1.wav", "--not-label", "high", "--index", "i", "--id", "own"
    )
    assert "replaced own: was labelled 'low', not 'wren' and is now not 'high'" in result.output
    assert "to keep all: --label low --not-label wren --not-label high" in result.output
    run_fine("index", "remove", "i", "own")
    lines = [line.split() for line in run_fine("index", "info", "i").splitlines()]
    assert ["n_negative", "2"] in lines
    assert ["label", "rows", "not", "there"] in lines
    assert ["high", "3", "2"] in lines
    info = json.loads(run_fine("index", "info", "i", "--json"))
    assert (info["format"], info["not_labels"]) == (2, {"high": 2})
    health = run_fine("index", "health", "i", "--no-audio")
    assert "rows that say that a label is not there: high 2" in health
    dry = run_fine("index", "build", "sounds", "--index", "other", "--dry-run")
    assert ["high", "3", "1"] in [line.split() for line in dry.splitlines()]
    assert "no label" not in dry
    assert "not high" in run_fine("search", "sounds/low0.wav", "--index", "i", "-k", "2")
    refused = run_refused("index", "add", "sounds", "--not-label", "high", "--index", "i")
    assert "--not-label" in refused
