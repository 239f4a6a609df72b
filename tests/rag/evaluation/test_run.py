"""Runs of an evaluation: which items are asked about, and how a run resumes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from earful.errors import AudioError, CorpusError, EvaluationError, MissingExtraError, TaskError
from earful.index.builder import build_index
from earful.index.corpus import open_corpus
from earful.rag import FewShot
from earful.rag.evaluation import evaluate, load_evaluation
from earful.rag.evaluation.report import write_report
from earful.rag.evaluation.run_file import read_run
from earful.rag.evaluation.scores import Scorecard
from earful.rag.evaluation.scores.results import Abstention
from earful.rag.task import Label, Task
from tests.support.tone_evaluations import HZ, QUICK, TASK, follower, listener, values, write_take


def test_every_arm_answers_every_item_and_the_controls_show_who_listens(index: Path) -> None:
    few = FewShot.open(index, model=listener())
    found = evaluate(few, TASK, settings=QUICK)
    scores = found.to_dict()
    assert scores["n_items"] == 18
    assert scores["n_groups"] == 9
    right = values(scores)
    assert set(right) == {
        *("zero-shot", "retrieved@1", "retrieved@3", "blend@1", "blend@3", "vote@1", "vote@3"),
        *("random@1", "random@3", "shuffled@3", "silent@0", "silent@3", "probe", "majority"),
    }
    # A perfect ear needs no shots and is not misled by wrong ones; only silence defeats it.
    assert right["zero-shot"] == right["retrieved@3"] == right["shuffled@3"] == 1.0
    assert right["silent@0"] == pytest.approx(1 / 3)
    assert right["majority"] == pytest.approx(1 / 3)
    # Tones are easily told apart by their vectors.
    assert right["vote@3"] == right["probe"] == 1.0
    rows = found.document["rows"]
    assert len(rows) == 18 * (14 + 3)  # the three arms that make random choices have two seeds
    assert all(row["fault"] == "" for row in rows)
    assert json.loads(json.dumps(found.document)) == found.document


def test_captions_are_not_asked_for_where_nothing_scores_them(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = listener()
    few = FewShot.open(index, model=model)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match="captions"):
        evaluate(few, Task(name="words", kind="caption"), settings=QUICK)
    assert model.prompts == []


@pytest.mark.slow
def test_a_vote_is_measured_by_its_best_guess_and_says_how_often_it_would_abstain(
    index: Path, tmp_path: Path
) -> None:
    found = evaluate(FewShot.open(index, model=listener()), TASK, settings=QUICK)
    scores = found.to_dict()
    rows = found.document["rows"]
    for arm in scores["arms"]:
        own = [row for row in rows if row["arm"] == arm["name"]]
        if arm["how"] not in ("vote", "blend"):
            assert "abstained" not in arm
            assert not any(row["abstained"] for row in own)
            continue
        # One of the 18 right answers at most is less like the others than 19 in 20 are.
        n = sum(row["abstained"] for row in own)
        assert n <= 1
        assert arm["abstained"] == {
            "share": pytest.approx(n / 18, abs=1e-6),
            "accuracy_of_others": 1.0,
        }
        assert arm["metrics"]["accuracy"]["value"] == 1.0
    # Who abstains from all is right about none of the others.
    for row in rows:
        row["abstained"] = True
    card = Scorecard(found.document)
    vote = card.best_of("vote")
    assert vote is not None
    assert card.abstention_of(vote) == Abstention(share=1.0, accuracy=None)
    write_report(card, tmp_path / "report.html")
    assert "table-abstentions" in (tmp_path / "report.html").read_text()
    # A run of a former version says nothing of it.
    for row in rows:
        del row["abstained"]
    assert Scorecard(found.document).abstention_of(vote) is None


@pytest.mark.slow
def test_a_model_that_only_follows_its_shots_is_exposed(index: Path) -> None:
    found = evaluate(FewShot.open(index, model=follower()), TASK, settings=QUICK)
    right = values(found.to_dict())
    assert right["retrieved@3"] == right["silent@3"] > 0.8
    assert right["zero-shot"] == pytest.approx(1 / 3)
    assert right["shuffled@3"] < 0.7
    pair = next(
        one
        for one in found.scorecard.comparisons
        if (one.first, one.second) == ("retrieved@3", "silent@3")
    )
    assert (pair.difference.value, pair.difference.p_value) == (0.0, 1.0)
    text = found.scorecard.verdict.text
    gain = 100 * (max(right["retrieved@1"], right["retrieved@3"]) - right["zero-shot"])
    assert f"; retrieval adds {gain:.1f} points over zero-shot (95% CI " in text
    assert "; the neighbour vote " in text
    assert text.startswith("use the neighbour vote with ")


def test_no_item_ever_meets_its_own_recording_or_group(index: Path) -> None:
    found = evaluate(FewShot.open(index), TASK, settings=QUICK)
    group = {item["id"]: item["group"] for item in found.document["items"]}
    for row in found.document["rows"]:
        assert row["item"] not in row["shots"]
        assert group[row["item"]] not in {group[shot] for shot in row["shots"]}


@pytest.mark.slow
def test_rows_of_a_split_are_answered_by_the_others(index: Path) -> None:
    found = evaluate(
        FewShot.open(index, model=listener()), TASK, settings=replace(QUICK, split="test")
    )
    assert {item["id"].split("/")[1] for item in found.document["items"]} == {"4.wav", "5.wav"}
    shots = {shot for row in found.document["rows"] for shot in row["shots"]}
    assert {shot.split("/")[1] for shot in shots} <= {f"{n}.wav" for n in range(4)}
    assert found.document["exemplars"]["n"] == 12
    with pytest.raises(TaskError, match=r"unknown split 'tst' \(did you mean 'test'"):
        evaluate(FewShot.open(index), TASK, settings=replace(QUICK, split="tst"))


def test_items_come_from_a_corpus_outside(index: Path, tmp_path: Path) -> None:
    for number, (label, hz) in enumerate(HZ.items()):
        write_take(tmp_path / label / "new.wav", hz, 100 + number)
    found = evaluate(FewShot.open(index), TASK, settings=QUICK, corpus=open_corpus(tmp_path))
    assert values(found.to_dict())["vote@3"] == 1.0
    assert found.document["source"]["corpus"] == str(tmp_path)
    task = replace(TASK, labels={"low": Label(), "middle": Label()})
    with pytest.raises(TaskError, match=r"new.wav: label 'high' is none of task 'tones'"):
        evaluate(FewShot.open(index), task, corpus=open_corpus(tmp_path))
    (tmp_path / "low/broken.wav").write_bytes(b"not audio")
    with pytest.raises(AudioError, match=r"low/broken.wav: .*low/broken.wav"):
        evaluate(FewShot.open(index), TASK, corpus=open_corpus(tmp_path))
    write_take(tmp_path / "loose.wav", 200.0, 7)
    with pytest.raises(CorpusError, match=r"loose.wav: lies beside the label folders"):
        evaluate(FewShot.open(index), TASK, corpus=open_corpus(tmp_path))
    with pytest.raises(EvaluationError, match="split 'test' chooses rows of the index"):
        evaluate(
            FewShot.open(index),
            TASK,
            settings=replace(QUICK, split="test"),
            corpus=open_corpus(tmp_path),
        )


def answers(document: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [
        (row["item"], row["arm"], row["seed"], row["text"], row["shots"], row["digest"])
        for row in document["rows"]
    ]


@pytest.mark.slow
def test_a_killed_run_resumes_where_it_was(index: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.json"

    def stop(done: int, _of: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    model = listener()
    with pytest.raises(KeyboardInterrupt):
        evaluate(FewShot.open(index, model=model), TASK, settings=QUICK, out=out, progress=stop)
    partial = tmp_path / "run.json.partial"
    lines = partial.read_text().splitlines()
    assert len(lines) == 1 + 5
    # The item of a torn line is asked about again.
    partial.write_text("\n".join(lines)[:-20])
    again = evaluate(FewShot.open(index, model=listener()), TASK, settings=QUICK, out=out)
    assert again.n_asked == 18 - 4
    assert not partial.exists()
    whole = evaluate(FewShot.open(index, model=listener()), TASK, settings=QUICK)
    assert answers(read_run(out)) == answers(whole.document)
    # And nothing is asked twice of a run that is there.
    assert (
        evaluate(FewShot.open(index, model=listener()), TASK, settings=QUICK, out=out).n_asked == 0
    )


def test_a_run_killed_after_its_last_answer_is_finished_by_the_next(
    index: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run.json"

    def stop(done: int, of: int) -> None:
        if done == of:
            raise KeyboardInterrupt

    settings = replace(QUICK, arms=("vote",))
    with pytest.raises(KeyboardInterrupt):
        evaluate(FewShot.open(index), TASK, settings=settings, out=out, progress=stop)
    assert not out.exists()
    assert evaluate(FewShot.open(index), TASK, settings=settings, out=out).n_asked == 0
    assert len(read_run(out)["items"]) == 18
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_another_run_is_never_overwritten(index: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.json"
    evaluate(FewShot.open(index), TASK, settings=QUICK, out=out)
    before = out.read_bytes()
    with pytest.raises(EvaluationError, match=r"run.json is of another run: .*--out") as raised:
        evaluate(FewShot.open(index), TASK, settings=replace(QUICK, shots=(2,)), out=out)
    assert "settings.shots: [0, 1, 3], now [2]; arms: " in str(raised.value)
    with pytest.raises(EvaluationError, match=r"Changed since: task.question: '.*', now 'Why\?'$"):
        evaluate(FewShot.open(index), replace(TASK, question="Why?"), settings=QUICK, out=out)
    assert out.read_bytes() == before
    with pytest.raises(EvaluationError, match="is no folder"):
        evaluate(FewShot.open(index), TASK, settings=QUICK, out=tmp_path / "no/run.json")


@pytest.mark.slow
def test_the_same_file_gives_the_same_numbers(index: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.json"
    found = evaluate(FewShot.open(index, model=listener()), TASK, settings=QUICK, out=out)
    assert load_evaluation(out).to_dict() == found.to_dict()
    assert load_evaluation(out).n_asked == 0
    broken = tmp_path / "other.json"
    broken.write_text("[1, 2]")
    with pytest.raises(EvaluationError, match=r"other.json: is not a run"):
        load_evaluation(broken)
    broken.write_text(out.read_text().replace('"version": 1', '"version": 3', 1))
    with pytest.raises(EvaluationError, match="expected format 1 or 2, got 3"):
        load_evaluation(broken)


def test_without_items_or_exemplars_nothing_is_evaluated(index: Path, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="nothing in the index can be asked about"):
        evaluate(FewShot.open(index), Task(name="x", labels={"cat": Label(), "dog": Label()}))
    with pytest.raises(EvaluationError, match="give an index or a labelled corpus"):
        evaluate(FewShot(model=listener()), TASK)
    build_index(open_corpus(index_corpus(tmp_path)), tmp_path / "one.index", embedder="logmel")
    with pytest.raises(EvaluationError, match="every row of the index is of split 'test'"):
        evaluate(FewShot.open(tmp_path / "one.index"), TASK, settings=replace(QUICK, split="test"))


def index_corpus(root: Path) -> Path:
    write_take(root / "corpus/a.wav", 200.0, 1)
    (root / "corpus/metadata.csv").write_text("file_name,label,split\na.wav,low,test\n")
    return root / "corpus"
