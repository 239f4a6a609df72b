import json
import os
import shutil
import subprocess
import sys
import time
import wave
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from numpy.typing import NDArray

from earful.errors import (
    AudioError,
    IndexMismatchError,
    ModelError,
    PromptError,
    TaskError,
    UnknownNameError,
)
from earful.index import Index
from earful.index.builder import build_index
from earful.index.corpus import Exemplar
from earful.index.search import SearchFilter
from earful.index.storage import Row
from earful.model import Fingerprint
from earful.model.audio import Clip, load_audio
from earful.rag import FewShot
from earful.rag.task import Example, Label, Shots, Task, load_task

RATE = 16_000
FREQUENCIES_HZ = {"low": 200.0, "middle": 900.0, "high": 3500.0, "hiss": 0.0}


def sound(label: str, seed: int) -> NDArray[np.float64]:
    """Half a second of a tone in noise, or of noise alone; every seed another take."""
    rng = np.random.default_rng([seed, len(label)])
    time_s = np.arange(RATE // 2) / RATE
    hz = FREQUENCIES_HZ[label] * rng.uniform(0.9, 1.1)
    tone = np.sin(2 * np.pi * hz * time_s) if hz else 0.0
    noise = rng.normal(size=time_s.size) * (0.05 if hz else 0.3)
    return np.asarray(0.3 * tone + noise)


def write(path: Path, samples: NDArray[np.float64]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("a corpus")
    rows = ["file_name,label,group,split"]
    for label in ("low", "middle", "high"):
        for take in range(12):
            write(root / label / f"{take}.wav", sound(label, take))
            split = "train" if take < 9 else "test"
            rows.append(f"{label}/{take}.wav,{label},{label}-{take // 2},{split}")
    (root / "metadata.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture(scope="module")
def index(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("indexes") / "sounds.index"
    assert build_index(corpus, path, embedder="logmel").accepted == 36
    return path


@pytest.fixture(scope="module")
def few(index: Path) -> FewShot:
    return FewShot.open(index)


@pytest.fixture(scope="module")
def queries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("queries")
    for label in FREQUENCIES_HZ:
        for take in range(100, 103):
            write(root / label / f"{take}.wav", sound(label, take))
    return root


def test_unseen_sounds_get_their_label_and_show_why(few: FewShot, queries: Path) -> None:
    for label in ("low", "middle", "high"):
        path = queries / label / "100.wav"
        answer = few.classify(path)
        assert answer.text == label
        assert answer.confidence > 0.8
        assert not answer.abstained
        assert answer.model == "neighbour-vote"
        assert answer.audio == str(path)
        assert answer.scores[0].label == label
        assert sum(score.score for score in answer.scores) == pytest.approx(1.0)
        assert {score.label for score in answer.scores} == {"low", "middle", "high"}
        assert len(answer.evidence) == 8
        assert [hit.rank for hit in answer.evidence] == list(range(8))
        assert answer.evidence[0].exemplar.labels == (label,)
        assert list(answer.timings) == ["decode_s", "embed_s", "retrieve_s", "score_s"]
        assert answer.prompt is not None
        assert answer.prompt.digest == answer.prompt_digest
        # Nearest last: the last exemplar before the query is the best hit.
        assert str(answer.evidence[0].path) in answer.prompt.render().splitlines()[-9]


def test_the_json_holds_what_is_promised(few: FewShot, queries: Path) -> None:
    values = few.classify(queries / "low/100.wav").to_dict()
    assert list(values)[:8] == [
        "audio",
        "text",
        "confidence",
        "abstained",
        "scores",
        "evidence",
        "model",
        "prompt_digest",
    ]
    json.dumps(values, allow_nan=False)


def test_equal_queries_get_equal_answers(index: Path, queries: Path) -> None:
    def values() -> dict[str, object]:
        answer = FewShot.open(index).classify(queries / "low/101.wav", strategy="random", seed=3)
        return answer.to_dict()

    assert values() == values()


def test_a_recording_of_the_index_never_meets_itself(few: FewShot, corpus: Path) -> None:
    path = corpus / "low" / "3.wav"
    for asked in (path, str(path), os.path.relpath(path), load_audio(path)):
        evidence = few.classify(asked).evidence
        assert all(hit.path != path.resolve() for hit in evidence)
    # Its group holds the takes 2 and 3.
    evidence = few.classify(path, group="low-1", shots=30).evidence
    names = {str(hit.exemplar.audio) for hit in evidence}
    assert not names & {"low/2.wav", "low/3.wav"}
    assert len(evidence) == 30


def test_a_renamed_or_linked_copy_does_not_help(few: FewShot, corpus: Path, tmp_path: Path) -> None:
    original = (corpus / "high" / "5.wav").resolve()
    copy = Path(shutil.copy(original, tmp_path / "copy.wav"))
    link = tmp_path / "link.wav"
    link.symlink_to(original)
    for asked in (copy, link):
        assert all(hit.path != original for hit in few.classify(asked).evidence)


def test_labels_narrow_the_choice(few: FewShot, queries: Path) -> None:
    answer = few.classify(queries / "middle/100.wav", labels=["low", "high"])
    assert [score.label for score in answer.scores] in (["low", "high"], ["high", "low"])
    assert {label for hit in answer.evidence for label in hit.exemplar.labels} <= {"low", "high"}
    with pytest.raises(TaskError, match=r"no exemplar has the label 'midle'\..*'middle'"):
        few.classify(queries / "middle/100.wav", labels=["low", "midle"])


def test_shots_and_strategy_can_be_changed(few: FewShot, queries: Path) -> None:
    path = queries / "low/100.wav"
    assert len(few.classify(path, shots=3).evidence) == 3
    balanced = few.classify(path, shots=3, strategy="balanced").evidence
    assert {hit.exemplar.answer for hit in balanced} == {"low", "middle", "high"}
    with pytest.raises(TaskError, match="unknown strategy 'nearst'"):
        few.classify(path, strategy="nearst")
    with pytest.raises(TaskError, match="0 shots"):
        few.classify(path, shots=0)


def task_with_hiss(folder: Path, queries: Path) -> Path:
    """A task whose label ``hiss`` the index never had."""
    for take in (100, 101):
        shutil.copy(queries / "hiss" / f"{take}.wav", folder)
    path = folder / "hiss.toml"
    path.write_text(
        """
        name = "hiss-or-tone"
        kind = "classify"
        question = "Is it a tone?"
        [labels.hiss]
        [labels.tone]
        wording = "a tone"
        aliases = ["low", "middle", "high"]
        [shots]
        k = 4
        [[examples]]
        audio = "100.wav"
        label = "hiss"
        [[examples]]
        audio = "101.wav"
        label = "hiss"
        """
    )
    return path


def test_a_task_adapts_to_a_label_that_the_index_never_had(
    few: FewShot, queries: Path, tmp_path: Path
) -> None:
    task = task_with_hiss(tmp_path, queries)
    hiss = few.classify(queries / "hiss/102.wav", task=task)
    assert hiss.text == "hiss"
    assert {hit.exemplar.id for hit in hiss.evidence} >= {
        "hiss-or-tone:100.wav",
        "hiss-or-tone:101.wav",
    }
    assert few.classify(queries / "high/100.wav", task=task).text == "tone"
    # The example itself, asked about under another name, is not shown to itself.
    again = few.classify(queries / "hiss/100.wav", task=task)
    assert "hiss-or-tone:100.wav" not in {hit.exemplar.id for hit in again.evidence}
    assert again.prompt is not None
    assert "[answer] a tone" in again.prompt.render()


def test_a_task_with_examples_needs_no_index(queries: Path, tmp_path: Path) -> None:
    lines = ['name = "own"', "examples = ["]
    for label in ("low", "high"):
        for take in (100, 101):
            audio = json.dumps(str(queries / label / f"{take}.wav"))
            lines.append(f'  {{audio = {audio}, label = "{label}"}},')
    path = tmp_path / "own.toml"
    path.write_text("\n".join([*lines, "]"]))
    task = load_task(path, allow_outside=True)
    few = FewShot.from_task(task, embedder="logmel")
    answer = few.classify(queries / "low/102.wav", task=task)
    assert answer.text == "low"
    assert answer.notes == (
        "only 4 of 8 shots could be found",
        "too few exemplars to calibrate on; confidence is a rough guess",
    )
    assert (
        FewShot.from_task(load_task(path, allow_outside=True), embedder=few.embedder)
        .classify(queries / "low/102.wav", task=task)
        .scores
        == answer.scores
    )
    with pytest.raises(ValueError, match="there is no index"):
        few.search(queries / "low/102.wav")
    with pytest.raises(TaskError, match="brings no examples"):
        FewShot.from_task("urban-sounds", embedder="logmel")


def test_a_dozen_examples_without_an_index_are_calibrated_on_and_said_to_be_few(
    corpus: Path, queries: Path, tmp_path: Path
) -> None:
    path = tmp_path / "t.toml"
    path.write_text(f"examples = {json.dumps(str(corpus))}")
    task = load_task(path, allow_outside=True)
    few = FewShot.from_task(task, embedder="logmel")
    answer = few.classify(queries / "low/100.wav", task=task)
    assert answer.text == "low"
    assert answer.notes == ("confidence is calibrated on 36 exemplars only",)


def test_a_label_without_exemplars_is_noted(few: FewShot, queries: Path) -> None:
    labels = {name: Label() for name in ("low", "high", "purring")}
    answer = few.classify(queries / "low/100.wav", task=Task(name="t", labels=labels))
    assert answer.notes[0] == "no exemplar has the label 'purring'"
    assert answer.scores[0].label == "low"
    assert len(answer.scores) == 3
    with pytest.raises(TaskError, match="no exemplar has the label"):
        few.classify(queries / "low/100.wav", task="emotion")


def test_an_unsure_answer_is_an_abstention(few: FewShot, queries: Path) -> None:
    task = Task(name="t", abstain_below=0.999)
    # Hiss is unlike every tone: the answer is flat.
    answer = few.classify(queries / "hiss/100.wav", task=task)
    sure = few.classify(queries / "low/100.wav", task=replace(task, abstain_below=0.5))
    assert answer.abstained
    assert answer.text in {"low", "middle", "high"}
    assert answer.confidence < sure.confidence
    assert not sure.abstained


def test_several_labels_are_decided_each_for_itself(few: FewShot, queries: Path) -> None:
    task = Task(name="t", kind="multilabel", labels={"low": Label(), "high": Label()})
    answer = few.classify(queries / "high/100.wav", task=task, labels=["low", "high"])
    assert answer.text == "high"
    scores = {score.label: score.score for score in answer.scores}
    assert scores["high"] > 0.8
    assert scores["low"] < 0.2
    assert answer.confidence == min(scores["high"], 1 - scores["low"])


def test_what_takes_a_language_model_is_refused_with_its_prompt_at_hand(
    few: FewShot, queries: Path
) -> None:
    task = Task(name="t", kind="ask", question="How does it sound?")
    with pytest.raises(TaskError, match="is of kind 'ask', which takes a language model"):
        few.classify(queries / "low/100.wav", task=task)
    prompt = few.prompt_for(queries / "low/100.wav", task=task, shots=2, question="Is it low?")
    assert prompt.n_clips == 3
    assert prompt.render().endswith("[user] Please answer this question: Is it low?")


def test_the_prompt_of_a_classification_is_the_same_by_both_ways(
    few: FewShot, queries: Path
) -> None:
    path = queries / "low/100.wav"
    assert few.prompt_for(path).digest == few.classify(path).prompt_digest


def test_a_query_that_leaves_no_exemplar_is_told_so(index: Path, tmp_path: Path) -> None:
    few = FewShot.open(index)
    path = write(tmp_path / "one.wav", sound("low", 77))
    clip = load_audio(path)
    task = Task(
        name="t",
        examples=(
            load_task_example(path, tmp_path, "a"),
            load_task_example(path, tmp_path, "b", end_s=0.4),
        ),
    )
    with pytest.raises(PromptError, match="every exemplar that could answer is from the same"):
        few.classify(path, task=task)
    assert few.classify(replace(clip, source="", content_sha256="other"), task=task).text


def load_task_example(path: Path, folder: Path, label: str, end_s: float | None = None) -> Example:
    end = "" if end_s is None else f", end_s = {end_s}"
    toml = folder / f"{label}.toml"
    toml.write_text(f'examples = [{{audio = "{path.name}", label = "{label}"{end}}}]')
    return load_task(toml).examples[0]


def test_an_example_that_cannot_be_read_is_told_with_its_line(
    few: FewShot, queries: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.wav").write_bytes(b"RIFF nonsense")
    path = tmp_path / "t.toml"
    path.write_text('name = "t"\n[[examples]]\naudio = "broken.wav"\nlabel = "x"\n')
    with pytest.raises(TaskError, match=r"t\.toml:2: .*broken\.wav"):
        few.classify(queries / "low/100.wav", task=path)


def test_a_query_that_cannot_be_read_is_an_audio_error(few: FewShot, tmp_path: Path) -> None:
    with pytest.raises(AudioError):
        few.classify(tmp_path / "none.wav")


def test_a_stretch_of_a_recording_can_be_asked_about(few: FewShot, tmp_path: Path) -> None:
    path = write(tmp_path / "two.wav", np.concatenate([sound("low", 200), sound("high", 200)]))
    assert few.classify(path, start_s=0.0, end_s=0.5).text == "low"
    second = few.classify(path, start_s=0.5)
    assert second.text == "high"
    assert second.prompt is not None
    assert f"{path} [0.5-end s]" in second.prompt.render()
    with pytest.raises(ValueError, match="start_s and end_s are for files"):
        few.classify(load_audio(path), start_s=0.5)


def test_search_finds_and_filters(few: FewShot, corpus: Path, queries: Path) -> None:
    hits = few.search(corpus / "low/0.wav", k=3)
    assert hits[0].similarity == pytest.approx(1.0, abs=1e-6)
    assert hits[0].exemplar.id == "low/0.wav"
    only = SearchFilter(labels=frozenset({"high"}), splits=frozenset({"test"}))
    found = few.search(queries / "low/100.wav", k=20, filter=only)
    assert sorted(hit.exemplar.id for hit in found) == ["high/10.wav", "high/11.wav", "high/9.wav"]
    where = SearchFilter(where="split = 'test'")
    assert len(few.search(queries / "low/100.wav", k=20, filter=where)) == 9


def test_another_embedders_name_is_told_that_the_index_is_not_its_own(index: Path) -> None:
    # logmel's revision is logmel's: earful-tiny is not asked for one of that name.
    with pytest.raises(
        IndexMismatchError, match=r"built with embedder 'logmel', and this is 'earful-tiny'"
    ):
        FewShot.open(index, embedder="earful-tiny")


def test_search_by_text_needs_an_embedder_with_text(few: FewShot) -> None:
    with pytest.raises(ModelError, match=r"'logmel' has no text.*laion/clap-htsat-unfused"):
        few.search(text="a dog")
    with pytest.raises(ValueError, match="either audio or text"):
        few.search()
    with pytest.raises(UnknownNameError, match="did you mean 'faiss'"):
        few.search(text="a dog", backend="fais")


class TextAndTones:
    """An embedder of two axes: low and high; words name them."""

    fingerprint = Fingerprint(
        name="axes", revision="", weights_sha256="", dim=2, sample_rate=RATE, windowing="whole"
    )

    def embed(self, clips: Sequence[Clip]) -> NDArray[np.float32]:
        rows = []
        for clip in clips:
            spectrum = np.abs(np.fft.rfft(clip.samples)) ** 2
            hz = np.fft.rfftfreq(clip.samples.size, 1 / clip.sample_rate)
            energies = np.sqrt([spectrum[hz < 500].sum(), spectrum[hz >= 500].sum()])
            rows.append(energies / np.linalg.norm(energies))
        return np.array(rows, dtype=np.float32)

    def embed_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([[1, 0] if "low" in text else [0, 1] for text in texts], np.float32)


def test_search_by_text_and_an_embedder_of_ones_own(
    corpus: Path, queries: Path, tmp_path: Path
) -> None:
    build_index(corpus, tmp_path / "axes.index", embedder=TextAndTones())
    few = FewShot.open(tmp_path / "axes.index", embedder=TextAndTones())
    assert {hit.exemplar.answer for hit in few.search(text="a low tone", k=5)} == {"low"}
    assert few.classify(queries / "low/100.wav").text == "low"
    with pytest.raises(ValueError, match="sentence to search with is empty"):
        few.search(text=" ")
    with pytest.raises(IndexMismatchError, match="axes"):
        FewShot.open(tmp_path / "axes.index", embedder="logmel")


def test_new_rows_of_the_index_are_seen(corpus: Path, queries: Path, tmp_path: Path) -> None:
    path = tmp_path / "growing.index"
    build_index(corpus, path, embedder="logmel")
    few = FewShot.open(path)
    query = queries / "hiss/100.wav"
    assert few.classify(query).text != "hiss"
    write(tmp_path / "more" / "hiss" / "1.wav", sound("hiss", 1))
    clip = load_audio(tmp_path / "more/hiss/1.wav", sample_rate=44_100)
    assert few.index is not None
    few.index.add(
        [
            Row(
                exemplar=Exemplar(id="new", audio=PurePosixPath("hiss/1.wav"), labels=("hiss",)),
                root=(tmp_path / "more").resolve(),
                duration_s=clip.duration_s,
                file_sha256="0" * 64,
                content_sha256=clip.content_sha256,
                vector=few.embedder.embed([clip])[0],
            )
        ]
    )
    assert few.classify(query).evidence[0].exemplar.id == "new"


def test_a_task_is_read_and_its_examples_embedded_once(
    index: Path, queries: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = FewShot.open(index)
    path = task_with_hiss(tmp_path, queries)
    few.classify(queries / "hiss/102.wav", task=path)
    monkeypatch.setattr("earful.rag.retrieval.prepared_task.load_task", None)
    monkeypatch.setattr("earful.rag.retrieval.prepared_task.embed_examples", None)
    monkeypatch.setattr("earful.rag.retrieval.prepared_task.gather_candidates", None)
    monkeypatch.setattr("earful.rag.retrieval.prepared_task.fit_calibration", None)
    assert few.classify(queries / "hiss/102.wav", task=path).text == "hiss"


@pytest.mark.slow
def test_ten_thousand_rows_cost_milliseconds(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(25, 512))
    truth = rng.integers(0, 25, 10_000)
    vectors = (centres[truth] + 2.0 * rng.normal(size=(10_000, 512))).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)

    class Far(TextAndTones):
        fingerprint = replace(TextAndTones.fingerprint, dim=512)

        def embed(self, clips: Sequence[Clip]) -> NDArray[np.float32]:
            return vectors[:1]

    index = Index.create(tmp_path / "large.index", Far.fingerprint)
    index.add(
        [
            Row(
                exemplar=Exemplar(
                    id=f"{row:05}",
                    audio=PurePosixPath(f"{row}.wav"),
                    labels=(f"label {truth[row]}",),
                ),
                root=tmp_path,
                duration_s=1.0,
                file_sha256="0" * 64,
                content_sha256=f"{row:064}",
                vector=vectors[row],
            )
            for row in range(10_000)
        ]
    )
    few = FewShot(embedder=Far(), index=index)
    clip = Clip(samples=np.ones(100, np.float32), sample_rate=RATE)
    for strategy in ("nearest", "balanced", "diverse", "random"):
        few.classify(clip, strategy=strategy)
        spent_s = []
        for _ in range(5):
            start = time.perf_counter()
            few.classify(clip, strategy=strategy)
            spent_s.append(time.perf_counter() - start)
        # A few milliseconds; the bound leaves room for a busy machine.
        assert min(spent_s) < 0.05, strategy


def test_tasks_can_be_read_without_anything_heavy() -> None:
    probe = (
        "import earful.rag.task as t, sys; t.load_task('urban-sounds'); "
        "print([n for n in ('torch', 'pyarrow', 'lancedb', 'soundfile') if n in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_the_default_shots_of_a_task_are_used(few: FewShot, queries: Path) -> None:
    task = Task(name="t", shots=Shots(k=5, order="nearest-first"))
    answer = few.classify(queries / "low/100.wav", task=task)
    assert len(answer.evidence) == 5
    assert answer.prompt is not None
    assert str(answer.evidence[0].path) in answer.prompt.render().splitlines()[1]
