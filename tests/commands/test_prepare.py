"""What is fitted before the first question, and recordings named on standard input."""

import io
import json
from pathlib import Path

import pytest
import soundfile

from earful.rag.retrieval import prepared_task
from tests.commands.conftest import Run


@pytest.mark.slow
def test_an_index_is_prepared_when_it_is_built_and_for_labels_of_ones_own(
    run: Run, index: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = set((index / "prepared").glob("*.npz"))
    assert before
    labels = ",".join(sorted(path.name for path in corpus.iterdir() if path.is_dir()))
    code, out, _ = run("index", "prepare", index, "--labels", labels, "--json")
    assert (code, "n_cases" in json.loads(out)) == (0, True)
    assert set((index / "prepared").glob("*.npz")) > before

    def fit(*_: object, **__: object) -> None:
        raise AssertionError("fitted again")

    for name in ("fit_calibration", "simulated_calibration", "guess_calibration"):
        monkeypatch.setattr(prepared_task, name, fit)
    (query, *_) = sorted(corpus.rglob("*.wav"))
    code, out, _ = run("classify", query, "--index", index, "--labels", labels, "--json")
    assert (code, "text" in json.loads(out)) == (0, True)


def test_the_first_question_reads_no_exemplar(
    run: Run, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("index", "build", corpus, "--index", "own.index")[0] == 0

    def load(*_: object, **__: object) -> None:
        raise AssertionError("an exemplar is decoded")

    monkeypatch.setattr("earful.model.prompt.load_isolated", load)
    monkeypatch.setattr("earful.model.prompt.probe_isolated", load)
    # It is no exemplar, though it sounds like some.
    (query, *_) = sorted(corpus.rglob("*.wav"))
    asked = tmp_path / "query.wav"
    samples, rate = soundfile.read(query)
    soundfile.write(asked, 0.9 * samples, rate)
    code, out, _ = run("classify", asked, "--index", "own.index", "--json")
    assert code == 0, out
    assert json.loads(out)["prompt_digest"]


def test_recordings_come_by_standard_input_too(
    run: Run, index: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = sorted(corpus.rglob("*.wav"))[:3]
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{path}\n" for path in paths)))
    code, out, _ = run("classify", "-", "--index", index, "--model", "none", "--json")
    assert code == 0
    assert [json.loads(line)["audio"] for line in out.splitlines()] == [str(p) for p in paths]
