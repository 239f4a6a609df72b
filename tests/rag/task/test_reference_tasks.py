"""The reference's evaluation settings as task files: their prompts are the release's own."""

from pathlib import Path, PurePosixPath

import pytest

from earful.index.corpus import Exemplar
from earful.index.datasets import list_datasets, load_declaration
from earful.index.search import Hit
from earful.model import ClipRef, PromptWording
from earful.model.flamingo import render_prompt
from earful.rag.generation.prompt import build_prompt
from earful.rag.task import list_tasks, load_task
from tests.support.af1_prompts import ManifestRow, labels_of, reference_prompt

# Task file: the release's name for the data, its wording, and a question with its answer.
RELEASE = {
    "af1-audiocaps": ("audiocaps-AudioCaptioning", "AC_short", "generate audio caption", "a dog"),
    "af1-clotho": ("Clotho-v2-AudioCaptioning", "AC_short", "generate audio caption", "a dog"),
    "af1-clotho-aqa-non-binary": (
        *("Clotho-AQA-AQA", "AQA_binary_instruction", "question: What barks?", "dog"),
    ),
    "af1-clotho-aqa-numerical": (
        *("Clotho-AQA-AQA", "AQA_binary_instruction", "question: How many?", "two"),
    ),
    "af1-clotho-aqa-unanimous": (
        *("Clotho-AQA-AQA", "AQA_binary_instruction", "question: Is it near?", "yes"),
    ),
    "af1-cochlscene": ("CochlScene-SceneClassification", "provide_all_labels", "x", "bus"),
    "af1-crema-d": ("CREMA-D-EmotionClassification", "provide_all_labels", "x", "sad"),
    "af1-fsd50k": ("FSD50k-EventClassification", "default", "x", "guitar, music"),
    "af1-gtzan": ("GTZAN-GenreClassification", "provide_all_labels", "x", "rock"),
    "af1-medley-solos-db": ("Medley-solos-DB-InstrClassification", "default", "x", "flute"),
    "af1-music-avqa": (
        *("Music-AVQA-AQA_All", "AQA_binary_instruction", "question: Is it loud?", "no"),
    ),
    "af1-nonspeech7k": (
        *("NonSpeech7k-EventClassification", "provide_all_labels", "classify this sound.", "cough"),
    ),
    "af1-nsynth-instrument": ("NSynth-InstrClassification", "provide_all_labels", "x", "bass"),
    "af1-nsynth-quality": ("NSynth-QualityClassification", "default", "x", "dark, percussive"),
    "af1-nsynth-source": ("NSynth-SourceClassification", "provide_all_labels", "x", "acoustic"),
    "af1-ravdess": ("ravdess-EmotionClassification", "provide_all_labels", "x", "calm"),
    "af1-urbansound8k": ("UrbanSound8K-EventClassification", "provide_all_labels", "x", "siren"),
}


def test_there_is_a_task_for_every_published_result() -> None:
    assert {name for name in list_tasks() if name.startswith("af1-")} == set(RELEASE)
    datasets = {load_task(name).protocol.dataset for name in RELEASE}
    assert datasets == {name for name in list_datasets() if "eval" in load_declaration(name).roles}


@pytest.mark.parametrize("name", RELEASE)
def test_a_task_goes_with_its_dataset(name: str) -> None:
    task = load_task(name)
    dataset = load_declaration(task.protocol.dataset)
    rule = dataset.split
    splits = {*dataset.splits, *rule.map.values(), *rule.shares, *rule.lists, ""}
    assert task.protocol.split in splits
    assert task.protocol.answers == "written"
    assert task.protocol.source
    assert (task.shots.k, task.shots.strategy, task.shots.order) == (7, "nearest", "random")
    if task.has_labels and dataset.vocabulary and task.labels:
        assert len(task.labels) == len(dataset.vocabulary)
    if not task.has_labels:
        assert any(task.is_named(one) for one in dataset.tasks)


@pytest.mark.parametrize("name", RELEASE)
@pytest.mark.parametrize("n_shots", [0, 2])
def test_its_prompt_is_the_release_s_own(name: str, n_shots: int) -> None:
    key, augmentation, question, answer = RELEASE[name]
    task = load_task(name)
    rows = [ManifestRow(name=f"{n}.wav", question=question, answer=answer) for n in range(3)]
    theirs, _ = reference_prompt(
        f"{key}/test",
        rows[-1],
        shots=rows[:n_shots],
        augmentations={augmentation: 1.0},
    )
    bare = question.removeprefix("question: ")
    labels = tuple(answer.split(", ")) if task.has_labels else ()
    exemplar = {"question": "" if task.has_labels else bare, "answer": answer, "labels": labels}
    if task.kind == "caption":
        exemplar["question"] = ""
    shots = [
        Hit(
            exemplar=Exemplar(id=str(n), audio=PurePosixPath(f"{n}.wav"), **exemplar),  # type: ignore[arg-type]
            similarity=1.0,
            rank=n,
            path=Path(f"{n}.wav"),
            content_sha256="",
        )
        for n in range(n_shots)
    ]
    asked = (
        bare + PromptWording().yes_no_options
        if task.yes_no_options and answer in ("yes", "no")
        else bare
    )
    ours = build_prompt(
        task,
        shots,
        ClipRef(audio=Path("2.wav")),
        labels=tuple(task.labels) or labels,
        question=asked if task.kind == "ask" else "",
        lists_labels=bool(task.lists_labels),
    )
    as_text = [
        "".join(map(str, render_prompt(prompt, style="benchmark"))) for prompt in (ours, theirs)
    ]
    assert as_text[0] == as_text[1]


@pytest.mark.parametrize("name", [name for name in RELEASE if load_task(name).lists_labels])
def test_its_labels_are_the_release_s_own(name: str) -> None:
    assert sorted(load_task(name).labels) == sorted(labels_of(f"{RELEASE[name][0]}/test"))
