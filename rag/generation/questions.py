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
# "Is the machine running normally?": what is recorded, and what it does, ask for nothing more.
_DEFINITE: Final = frozenset({"the", "this", "that", "these", "those", "my", "our", "your", "its"})
_ARTICLES: Final = frozenset({"a", "an", "the", "any", "some", "of"})
_MOST_SUBJECT_WORDS: Final = 2
_LINKS: Final = frozenset(
    {
        *("run", "runs", "running", "work", "works", "working", "operate", "operates"),
        *("operating", "behave", "behaves", "behaving", "function", "functions", "functioning"),
        *("seem", "seems", "look", "looks", "make", "makes", "making", "being", "doing", "going"),
        *("show", "shows", "showing", "suffer", "suffers", "suffering", "with", "still", "more"),
        *("rather", "sign", "signs", "evidence", "trace", "traces", "if", "whether", "tell", "me"),
        *("know", "see", "everything", "all"),
    }
)
# "Is this a bearing fault?", "Is there a bird call?": nouns that a label's name may stand before.
_HEADS: Final = frozenset(
    {
        *("fault", "faults", "failure", "failures", "problem", "problems", "defect", "defects"),
        *("damage", "issue", "issues", "condition", "conditions", "state", "mode", "operation"),
        *("event", "events", "class", "type", "case", "signal", "call", "calls", "song", "songs"),
        *("happening", "occurring", "going", "on"),
    }
)
_NEGATIONS: Final = frozenset({"not", "no", "never", "without", "neither", "nor"})
_NO_SUBJECT: Final = (
    _FRAME | _LINKS | _HEADS | _NEGATIONS
    | {"always", "ever", "often", "usually", "sometimes", "only", "just", "also", "too", "very"}
)  # fmt: skip
_NEGATION = re.compile(rf"\s*\b(?:{'|'.join(sorted(_NEGATIONS))})\b", re.IGNORECASE)
_BETWEEN_CHOICES = re.compile(r"[,;:/?]|\bor\b")
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
    words = _without_tail(_without_fillers(plain_words(asked)))
    if not words or _affirmative(words[0]) not in _OPENERS or "or" in words:
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

    Words are compared without case; singular and plural are the same, and so are "normal" and
    "normally", "bark" and "barking". Articles do not count, nor does what was recorded ("Is the
    machine normal?") or a general noun behind the label ("Is this a bearing fault?"). The longest
    label wins, of equally long ones the first. A question that says more than a label ("Is the
    dog close?") asks about something else, and so does a negated one; see ``affirmed``.

    >>> label_asked_about("Is there a church bell in this?", ["bell", "church_bell"])
    'church_bell'
    >>> label_asked_about("Is this machine running normally?", ["bearing", "normal"])
    'normal'
    >>> label_asked_about("Is the dog close?", ["dog"]) is None
    True
    """
    words = plain_words(question.casefold().partition(_OPTIONS)[0])
    words = _without_tail(_without_fillers(words))
    if not words:
        return None
    return _only_label((_affirmative(words[0]), *words[1:]), labels, first=1)


def offers_choice(question: str) -> bool:
    """Whether a question has an "or" in it.

    >>> offers_choice("Is it a dog or a cat?"), offers_choice("What is heard?")
    (True, False)
    """
    return "or" in plain_words(question.casefold().partition(_OPTIONS)[0])


def labels_to_choose_from(question: str, labels: Sequence[str]) -> tuple[str, ...]:
    """Return the labels between which a question lets choose, if that is all it asks.

    Returns:
        In the question's order; none unless it names two.

    >>> labels_to_choose_from("Is it cavitation or a bearing fault?", ["bearing", "cavitation"])
    ('cavitation', 'bearing')
    """
    if not offers_choice(question):
        return ()
    asked = question.casefold().partition(_OPTIONS)[0]
    found: dict[str, None] = {}
    for part in _BETWEEN_CHOICES.split(asked):
        words = _without_fillers(plain_words(part))
        label = _only_label(words, labels, first=0)
        if label is not None:
            found[label] = None
        elif not set(words) <= _NAMING | _LINKS:
            return ()
    return tuple(found) if len(found) > 1 else ()


def affirmed(question: str) -> str:
    """Return a question without its negations, or as it is; "isn't it?" asks the same as "is it?".

    >>> affirmed("Is it not a dog?"), affirmed("Is it a dog or not?")
    ('Is it a dog?', 'Is it a dog or not?')
    """
    if _without_tail(words := plain_words(question)) != words:
        return question
    if _NEGATIONS.isdisjoint(words) or not is_yes_no_question(question):
        return question
    return _NEGATION.sub("", question)


def _only_label(words: tuple[str, ...], labels: Sequence[str], *, first: int) -> str | None:
    """Return the label that some words are about and nothing else; it begins at ``first``."""
    names = [(plain_words(label), label) for label in labels]
    # A label such as "noise" comes after one that says what the question is about.
    names.sort(key=lambda known: (-len(known[0]), set(known[0]) <= _FRAME))
    known = {form for name, _ in names for word in name for form in _forms(word)}
    for is_same in (_is_same, _is_inflected):
        for name, label in names:
            for start in range(first, len(words) - len(name) + 1):
                here = words[start : start + len(name)]
                before = ("", *words)[start : start + len(name)]
                if not name or not all(map(is_same, here, name, before)):
                    continue
                after = set(words[start + len(name) :])
                if _is_frame(words[:start], known) and after <= _FRAME | _HEADS:
                    return label
    return None


def _is_frame(words: tuple[str, ...], known: set[str]) -> bool:
    """Whether the words before a label say nothing but what was recorded."""
    for at, word in enumerate(words):
        if word not in _DEFINITE:
            continue
        end = at + 1
        while (
            end < len(words) and end - at <= _MOST_SUBJECT_WORDS and _is_subject(words[end], known)
        ):
            end += 1
        # "Do you hear the small dog?" asks about a small one; "Is the machine normal?" does not.
        if end > at + 1 and (at == 1 or end < len(words)):
            words = (*words[:at], *words[end:])
            break
    return set(words) <= _FRAME | _LINKS


def _is_subject(word: str, known: set[str]) -> bool:
    return word not in _NO_SUBJECT and _forms(word).isdisjoint(known)


def _without_tail(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return a question's words without "or not" or "yes or no" at its end."""
    if words[-3:] == ("yes", "or", "no"):
        return words[:-3]
    return words[:-2] if words[-2:] == ("or", "not") else words


def _without_fillers(words: tuple[str, ...]) -> tuple[str, ...]:
    while words and words[0] in _FILLERS:
        words = words[1:]
    return words[len(_PREFIX) :] if words[: len(_PREFIX)] == _PREFIX else words


def _affirmative(verb: str) -> str:
    """Return a verb without "n't": "isn't it?" and "is it?" have the same yes."""
    irregular = {"can't": "can", "won't": "will", "shan't": "shall"}
    return irregular.get(verb, verb.removesuffix("n't"))


def _is_same(word: str, name: str, before: str = "") -> bool:
    return not _forms(word).isdisjoint(_forms(name))


def _is_inflected(word: str, name: str, before: str) -> bool:
    """Whether a question's word is a label's, or made of it, by the word before it."""
    return _is_same(word, name) or not _roots(word, before).isdisjoint({*_roots(name, "a"), name})


def _roots(word: str, before: str) -> set[str]:
    """Return what a word may be made of: "normally" of normal, "barking" of bark.

    Behind an article a word is a noun, and a bearing has nothing to do with a bear.
    """
    found = set()
    if len(word) > 5 and word.endswith("ly"):
        found.add(word[:-2])
        if word.endswith("ily"):
            found.add(f"{word[:-3]}y")
    for ending in ("ation", "ating", "ates", "ated", "ate"):
        if len(word) - len(ending) >= 4 and word.endswith(ending):
            found.add(f"{word.removesuffix(ending)}at-")
    if before in _ARTICLES:
        return found
    for ending in ("ing", "ed"):
        base = word.removesuffix(ending)
        if base != word and len(base) > 2:
            found |= {base, f"{base}e", base[:-1] if base[-1] == base[-2] else base}
    return found


def _forms(word: str) -> set[str]:
    """Return what a word may be the plural of, and itself."""
    forms = {word, _IRREGULAR.get(word, word)}
    if word.endswith("'s"):
        forms.add(word[:-2])
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        forms.add(word[:-1])
        if word.endswith("es"):
            forms.add(word[:-2])
        if word.endswith("ies"):
            forms.add(f"{word[:-3]}y")
    return forms
