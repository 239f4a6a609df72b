"""The words that training episodes are made of: questions, and names that mean nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

OPENINGS = {
    "classify": "The task is event classification.",
    "ask": "The task is audio question answering.",
    "caption": "The task is audio captioning.",
    "dialogue": "The task is dialog.",
}
SIMILAR = "Here are similar examples. "
RANDOM = "Here are random examples. "
ASKING = "Please answer this question: "
YES_OR_NO = "\nOPTIONS:\nyes.\nno."
CLASSIFY = (
    "Classify this sound.",
    "Classify this sound.",
    "Classify this sound.",
    "What is this sound?",
    "Which sound is this?",
    "What do you hear?",
    "Name this sound.",
    "What is the instrument of this music?",
    "Which class is it?",
    "Which of them is it?",
    "Label this recording.",
    "What kind of sound is this?",
    "Which machine fault is this?",
    "What state is the machine in?",
)
WHAT = ("What is this sound?", "What do you hear?", "Which sound is this?", "Name this sound.")
WHAT_KIND = (
    "What kind of sound is this?",
    "Which family of sounds is this from?",
    "What sort of sound is it?",
)
DESCRIBE = (
    "Describe the sound in a sentence.",
    "Describe the sound in a sentence.",
    "Describe this clip.",
    "Describe this sound.",
)
IS_THERE = ("is there {name} in this sound?", "is this {name}?", "do you hear {name}?")
HOW_MANY = ("How many sounds do you hear?", "How many sounds are there?")
FIRST = ("Which sound comes first?", "What do you hear first?")
LAST = ("Which sound comes last?", "What do you hear last?")
SAME = ("Are the two sounds the same?", "Is it the same sound twice?")
NUMBERS = ("one", "two", "three", "four")

TEXTS = (
    *OPENINGS.values(),
    SIMILAR,
    RANDOM,
    ASKING,
    YES_OR_NO,
    *CLASSIFY,
    *WHAT_KIND,
    *DESCRIBE,
    *(text.format(name="a sound") for text in IS_THERE),
    *HOW_MANY,
    *FIRST,
    *LAST,
    *SAME,
    *NUMBERS,
    "user: assistant: \nanswer:",
    "no.",
    "yes.",
    "none",
)

SYLLABLES = tuple(first + second for first in "bdfgklmnprstvz" for second in "aeiou")
_CODES = ("class {}", "type {}", "{}", "unit {}", "group {}", "fault {}", "kind {}", "no. {}")


def nonce_names(words: Sequence[str], n: int, rng: np.random.Generator) -> list[str]:
    """Make up distinct names, all of one manner: words, word pairs, syllables or codes.

    Args:
        words: A word list.
        n: How many.
        rng: Decides.
    """
    manner = rng.random()
    pattern = _CODES[int(rng.integers(len(_CODES)))]
    letters = rng.random() < 0.5
    names: dict[str, None] = {}
    while len(names) < n:
        if manner < 0.5:
            name = words[int(rng.integers(len(words)))]
        elif manner < 0.7:
            name = " ".join(words[int(i)] for i in rng.integers(len(words), size=2))
        elif manner < 0.9:
            size = int(rng.integers(2, 4))
            name = "".join(SYLLABLES[int(i)] for i in rng.integers(len(SYLLABLES), size=size))
        elif letters:
            name = pattern.format("abcdefghijklmnopqrstuvwxyz"[int(rng.integers(26))])
        else:
            name = pattern.format(int(rng.integers(100)))
        names[name] = None
    return list(names)


def with_article(name: str) -> str:
    """Put an article before a name, as English does.

    >>> with_article("oboe"), with_article("drum"), with_article("footsteps"), with_article("rain")
    ('an oboe', 'a drum', 'footsteps', 'rain')
    """
    uncounted = ("rain", "wind", "fire", "thunder", "water", "applause", "laughter", "speech")
    if name.endswith("s") or name in uncounted or name.endswith("ing"):
        return name
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"
