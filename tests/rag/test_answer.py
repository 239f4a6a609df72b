import json
from dataclasses import replace
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from earful.index.corpus import Exemplar
from earful.index.search import Hit
from earful.rag import Answer, LabelScore
from earful.rag.answer import reason_to_abstain
from earful.rag.task import Task

ANSWER = Answer(
    audio="street.wav",
    text="dog",
    confidence=0.7123456789,
    abstained=False,
    scores=(
        LabelScore(label="dog", score=0.7123456789),
        LabelScore(label="cat", score=0.2),
        LabelScore(label="owl", score=0.05),
        LabelScore(label="fox", score=0.03),
    ),
    evidence=(
        Hit(
            exemplar=Exemplar(id="7", audio=PurePosixPath("rex.wav"), labels=("dog",)),
            similarity=0.91,
            rank=0,
            path=Path("/sounds/rex.wav"),
            content_sha256="c",
        ),
    ),
    model="neighbour-vote",
    timings=MappingProxyType({"decode_s": 0.0123456789}),
    prompt_digest="abc",
    notes=("a note",),
    labels=("dog",),
    start_s=2.0,
    end_s=3.5,
    group="site 7",
)


def test_the_json_of_an_answer() -> None:
    assert (
        json.dumps(ANSWER.to_dict(), indent=1)
        == """\
{
 "audio": "street.wav",
 "start_s": 2.0,
 "end_s": 3.5,
 "group": "site 7",
 "text": "dog",
 "labels": [
  "dog"
 ],
 "confidence": 0.712346,
 "abstained": false,
 "reason": "",
 "scores": [
  {
   "label": "dog",
   "score": 0.712346
  },
  {
   "label": "cat",
   "score": 0.2
  },
  {
   "label": "owl",
   "score": 0.05
  },
  {
   "label": "fox",
   "score": 0.03
  }
 ],
 "evidence": [
  {
   "id": "7",
   "audio": "/sounds/rex.wav",
   "start_s": 0.0,
   "end_s": null,
   "answer": "dog",
   "labels": [
    "dog"
   ],
   "group": "",
   "rank": 0,
   "similarity": 0.91
  }
 ],
 "model": "neighbour-vote",
 "prompt_digest": "abc",
 "notes": [
  "a note"
 ]
}"""
    )


def test_the_summary_says_verdict_and_runners_up() -> None:
    assert ANSWER.summary() == "dog 71% (then cat 20%, owl 5%)"
    alone = Answer(
        audio="a",
        text="dog",
        confidence=0.4,
        abstained=True,
        scores=(LabelScore(label="dog", score=0.4),),
        evidence=(),
        model="m",
    )
    assert alone.summary() == "not sure; best guess: dog 40%"
    why = "nothing here is like it"
    assert replace(alone, reason=why).summary() == f"not sure ({why}); best guess: dog 40%"


def test_an_answer_abstains_for_doubt_before_a_confidence_that_the_task_finds_too_low() -> None:
    task = Task(name="t", abstain_below=0.5)
    assert reason_to_abstain(task, 0.5, "") == ""
    assert reason_to_abstain(task, 0.9, "unlike") == "unlike"
    assert reason_to_abstain(task, 0.4, "unlike") == "unlike"
    assert reason_to_abstain(task, 0.4, "") == "confidence 40% is below 50%, as the task wants it"
