import json
import shutil
from pathlib import Path

import pytest

from earful.errors import TaskError
from earful.rag import FewShot
from earful.rag.task import load_task


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


def test_examples_without_an_index_are_calibrated_on_with_a_note(
    corpus: Path, queries: Path, tmp_path: Path
) -> None:
    path = tmp_path / "t.toml"
    path.write_text(f"examples = {json.dumps(str(corpus))}")
    task = load_task(path, allow_outside=True)
    few = FewShot.from_task(task, embedder="logmel")
    answer = few.classify(queries / "low/100.wav", task=task)
    assert answer.text == "low"
    assert answer.notes == ("confidence is calibrated on 36 exemplars only",)


def test_an_example_that_cannot_be_read_is_an_error_with_its_line(
    few: FewShot, queries: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.wav").write_bytes(b"RIFF nonsense")
    path = tmp_path / "t.toml"
    path.write_text('name = "t"\n[[examples]]\naudio = "broken.wav"\nlabel = "x"\n')
    with pytest.raises(TaskError, match=r"t\.toml:2: .*broken\.wav"):
        few.classify(queries / "low/100.wav", task=path)


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
