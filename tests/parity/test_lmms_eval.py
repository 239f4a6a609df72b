"""lmms-eval runs our model on a task of its own kind, end to end and offline.

Needs an environment of its own, some gigabytes large, so it runs only when asked to by name:

    EARFUL_PARITY_LMMS_ENV=/tmp/lmms pytest tests/parity/test_lmms_eval.py -s

The variable names the folder of that environment; it is made where it lacks.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from earful.index.builder import build_index
from tests.support.tone_evaluations import HZ, write_take

HERE = Path(__file__).parent

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.environ.get("EARFUL_PARITY_LMMS_ENV"),
        reason="set EARFUL_PARITY_LMMS_ENV to the folder of its environment, which is large",
    ),
    pytest.mark.timeout(3600),
]

UTILS = """
import soundfile


def recordings(doc):
    samples, rate = soundfile.read(doc["audio"], dtype="float32")
    return [{"array": samples, "sampling_rate": rate}]


def question(doc, lmms_eval_specific_kwargs=None):
    return doc["question"]


def row_of_answer(doc):
    return doc["choices"].index(doc["answer"])


def is_right(doc, results):
    return {"right": float(results[0].strip().lower() == doc["answer"])}
"""
SHARED = """
dataset_path: json
dataset_kwargs:
  data_files: {{test: {documents}}}
test_split: test
doc_to_visual: !function utils.recordings
doc_to_text: !function utils.question
"""
CHOICE = """
task: tones_choice
output_type: multiple_choice
doc_to_target: !function utils.row_of_answer
doc_to_choice: "{{choices}}"
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
"""
WRITTEN = """
task: tones_written
output_type: generate_until
generation_kwargs: {max_new_tokens: 8, temperature: 0, do_sample: false}
doc_to_target: answer
process_results: !function utils.is_right
metric_list: [{metric: right, aggregation: mean, higher_is_better: true}]
"""


@pytest.fixture(scope="module")
def their_python() -> Path:
    folder = Path(os.environ["EARFUL_PARITY_LMMS_ENV"])
    environment = {**os.environ, "PYTHON": os.environ.get("PYTHON", sys.executable)}
    subprocess.run([HERE / "make_lmms_eval_environment.sh", folder], check=True, env=environment)
    return folder / "bin" / "python"


def test_tones_are_named_by_choice_and_in_words(tmp_path: Path, their_python: Path) -> None:
    documents = []
    for number, (label, hz) in enumerate(HZ.items()):
        for take in range(4):
            write_take(tmp_path / "corpus" / label / f"{take}.wav", hz, 10 * number + take)
        path = write_take(tmp_path / "asked" / f"{label}.wav", hz, 10 * number + 9)
        documents.append(
            {"audio": str(path), "question": "Which tone is it?", "answer": label,
             "choices": list(HZ)}
        )  # fmt: skip
    # One of them is an exemplar itself.
    documents[0]["audio"] = str(tmp_path / "corpus" / "low" / "0.wav")
    (tmp_path / "documents.jsonl").write_text("\n".join(map(json.dumps, documents)) + "\n")
    build_index(tmp_path / "corpus", tmp_path / "x.index", embedder="earful-small")
    tasks = tmp_path / "tasks"
    tasks.mkdir()
    (tasks / "utils.py").write_text(UTILS)
    shared = SHARED.format(documents=tmp_path / "documents.jsonl")
    (tasks / "tones_choice.yaml").write_text(CHOICE + shared)
    (tasks / "tones_written.yaml").write_text(WRITTEN + shared)
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
    words: list[str | Path] = [
        *(their_python, "-m", "lmms_eval", "--model", "earful"),
        *("--model_args", f"index={tmp_path / 'x.index'},shots=4,model=earful-small"),
        *("--include_path", tasks, "--tasks", "tones_choice,tones_written"),
        *("--batch_size", "1", "--output_path", tmp_path / "out"),
    ]
    run = subprocess.run(
        words, env={**os.environ, **offline}, cwd=tmp_path, capture_output=True, text=True
    )
    told = run.stdout + run.stderr
    # It ends with 0 whether it failed or not, so the results are what counts.
    (path,) = (tmp_path / "out").rglob("*results.json")
    results = json.loads(path.read_text())["results"]
    print(results)
    assert results["tones_choice"]["acc,none"] == 1.0, told
    assert results["tones_written"]["right,none"] == 1.0, told
    assert "1 document is in the index: none was shown its own recording" in told
