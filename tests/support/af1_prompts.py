"""How the release of Audio Flamingo v1 words the tasks of its data sets.

For published numbers and for nothing else: a manifest's rows become the prompts that the
checkpoints were trained and evaluated on, by rules that go by the name of data set and
task (``Clotho-AQA-AQA``). Kong et al., "Audio Flamingo" (ICML 2024, arXiv 2402.01831), and
its public code; capital letters in names count there, and so they do here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, TypeVar, get_args

import numpy as np

from earful.errors import PromptError
from earful.model import ClipRef, Prompt, Text

Augmentation = Literal[
    "AC_long",
    "AC_paragraph",
    "AC_short",
    "AQA_binary_instruction",
    "default",
    "do_nothing",
    "num_words",
    "provide_all_labels",
]
AUGMENTATIONS: tuple[Augmentation, ...] = get_args(Augmentation)

_Entry = TypeVar("_Entry")

_ASKED = "please answer this question:"
_YES_OR_NO = "\nOPTIONS:\nyes.\nno."
_CAPTION: dict[Augmentation, str] = {
    "AC_short": "describe the sound in a sentence.",
    "AC_long": "describe the sound at length.",
    "AC_paragraph": "describe the sound in a paragraph.",
}
_EMOTION = "what is the emotion of this speech?"
_INSTRUMENT = "what is the instrument of this music?"
_GENRE = "what is the genre of this music?"
_AS_GIVEN = ""  # the manifest's own question
_FEW_LABELS = "use a few labels to describe this sound."

_SINGLE_LABEL: dict[str, tuple[str, str]] = {
    "CREMA-D": (_EMOTION, "angry, disgusted, fearful, happy, neutral, sad"),
    "MELD-EmotionClassification": (
        _EMOTION,
        "angry, disgusted, fearful, happy, neutral, sad, surprised",
    ),
    "MELD-SentimentClassification": (
        "what is the sentiment of this speech?",
        "negative, neutral, positive",
    ),
    "MSP-PODCAST-Publish-1.9": (
        _EMOTION,
        "angry, contempt, disgusted, fearful, happy, neutral, sad, surprised",
    ),
    "OMGEmotion": (_EMOTION, "angry, disgusted, fearful, happy, neutral, sad, surprised"),
    "emov-db": (_EMOTION, "amused, angry, disgusted, neutral, sleepy"),
    "jl-corpus": (
        _EMOTION,
        "angry, anxious, apologetic, assertive, concerned, encouraging, excited, happy, "
        "neutral, sad",
    ),
    "ravdess": (_EMOTION, "angry, calm, disgusted, fearful, happy, neutral, sad, surprised"),
    "tess": (_EMOTION, "angry, disgusted, fearful, happy, neutral, pleasantly surprised, sad"),
    "Medley-solos-DB": (
        _INSTRUMENT,
        "clarinet, distorted electric guitar, female singer, flute, piano, tenor saxophone, "
        "trumpet, violin",
    ),
    "NSynth-InstrClassification": (
        _INSTRUMENT,
        "bass, brass, flute, guitar, keyboard, mallet, organ, reed, string, synth_lead, vocal",
    ),
    "NSynth-SourceClassification": (
        "what is the source of this music?",
        "acoustic, electronic, synthetic",
    ),
    "musdbhq": (_INSTRUMENT, "bass, drums, mixture, other, vocals"),
    "GTZAN-GenreClassification": (
        _GENRE,
        "blues, classical, country, disco, hiphop, jazz, metal, pop, reggae, rock",
    ),
    "CochlScene": (
        "classify this sound.",
        "bus, cafe, car, crowdedindoor, elevator, kitchen, park, residentialarea, restaurant, "
        "restroom, street, subway, subwaystation",
    ),
    "NonSpeech7k": (_AS_GIVEN, "breath, cough, crying, laugh, screaming, sneeze, yawn"),
    "UrbanSound8K": (
        "classify this sound.",
        "air conditioner, car horn, children playing, dog bark, drilling, engine idling, "
        "gun shot, jackhammer, siren, street music",
    ),
}
# By the beginning of the name: what every prompt lists, in this order.
_SEVERAL_LABELS: dict[str, str] = {
    "AudioSet-EventClassification": "",
    "AudioSetFull": "",
    "Clotho-AQA-EventClassification": "",
    "SONYC-UST": (
        "small sounding engine, medium sounding engine, large sounding engine, rock drill, "
        "jackhammer, hoe ram, pile driver, non machinery impact, chainsaw, "
        "small medium rotating saw, large rotating saw, car horn, car alarm, siren, "
        "reverse beeper, stationary music, mobile music, ice cream truck, "
        "person or small group talking, person or small group shouting, large crowd, "
        "amplified speech, dog barking whining"
    ),
    "WavText5K-Tagging": "",
    "chime-home": (
        "child speaking, male speaking, female speaking, human activity, television, "
        "household appliances, silence"
    ),
}
_BY_DEFAULT: dict[str, str] = {
    "FSD50k": "describe this sound in the order from specific to general.",
    "NSynth-QualityClassification": "what are the qualities of the music?",
    "mtg-jamendo-MusicTagging": ("what are the genres, instruments, and mood/theme of the music?"),
}
_ADJECTIVES = {
    "anger": "angry",
    "disgust": "disgusted",
    "fear": "fearful",
    "joy": "happy",
    "sadness": "sad",
    "surprise": "surprised",
}
# Tasks whose name begins so; the others are named by their words.
_TASK_NAMES = {
    "a q a": "audio question answering",
    "a v q a": "audio vision question answering",
    "instr classification": "instrument classification",
    "m i r": "music information retrieval",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestRow:
    """A recording with what a manifest asks of it.

    Attributes:
        name: File, as the manifest names it; it also decides what is drawn.
        question: The manifest's prompt.
        answer: The reference; several are joined by commas.
        start_s: Where the audio begins, in seconds.
    """

    name: str
    question: str
    answer: str
    start_s: float = 0.0


def reference_prompt(
    task: str,
    query: ManifestRow,
    *,
    shots: Sequence[ManifestRow] = (),
    shot_choice: Literal["similar", "random"] = "similar",
    augmentations: Mapping[str, float],
    has_task_sentence: bool = True,
    root: Path = Path(),
) -> tuple[Prompt, str]:
    """Word a query and its shots as the release does.

    Args:
        task: Data set and task, such as ``"Clotho-AQA-AQA/train"``; what is drawn also
            depends on what follows the slash.
        query: The recording asked about.
        shots: In the order to show them; only the query's question gets a list of labels.
        shot_choice: How the prompt says they were chosen.
        augmentations: Names in ``AUGMENTATIONS`` with their probabilities; drawn for each
            row by itself.
        has_task_sentence: Whether the task is named.
        root: Folder of the recordings.

    Returns:
        The prompt, for ``render_prompt``, and the reference.

    Raises:
        PromptError: No augmentation has such a name.
    """
    sentence = task_sentence(task) if has_task_sentence else ""
    examples = f"Here are {shot_choice} examples. " if shots else ""
    parts: list[Text | ClipRef] = []
    if opening := f"{examples}{sentence}".strip():
        parts.append(Text(kind="system", text=opening))
    for row in shots:
        question, answer = _draw(task, row, augmentations, with_labels=False)
        parts += [
            ClipRef(audio=root / PurePosixPath(row.name), start_s=row.start_s, is_exemplar=True),
            Text(kind="exemplar", text=question),
            Text(kind="exemplar", text=answer, is_answer=True),
        ]
    question, answer = _draw(task, query, augmentations, with_labels=True)
    parts += [
        ClipRef(audio=root / PurePosixPath(query.name), start_s=query.start_s),
        Text(kind="user", text=question),
    ]
    return Prompt(parts=tuple(parts)), answer


def task_sentence(task: str) -> str:
    """Name a task as every prompt of it does.

    >>> task_sentence("Clotho-AQA-AQA"), task_sentence("LP-MusicCaps-MTT-AudioCaptioning")
    ('The task is audio question answering.', 'The task is music captioning.')
    """
    dataset, _, name = task.partition("/")[0].rpartition("-")
    words = re.sub(r"(?=[A-Z])", " ", name).strip().lower()
    if words == "audio captioning" and "musiccaps" in dataset.lower():
        words = "music captioning"
    named = (full for start, full in _TASK_NAMES.items() if words.startswith(start))
    return f"The task is {next(named, words)}."


def labels_of(task: str) -> tuple[str, ...]:
    """Return the labels of a task with one label a recording, sorted; empty for others."""
    _, labels = _single_label(task) or ("", "")
    return tuple(sorted(labels.split(", "))) if labels else ()


def options_suffix(labels: Iterable[str]) -> str:
    r"""Write labels as a question's options.

    >>> options_suffix(["yawn", "cough"])
    '\nOPTIONS:\n - cough.\n - yawn.'
    """
    lines = "".join(f"\n - {label}." for label in sorted(labels))
    return f"\nOPTIONS:{lines}" if lines else ""


def emotion_adjective(emotion: str) -> str:
    """Return how the release words an emotion, which some data sets tell by a noun."""
    return _ADJECTIVES.get(emotion, emotion)


def evaluation_augmentations(augmentations: Mapping[str, float]) -> dict[str, float]:
    """Turn training's probabilities into evaluation's: labels are always listed, if ever."""
    if "provide_all_labels" in augmentations:
        return {"provide_all_labels": 1.0}
    return dict(augmentations)


def reword(
    task: str,
    question: str,
    answer: str,
    augmentation: Augmentation,
    *,
    with_labels: bool = True,
    seed: int = 0,
) -> tuple[str, str]:
    """Word one question and its reference.

    Args:
        task: Data set and task.
        question: The manifest's.
        answer: The reference.
        augmentation: Which of the release's wordings.
        with_labels: Whether labels are listed; not in a shot. Yes or no are always.
        seed: Of the order of several labels under ``num_words``.

    Returns:
        Both in lower case, but for words like ``OPTIONS:`` that are put in.
    """
    question, answer = question.lower(), answer.lower().strip()
    if augmentation == "provide_all_labels" and not with_labels:
        augmentation = "default"
    if augmentation == "do_nothing":
        return question, answer
    if task.startswith(("Clotho-AQA-AQA", "Music-AVQA", "MU-LLAMA")):
        question = _asked(question, answer, augmentation)
    if "AudioCaptioning" in task:
        question = _CAPTION.get(augmentation, question)
        if augmentation == "AC_paragraph":
            answer = _one_sentence(answer)
        if "MusicCaps" in task:
            question = question.replace("sound", "music")
    single = _single_label(task)
    if single and augmentation in ("default", "provide_all_labels"):
        question = single[0] or question
        if augmentation == "provide_all_labels":
            question += options_suffix(labels_of(task))
    several = _found(_SEVERAL_LABELS, task)
    if several is not None:
        question, answer = _FEW_LABELS, answer.removesuffix(".")
        if augmentation == "num_words":
            question, answer = _counted(answer, seed)
        if several and with_labels:
            question += f" All labels are: {several}."
    if augmentation == "default":
        question = _found(_BY_DEFAULT, task) or question
        if task.startswith("mtg-jamendo-MusicTagging"):
            answer = answer.replace(";", ".")
    return question, answer


def _draw(
    task: str, row: ManifestRow, augmentations: Mapping[str, float], *, with_labels: bool
) -> tuple[str, str]:
    """Word a row by an augmentation that the row itself decides."""
    if unknown := sorted(augmentations.keys() - set(AUGMENTATIONS)):
        raise PromptError(
            f"{task}: no augmentation {', '.join(unknown)}; known: {', '.join(AUGMENTATIONS)}"
        )
    seed = sum(map(ord, f"{row.name}{row.question.lower()}{row.answer.lower()}{task}"))
    # In the order they are told, which decides what a drawn number means.
    names = [name for told in augmentations for name in AUGMENTATIONS if name == told]
    drawn = np.random.default_rng(seed).choice(len(names), p=[augmentations[x] for x in names])
    return reword(
        task, row.question, row.answer, names[int(drawn)], with_labels=with_labels, seed=seed
    )


def _asked(question: str, answer: str, augmentation: Augmentation) -> str:
    """Ask a manifest's question; offer yes and no where every reference is one of them."""
    is_yes_or_no = all(part.strip() in ("yes", "no") for part in answer.split(","))
    if augmentation == "AQA_binary_instruction" and is_yes_or_no:
        return question.replace("question:", _ASKED) + _YES_OR_NO
    return question.replace("question:", _ASKED) if question.startswith("question:") else question


def _one_sentence(answer: str) -> str:
    """Keep the last full stop only; the others become semicolons."""
    head, stop, tail = answer.rpartition(".")
    if not stop:
        # The release's own slip, kept since its references have it.
        return f"{answer[:-1]}.{answer}"
    return f"{head.replace('.', ';')}.{tail}"


def _counted(answer: str, seed: int) -> tuple[str, str]:
    labels = answer.split(", ")
    np.random.default_rng(seed).shuffle(labels)
    word = "label" if len(labels) == 1 else "labels"
    return f"Describe the sound in {len(labels)} {word}.", ", ".join(labels)


def _single_label(task: str) -> tuple[str, str] | None:
    """Return a task's question (empty: the manifest's) and its labels."""
    if found := _found(_SINGLE_LABEL, task):
        return found
    return (_GENRE, "") if "GenreClassification" in task else None


def _found(table: Mapping[str, _Entry], task: str) -> _Entry | None:
    return next((value for start, value in table.items() if task.startswith(start)), None)
