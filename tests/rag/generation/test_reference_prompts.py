import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.errors import PromptError
from earful.model import ClipRef, Prompt, Text
from earful.model.flamingo import (
    Control,
    FlamingoTokenizer,
    Segment,
    render_continuation,
    render_prompt,
)
from earful.model.flamingo.prompt_format import Style
from tests.support.af1_prompts import (
    AUGMENTATIONS,
    Augmentation,
    ManifestRow,
    emotion_adjective,
    evaluation_augmentations,
    labels_of,
    options_suffix,
    reference_prompt,
    reword,
    task_sentence,
)

# --- the release's own strings and ids --------------------------------------------------


def stand_in(folder: Path) -> FlamingoTokenizer:
    """Build the tokenizer that the goldens describe: no merges, id = 4 + byte."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    moved = {byte: 256 + n for n, byte in enumerate(b for b in range(256) if b not in kept)}
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *(chr(moved.get(b, b)) for b in range(256))]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    return FlamingoTokenizer.from_opt_files(folder / "vocab.json", folder / "merges.txt")


def possible_texts(golden: dict[str, Any]) -> Iterator[tuple[Segment, ...]]:
    """Yield what a golden may be: one text, or several where training draws at random."""
    template, item = golden["template"], golden["item"]
    if template == "inference" and "dialogue" in item:
        yield render_prompt(dialogue(item, item["prefix"]))
    elif template == "inference":
        opening = Text(kind="system", text=item["prefix"])
        question = Text(kind="user", text=item["prompt"])
        clip = ClipRef(audio=Path(item["name"]))
        yield render_prompt(Prompt(parts=(opening, clip, question)))
    elif template == "chat/train":
        answer = item["dialogue"][-1]["assistant"]
        yield (
            *render_prompt(dialogue(item, "The task is dialog."), style="training"),
            *render_continuation(answer, style="training", is_dialogue=True),
        )
    elif template == "foundation/train":
        yield from training_texts(item, golden["config"]["blend"])
    elif template in ("foundation/val", "foundation/test"):
        task, setting = evaluation_setting(item, template.rpartition("/")[2], golden["config"])
        sentence, names = setting.get("prefix_prob", 1.0), setting["augmentations"]
        yield wording(item, task, names, sentence, "benchmark")
    else:
        pytest.fail(f"goldens of template {template!r}; this test knows none such")


def dialogue(item: dict[str, Any], opening: str) -> Prompt:
    parts: list[Text | ClipRef] = [
        Text(kind="system", text=opening),
        ClipRef(audio=Path(item["name"])),
    ]
    for number, turn in enumerate(item["dialogue"]):
        parts.append(Text(kind="user", text=turn["user"]))
        if number < len(item["dialogue"]) - 1:
            parts.append(Text(kind="assistant", text=turn["assistant"]))
    return Prompt(parts=tuple(parts), is_dialogue=True)


def rows_of(item: dict[str, Any]) -> list[ManifestRow]:
    names, prompts, outputs = (
        [item[key]] if isinstance(item[key], str) else item[key]
        for key in ("name", "prompt", "output")
    )
    return [
        ManifestRow(name=name, question=prompt, answer=output)
        for name, prompt, output in zip(names, prompts, outputs, strict=True)
    ]


def evaluation_setting(
    item: dict[str, Any], split: str, config: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    setting = config["valid"][config["valid_name"]]
    if setting is not True:
        return f"{item['task']}/{split}", setting
    # Of a set that was trained on: training's wordings, as the release looks them up.
    task = f"{item['task']}/train"
    blend = config["blend"][task]
    return task, {"augmentations": evaluation_augmentations(blend["augmentations"])}


def wording(
    item: dict[str, Any],
    task: str,
    augmentations: dict[str, float],
    sentence_probability: float,
    style: Style,
) -> tuple[Segment, ...]:
    *shots, query = rows_of(item)
    prompt, answer = reference_prompt(
        task,
        query,
        shots=shots,
        shot_choice=item.get("interleaved", "similar"),
        augmentations=augmentations,
        has_task_sentence=bool(sentence_probability),
    )
    return (*render_prompt(prompt, style=style), *render_continuation(answer, style=style))


def training_texts(item: dict[str, Any], blend: dict[str, Any]) -> Iterator[tuple[Segment, ...]]:
    task = f"{item['task']}/train"
    setting = blend[task]
    sentence = setting.get("prefix_prob", 0.0)
    names = [name for name, p in setting["augmentations"].items() if p]
    for has_sentence, name in itertools.product({sentence > 0, sentence == 1}, names):
        yield wording(item, task, {name: 1.0}, has_sentence, "training")


def test_every_prompt_of_the_release_is_reproduced(goldens: Path, tmp_path: Path) -> None:
    released, tokenizer = json.loads((goldens / "text.json").read_bytes()), stand_in(tmp_path)
    assert tokenizer.vocab_size == released["length"]
    for golden in released["prompts"]:
        texts = {"".join(segments): segments for segments in possible_texts(golden)}
        assert golden["text"] in texts
        ids = tokenizer.encode(texts[golden["text"]])
        assert ids[: golden["max_length"]] == golden["ids"]
        # The release cuts what is longer; nothing here does.
        assert golden["max_length"] == (512 if golden["template"].endswith("train") else 2560)


# --- names to wording -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "named"),
    [
        ("Clotho-AQA-AQA", "audio question answering"),
        ("Clotho-AQA-AQA/interleaved_knn-test", "audio question answering"),
        ("Music-AVQA-AQA_All", "audio question answering"),
        ("Music-AVQA-AVQA_All", "audio vision question answering"),
        ("Medley-solos-DB-InstrClassification", "instrument classification"),
        ("NSynth-MIR", "music information retrieval"),
        ("Clotho-v2-AudioCaptioning", "audio captioning"),
        ("LP-MusicCaps-MTT-AudioCaptioning", "music captioning"),
        ("MusicCaps-AudioCaptioning", "music captioning"),
        ("SoundDescs-AudioDescription", "audio description"),
        ("FSD50k-EventClassification", "event classification"),
        ("CochlScene-SceneClassification", "scene classification"),
        ("MSP-PODCAST-Publish-1.9-EmotionClassification", "emotion classification"),
        ("MELD-SentimentClassification", "sentiment classification"),
        ("GTZAN-GenreClassification", "genre classification"),
        ("NSynth-SourceClassification", "source classification"),
        ("NSynth-QualityClassification", "quality classification"),
        ("mtg-jamendo-MusicTagging", "music tagging"),
        ("WavText5K-Tagging", "tagging"),
    ],
)
def test_a_task_is_named_once_in_words(task: str, named: str) -> None:
    assert task_sentence(task) == f"The task is {named}."


@pytest.mark.parametrize(
    ("task", "augmentation", "given", "wanted"),
    [
        ("Clotho-AQA-AQA", "default", "question: Why?", "please answer this question: why?"),
        ("MU-LLAMA-AQA", "do_nothing", "question: Why?", "question: why?"),
        ("Music-AVQA-AQA_All", "default", "Why?", "why?"),
        ("Clotho-v2-AudioCaptioning", "AC_short", "x", "describe the sound in a sentence."),
        ("MACS-AudioCaptioning", "AC_long", "x", "describe the sound at length."),
        ("MACS-AudioCaptioning", "do_nothing", "Tell the sound", "tell the sound"),
        ("MusicCaps-AudioCaptioning", "AC_paragraph", "x", "describe the music in a paragraph."),
        ("LP-MusicCaps-MTT-AudioCaptioning", "AC_long", "x", "describe the music at length."),
        ("emov-db-EmotionClassification", "default", "x", "what is the emotion of this speech?"),
        (
            "MELD-SentimentClassification",
            "default",
            "x",
            "what is the sentiment of this speech?",
        ),
        ("musdbhq-InstrClassification", "default", "x", "what is the instrument of this music?"),
        ("NSynth-SourceClassification", "default", "x", "what is the source of this music?"),
        ("FMA-GenreClassification", "provide_all_labels", "x", "what is the genre of this music?"),
        ("CochlScene-SceneClassification", "default", "x", "classify this sound."),
        ("UrbanSound8K-EventClassification", "default", "x", "classify this sound."),
        ("NonSpeech7k-EventClassification", "default", "Generate tags", "generate tags"),
        (
            "FSD50k-EventClassification",
            "default",
            "x",
            "describe this sound in the order from specific to general.",
        ),
        (
            "AudioSetFullwoAudioMusicCaps-EventClassification",
            "default",
            "x",
            "use a few labels to describe this sound.",
        ),
        ("WavText5K-Tagging", "num_words", "x", "Describe the sound in 2 labels."),
        (
            "chime-home-EventClassification",
            "default",
            "x",
            "use a few labels to describe this sound. All labels are: child speaking, male "
            "speaking, female speaking, human activity, television, household appliances, silence.",
        ),
        (
            "NSynth-QualityClassification",
            "default",
            "x",
            "what are the qualities of the music?",
        ),
        (
            "mtg-jamendo-MusicTagging",
            "default",
            "x",
            "what are the genres, instruments, and mood/theme of the music?",
        ),
        ("NSynth-MIR", "default", "Pitch?", "pitch?"),
    ],
)
def test_a_question_is_worded_by_its_task(
    task: str, augmentation: Augmentation, given: str, wanted: str
) -> None:
    assert reword(task, given, "a, b", augmentation)[0] == wanted


@pytest.mark.parametrize(
    ("answer", "is_offered"), [("Yes", True), ("no, yes", True), ("yes, maybe", False)]
)
def test_yes_and_no_are_offered_when_every_reference_is_one_of_them(
    answer: str, is_offered: bool
) -> None:
    question, reference = reword(
        "Clotho-AQA-AQA", "question: dog?", answer, "AQA_binary_instruction"
    )
    options = "\nOPTIONS:\nyes.\nno." if is_offered else ""
    assert question == f"please answer this question: dog?{options}"
    assert reference == answer.lower()


@pytest.mark.parametrize(
    ("task", "augmentation", "given", "wanted"),
    [
        ("MusicCaps-AudioCaptioning", "AC_paragraph", "A b. C d. E.", "a b; c d; e."),
        ("MusicCaps-AudioCaptioning", "AC_paragraph", "ab", "a.ab"),
        ("chime-home-EventClassification", "default", "Silence.", "silence"),
        ("mtg-jamendo-MusicTagging", "default", "rock; guitar", "rock. guitar"),
        ("MELD-EmotionClassification", "provide_all_labels", " Joy ", "joy"),
    ],
)
def test_a_reference_is_worded_by_its_task(
    task: str, augmentation: Augmentation, given: str, wanted: str
) -> None:
    assert reword(task, "x", given, augmentation)[1] == wanted


@pytest.mark.parametrize(
    ("task", "n_labels"),
    [
        ("CREMA-D-EmotionClassification", 6),
        ("MELD-EmotionClassification", 7),
        ("MELD-SentimentClassification", 3),
        ("MSP-PODCAST-Publish-1.9-EmotionClassification", 8),
        ("OMGEmotion-EmotionClassification", 7),
        ("emov-db-EmotionClassification", 5),
        ("jl-corpus-EmotionClassification", 10),
        ("ravdess-EmotionClassification", 8),
        ("tess-EmotionClassification", 7),
        ("Medley-solos-DB-InstrClassification", 8),
        ("NSynth-InstrClassification", 11),
        ("NSynth-SourceClassification", 3),
        ("musdbhq-InstrClassification", 5),
        ("GTZAN-GenreClassification", 10),
        ("CochlScene-SceneClassification", 13),
        ("NonSpeech7k-EventClassification", 7),
        ("UrbanSound8K-EventClassification", 10),
        ("FMA-GenreClassification", 0),
        ("FSD50k-EventClassification", 0),
    ],
)
def test_labels_are_sorted_and_listed_for_the_query_only(task: str, n_labels: int) -> None:
    labels = labels_of(task)
    assert len(set(labels)) == n_labels
    assert list(labels) == sorted(labels)
    listed, _ = reword(task, "x", "y", "provide_all_labels")
    assert listed.endswith(options_suffix(labels))
    unlisted, _ = reword(task, "x", "y", "provide_all_labels", with_labels=False)
    assert "OPTIONS" not in unlisted


def test_a_shot_of_several_labels_lists_none_of_them() -> None:
    question, _ = reword(
        "SONYC-UST-EventClassification", "x", "siren", "default", with_labels=False
    )
    assert question == "use a few labels to describe this sound."
    question, _ = reword("SONYC-UST-EventClassification", "x", "siren", "num_words")
    assert question.startswith("Describe the sound in 1 label. All labels are: small sounding")


def test_emotions_are_adjectives() -> None:
    nouns = ["anger", "joy", "sadness", "fear", "disgust", "surprise", "calm"]
    assert list(map(emotion_adjective, nouns)) == [
        *("angry", "happy", "sad", "fearful", "disgusted", "surprised", "calm")
    ]


# --- rows to prompts --------------------------------------------------------------------

ROW = ManifestRow(name="a.wav", question="generate tags", answer="Cough, Laugh, Yawn, Sneeze")


def test_a_manifest_becomes_a_prompt_with_its_audio() -> None:
    shot = ManifestRow(name="train/b.wav", question="x", answer="Siren", start_s=2.5)
    prompt, answer = reference_prompt(
        "UrbanSound8K-EventClassification/test",
        ROW,
        shots=[shot],
        shot_choice="random",
        augmentations={"default": 1.0},
        root=Path("data"),
    )
    opening, first, *_ = prompt.parts
    assert opening == Text(
        kind="system", text="Here are random examples. The task is event classification."
    )
    assert first == ClipRef(audio=Path("data/train/b.wav"), start_s=2.5, is_exemplar=True)
    assert [str(clip) for clip in prompt.clips] == ["data/train/b.wav [2.5-end s]", "data/a.wav"]
    assert answer == "cough, laugh, yawn, sneeze"


def test_a_prompt_need_not_name_its_task() -> None:
    prompt, _ = reference_prompt(
        "NSynth-MIR/train", ROW, augmentations={"do_nothing": 1.0}, has_task_sentence=False
    )
    assert "".join(render_prompt(prompt, style="training")).startswith("</s><audio>generate tags\n")


def test_an_unknown_augmentation_is_refused() -> None:
    with pytest.raises(PromptError, match="no augmentation loud; known: AC_long"):
        reference_prompt("NSynth-MIR", ROW, augmentations={"loud": 1.0})


def test_evaluation_always_lists_labels_where_training_may() -> None:
    mixed = {"provide_all_labels": 0.9, "default": 0.1}
    assert evaluation_augmentations(mixed) == {"provide_all_labels": 1.0}
    assert evaluation_augmentations({"AC_short": 1.0}) == {"AC_short": 1.0}


def test_a_row_decides_what_is_drawn_for_it() -> None:
    # Oracle: the release seeds NumPy's generator with the sum of the row's letters, draws
    # the wording, and begins anew for the order of the labels.
    import numpy as np

    task = "chime-home-EventClassification/test"
    weights = {"default": 0.5, "num_words": 0.5}
    for number in range(20):
        row = ManifestRow(name=f"{number}.wav", question="Tags", answer="a, b, c")
        seed = sum(ord(letter) for letter in f"{number}.wavtagsa, b, c{task}")
        drawn = np.random.default_rng(seed).choice(list(weights), p=list(weights.values()))
        labels = ["a", "b", "c"]
        np.random.default_rng(seed).shuffle(labels)
        prompt, answer = reference_prompt(task, row, augmentations=weights)
        question = prompt.parts[-1]
        assert isinstance(question, Text)
        assert question.text.startswith("Describe the sound in 3") == (drawn == "num_words")
        assert answer == (", ".join(labels) if drawn == "num_words" else "a, b, c")


@given(
    st.sampled_from(AUGMENTATIONS),
    st.lists(st.text(max_size=12), min_size=3, max_size=3),
    st.sampled_from(["tess-EmotionClassification", "Clotho-AQA-AQA", "SONYC-UST-Tagging", "X-MIR"]),
)
def test_a_prompt_has_a_place_for_each_recording(
    augmentation: Augmentation, words: list[str], task: str
) -> None:
    rows = [ManifestRow(name="a.wav", question=text, answer=text[::-1]) for text in words]
    prompt, _ = reference_prompt(task, rows[-1], shots=rows[:-1], augmentations={augmentation: 1})
    segments = render_prompt(prompt, style="benchmark")
    controls = [part for part in segments if isinstance(part, Control)]
    assert controls.count(Control.AUDIO) == controls.count(Control.SEPARATOR) == 3
    assert controls.count(Control.END_OF_CHUNK) == 2
