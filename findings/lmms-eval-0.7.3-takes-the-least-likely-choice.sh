#!/bin/sh
# lmms-eval 0.7.3, tasks of `output_type: multiple_choice`.
#
# Behaviour: of what a model's `loglikelihood` returns, the choice with the *smallest* number is the
# answer, so that a model which returns log-probabilities is credited with its least likely choice.
# And the pair (number, is greedy) never gets that far: the evaluator passes every output through
# `unwrap_generation_output`, which makes a text such as "(-0.1, True)" of it, and the task fails to
# take it apart. Only a pair inside lmms-eval's own GenerationResult arrives as a pair.
#
# Why it surprises: the docstring of `loglikelihood` asks for "(logprob, isgreedy)" with "the log
# probability of `continuation`", as lm-evaluation-harness does, from which the code came and which
# takes the largest. A model written by the docstring scores below chance where it is good. A comment
# in the task tells of the loss; nothing that one who writes a model reads does.
#
# Needs Python 3.10 to 3.13, the package index and some gigabytes on the disk; uses uv where it is
# installed. Exits 0 while the behaviour is as described.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
python="$folder/env/bin/python"
install() {
    if command -v uv >/dev/null 2>&1; then
        uv pip install --quiet --python "$python" "$@"
    else
        "$python" -m pip install --quiet --disable-pip-version-check "$@"
    fi
}
install "torch==2.11.0" "transformers>=5.24,<6" "datasets>=4" "filelock<3.21" loguru evaluate \
    sacrebleu pytablewriter jsonlines tenacity python-dotenv accelerate zss pillow \
    tqdm-multiprocess sqlitedict more_itertools rouge-score word2number dill
install --no-deps "lmms-eval==0.7.3"
cd "$folder"
export HF_HOME="$folder/hf" HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1
"$python" - <<'PY'
import json
from pathlib import Path

import lmms_eval.api.metrics  # which registers acc
from lmms_eval.api.instance import GenerationResult, unwrap_generation_output
from lmms_eval.api.model import lmms
from lmms_eval.api.task import ConfigurableTask

Path("documents.jsonl").write_text(json.dumps({"question": "?", "choices": ["dog", "cat"]}) + "\n")
task = ConfigurableTask(
    config={
        "task": "animals",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": "documents.jsonl"}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_visual": lambda doc: [],
        "doc_to_text": lambda doc: doc["question"],
        "doc_to_target": lambda doc: 0,
        "doc_to_choice": lambda doc: doc["choices"],
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }
)
(document,) = task.test_docs()
print("asked for:", *[line.strip() for line in lmms.loglikelihood.__doc__.splitlines()
                      if "robability" in line or "logprob, is" in line])
# The model is sure of the right answer: log-probabilities of -0.1 for dog and -5.0 for cat.
sure = [(-0.1, True), (-5.0, False)]
right = task.process_results(document, sure)["acc"]
as_loss = task.process_results(document, [(-number, greedy) for number, greedy in sure])["acc"]
print("right by log-probabilities:", right, "by losses:", as_loss)
bare, _ = unwrap_generation_output(sure[0])
wrapped, _ = unwrap_generation_output(GenerationResult(text=sure[0]))
print("a pair arrives as", repr(bare), "and in a GenerationResult as", repr(wrapped))
assert (right, as_loss) == (0.0, 1.0)
assert bare == "(-0.1, True)"
assert wrapped == (-0.1, True)
PY
echo "as described"
