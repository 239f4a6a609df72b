"""Questions: whether one asks for yes or no, for a name, and which label it asks about.

Plain reading of English words, by tables: what is not recognised is left to the language model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_OPTIONS: Final = "options:"

_VERBS: Final = frozenset(
    {
        *("is", "are", "was", "were", "am", "do", "does", "did", "can", "could", "has", "have"),
        *("had", "will", "would", "should", "shall", "may", "might", "must"),
    }
)
_OPENERS: Final = _VERBS | {"any"}
_FILLERS: Final = frozenset(
    {"please", "so", "and", "but", "well", "now", "ok", "okay", "hey", "hi", "hello"}
)
_PREFIX: Final = ("answer", "this", "question")

# "Can you tell me what this is?" asks for words, "Can you tell whether it rains?" does not.
_ASKS_FOR_WORDS = re.compile(
    r"\b(?:tell|say|know|describe|explain|guess|hear|identify|name|recogni[sz]e|idea)"
    r"(?: me| us)? (?:what|which|who|whose|where|when|why|how)\b"
    r"|^(?:can|could|will|would) (?:you|i|we) (?:please )?"
    r"(?:describe|name|list|explain|identify|give|write|classify|guess|summari[sz]e|caption|"
    r"transcribe|tell (?!(?:me |us )?(?:if|whether)\b))"
)

# The words of a question about presence besides the thing itself: any other asks for more.
_FRAME: Final = _OPENERS | {
    *("there", "this", "that", "it", "these", "those", "they", "a", "an", "the", "some", "one"),
    *("you", "i", "we", "be", "been", "hear", "heard", "hearing", "notice", "detect", "say"),
    *("think", "recognise", "recognize", "sound", "sounds", "noise", "noises", "recording"),
    *("clip", "audio", "file", "sample", "here", "present", "audible", "contain", "contains"),
    *("include", "includes", "got", "like", "from", "made", "by", "kind", "of", "in", "to"),
    *("something", "anything", "really", "actually", "maybe", "perhaps", "called"),
}
_NAMING: Final = _FRAME | {
    *("what", "what's", "which", "type", "sort", "source", "makes", "making", "name", "tell"),
    *("me", "thing", "label", "please", "describe", "caption", "sentence"),
}
_IRREGULAR: Final = {
    "men": "man",
    "women": "woman",
    "children": "child",
    "people": "person",
    "mice": "mouse",
    "geese": "goose",
    "wolves": "wolf",
    "knives": "knife",
}


def plain_words(text: str) -> tuple[str, ...]:
    """Return a text's words in lower case, without punctuation.

    >>> plain_words("Isn't this a Dog_bark?")
    ("isn't", 'this', 'a', 'dog', 'bark')
    """
    return tuple(_WORD.findall(text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").casefold()))


def is_yes_no_question(question: str) -> bool:
    """Whether yes or no is an answer: by its first word, or by the options it names.

    A choice ("Is it a dog or a cat?") is none, nor is a request ("Can you describe it?").

    >>> is_yes_no_question("Do you hear rain?"), is_yes_no_question("What do you hear?")
    (True, False)
    """
    asked, has_options, options = question.casefold().partition(_OPTIONS)
    if has_options:
        return set(plain_words(options)) == {"yes", "no"}
    words = _without_fillers(plain_words(asked))
    if not words or _affirmative(words[0]) not in _OPENERS:
        return False
    if "or" in words and words[-2:] != ("or", "not"):
        return False
    return not _ASKS_FOR_WORDS.search(" ".join(words))


def asks_for_a_name(question: str) -> bool:
    """Whether a question asks what the sound is, and nothing else.

    >>> asks_for_a_name("What is this sound?"), asks_for_a_name("What is the dog doing?")
    (True, False)
    """
    words = plain_words(question)
    return bool({"what", "what's", "which", "name"} & set(words)) and set(words) <= _NAMING


def asks_for_a_description(question: str) -> bool:
    """Whether a question asks to describe the sound, and nothing else.

    >>> asks_for_a_description("Describe the sound in a sentence.")
    True
    """
    words = plain_words(question)
    return bool({"describe", "caption"} & set(words)) and set(words) <= _NAMING


def label_asked_about(question: str, labels: Sequence[str]) -> str | None:
    """Return the label whose presence a yes/no question asks about, if that is all it asks.

    Words are compared as wholes, without case; singular and plural are the same, and articles do
    not count. The longest label wins, of equally long ones the first. A question that says more
    than a label ("Is the dog close?") asks about something else, and so does a negated one.

    >>> label_asked_about("Is there a church bell in this?", ["bell", "church_bell"])
    'church_bell'
    >>> label_asked_about("Do you hear dogs?", ["dog", "footsteps"])
    'dog'
    >>> label_asked_about("Is the dog close?", ["dog"]) is None
    True
    """
    words = _without_fillers(plain_words(question.casefold().partition(_OPTIONS)[0]))
    if words[-2:] == ("or", "not"):
        words = words[:-2]
    if not words:
        return None
    words = (_affirmative(words[0]), *words[1:])
    names = [(plain_words(label), label) for label in labels]
    # A label such as "noise" comes after one that says what the question is about.
    names.sort(key=lambda known: (-len(known[0]), set(known[0]) <= _FRAME))
    for name, label in names:
        for start in range(1, len(words) - len(name) + 1):
            rest = (*words[:start], *words[start + len(name) :])
            here = words[start : start + len(name)]
            if name and all(map(_is_same, here, name)) and set(rest) <= _FRAME:
                return label
    return None


def _without_fillers(words: tuple[str, ...]) -> tuple[str, ...]:
    while words and words[0] in _FILLERS:
        words = words[1:]
    return words[len(_PREFIX) :] if words[: len(_PREFIX)] == _PREFIX else words


def _affirmative(verb: str) -> str:
    """Return a verb without "n't": "isn't it?" and "is it?" have the same yes."""
    irregular = {"can't": "can", "won't": "will", "shan't": "shall"}
    return irregular.get(verb, verb.removesuffix("n't"))


def _is_same(one: str, other: str) -> bool:
    return not _forms(one).isdisjoint(_forms(other))


def _forms(word: str) -> set[str]:
    """Return what a word may be the plural of, and itself."""
    forms = {word, _IRREGULAR.get(word, word)}
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        forms.add(word[:-1])
        if word.endswith("es"):
            forms.add(word[:-2])
        if word.endswith("ies"):
            forms.add(f"{word[:-3]}y")
    return forms
