"""Scoring by an endpoint: exact log-probabilities, letters, a constrained choice, or plain text.

``exact``: vLLM tells the log-probability of every token of a prompt, at whose end an answer is put.
``first-token``: the answers are listed as letters, dealt out in two orders as models prefer some,
and the first token that is written is looked at. ``choice``: the server lets nothing else be
written. ``text``: the model writes what it likes, and the strict parser looks for one answer.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from earful.errors import PromptError
from earful.model.chat import control_strings_in
from earful.model.endpoint.faults import UntoldError
from earful.model.endpoint.scoring.replies import Reply, TokenChoice

Server = Literal["vLLM", "SGLang", "llama.cpp", "OpenAI", "unknown"]
"""What serves: it decides in which field a constraint is written."""

TOP_LOGPROBS: Final = 20
"""Most tokens whose log-probability a server tells; so many letters can be scored."""

CHOICE_TOKENS: Final = 64
"""Longest answer that is looked at for a label, in tokens."""

LEAST_MASS: Final = 0.5
"""Share of probability of the letters below which a model hardly answers by letter."""

_LETTERS: Final = "ABCDEFGHIJKLMNOPQRST"
_OWNERS: Final[Mapping[str, Server]] = {
    "vllm": "vLLM",
    "sglang": "SGLang",
    "llamacpp": "llama.cpp",
    "llama.cpp": "llama.cpp",
}
_ENDS: Final = frozenset(
    {
        *("<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end|>", "<|end_of_text|>", "<|eos|>"),
        *("</s>", "<eos>", "<end_of_turn>", "<turn|>", "<|user|>", "<|end_of_turn|>", ""),
    }
)
_BEFORE = re.compile(r"^[\s▁Ġ\"'(*\[]+")
_BEHIND = re.compile(r"[\s\"'.,:;)*\]]+$")


def server_of(entry: Mapping[str, Any], host: str) -> Server:
    """Tell what serves by the owner that it names for its models.

    >>> server_of({"id": "m", "owned_by": "vllm"}, "localhost:8000")
    'vLLM'
    """
    if host.partition(":")[0] == "api.openai.com":
        return "OpenAI"
    return _OWNERS.get(str(entry.get("owned_by", "")).casefold(), "unknown")


def check_answers(answers: Sequence[str]) -> None:
    """Check answers before they are sent.

    Raises:
        PromptError: One is empty, two are equal, or a control string would change one.
    """
    for answer in answers:
        if not answer.strip():
            raise PromptError("an answer is empty: expected at least one character")
        if found := control_strings_in(answer):
            raise PromptError(
                f"answer {answer!r} holds {found[0]!r}, which a model's template may read as a "
                "command; reword the label"
            )
    if len({answer.strip() for answer in answers}) < len(answers):
        raise PromptError(f"answers {', '.join(map(repr, answers))}: expected each once")


# --- exact ---------------------------------------------------------------------------


EXACT_FIELDS: Final[Mapping[str, Any]] = {
    "continue_final_message": True,
    "add_generation_prompt": False,
    "prompt_logprobs": 0,
    "max_tokens": 1,
    "logprobs": True,
    "top_logprobs": TOP_LOGPROBS,
    "temperature": 0,
}
"""Fields with which vLLM tells the log-probabilities of an answer that ends the messages."""


def exact_scores(reply: Reply, answer: str) -> NDArray[np.float64]:
    """Return the log-probabilities of an answer's tokens and of its end.

    Args:
        reply: To messages that end in the answer; see ``EXACT_FIELDS``.
        answer: The answer.

    Raises:
        UntoldError: The server told none, or the answer's tokens cannot be found.
    """
    said = reply.prompt_tokens_said
    wanted = answer.strip()
    text = ""
    for n in range(1, len(said) + 1):
        text = said[-n][0] + text
        if text.strip() == wanted:
            own = [log_probability for _, log_probability in said[-n:]]
            return np.array([*own, _end(reply.tokens)])
        if len(text.strip()) > len(wanted):
            break
    raise UntoldError(
        f"the tokens of answer {answer!r} cannot be found in what the server tells of the prompt "
        f"({text[-40:]!r} ends it); score by letters: --scoring first-token"
    )


def _end(tokens: Sequence[TokenChoice]) -> float:
    """Return the log-probability that an answer ends where it does."""
    if not tokens:
        raise UntoldError("the server tells no log-probability of an answer's end")
    first = tokens[0]
    if first.token in _ENDS:
        return first.log_probability
    ends = [found for token, found in first.others.items() if token in _ENDS]
    # Of an end that is not among the likeliest it is known that it is no likelier than these.
    return max(ends) if ends else min(first.others.values(), default=first.log_probability)


# --- letters -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Letters:
    """Letters that stand for answers, dealt out in one order.

    Attributes:
        of_answer: For each answer its letter.
    """

    of_answer: Mapping[str, str]

    @property
    def listing(self) -> str:
        """The letters with their answers, for the opening of a prompt."""
        by_letter = sorted(self.of_answer.items(), key=lambda pair: pair[1])
        lines = "\n".join(f"{letter}. {answer}" for answer, letter in by_letter)
        return f"Answer with one letter:\n{lines}"

    def show(self, answer: str) -> str:
        """Return an exemplar's answer as its letter, if it has one."""
        return self.of_answer.get(answer, answer)

    def read(self, token: TokenChoice) -> tuple[NDArray[np.float64], float, int]:
        """Read the probabilities of the letters off the first token.

        Returns:
            float64, shape ``(n_answers,)``, which sum to 1; the letters' share of all
            probability; and how many letters were not listed and got the smallest value.
        """
        listed: dict[str, float] = {}
        for text, found in (token.others or {token.token: token.log_probability}).items():
            letter = _BEHIND.sub("", _BEFORE.sub("", text))
            listed[letter] = listed.get(letter, 0.0) + math.exp(found)
        least = min(map(math.exp, token.others.values()), default=math.exp(token.log_probability))
        letters = list(self.of_answer.values())
        n_missing = sum(letter not in listed for letter in letters)
        mass = sum(listed.get(letter, 0.0) for letter in letters)
        weights = np.array([listed.get(letter, least) for letter in letters])
        weights = np.maximum(weights, np.finfo(np.float64).tiny)
        return weights / weights.sum(), min(mass, 1.0), n_missing


LETTER_FIELDS: Final[Mapping[str, Any]] = {
    "max_completion_tokens": 1,
    "logprobs": True,
    "top_logprobs": TOP_LOGPROBS,
    "temperature": 0,
}
"""Fields with which a server tells the likeliest first tokens."""

LETTER_QUESTION: Final = "\nAnswer with one letter."
"""Follows every question to which a letter is the answer."""


def deal_letters(answers: Sequence[str]) -> tuple[Letters, ...]:
    """Deal letters out in two orders, so that a liking for the first letter cancels out.

    Raises:
        PromptError: There are more answers than letters.

    >>> [dict(dealt.of_answer) for dealt in deal_letters(["cat", "dog"])]
    [{'cat': 'A', 'dog': 'B'}, {'cat': 'B', 'dog': 'A'}]
    """
    n = len(answers)
    if n > len(_LETTERS):
        raise PromptError(
            f"{n} answers, expected at most {len(_LETTERS)} where a letter stands for each: give "
            "fewer labels, or exemplars, whose vote then chooses the likeliest"
        )
    orders = [range(n), range(n - 1, -1, -1)] if n > 1 else [range(n)]
    return tuple(
        Letters(
            of_answer={
                answer: _LETTERS[place] for answer, place in zip(answers, order, strict=True)
            }
        )
        for order in orders
    )


def letter_scores(
    dealt: Sequence[Letters], tokens: Sequence[TokenChoice]
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return each answer's log-probability, the mean over the orders, and what to know of it.

    Args:
        dealt: Letters in each order.
        tokens: The first token that was written, for each.
    """
    read = [letters.read(token) for letters, token in zip(dealt, tokens, strict=True)]
    mean = np.mean([probabilities for probabilities, _, _ in read], axis=0)
    mass = min(found for _, found, _ in read)
    notes = []
    if mass < LEAST_MASS:
        notes.append(
            f"the model hardly answers by letter: they have {mass:.0%} of the probability, so "
            "its scores say little"
        )
    elif any(n_missing for _, _, n_missing in read):
        n = max(n_missing for _, _, n_missing in read)
        notes.append(
            f"{n} of {len(mean)} labels are not among the {TOP_LOGPROBS} likeliest tokens; their "
            "scores are upper bounds"
        )
    return np.log(mean), tuple(notes)


# --- choice and text -----------------------------------------------------------------


def choice_fields(server: Server, answers: Sequence[str]) -> dict[str, Any]:
    """Return the fields with which a server lets nothing but an answer be written.

    >>> choice_fields("vLLM", ["dog"])["structured_outputs"]
    {'choice': ['dog']}
    """
    base: dict[str, Any] = {"max_completion_tokens": CHOICE_TOKENS, "temperature": 0}
    if server == "vLLM":
        return {**base, "structured_outputs": {"choice": list(answers)}}
    if server == "SGLang":
        return {**base, "regex": f"({'|'.join(map(re.escape, answers))})"}
    if server == "llama.cpp":
        quoted = " | ".join(json.dumps(answer, ensure_ascii=False) for answer in answers)
        return {**base, "grammar": f"root ::= {quoted}"}
    schema = {
        "type": "object",
        "properties": {"answer": {"type": "string", "enum": list(answers)}},
        "required": ["answer"],
        "additionalProperties": False,
    }
    described = {"name": "answer", "strict": True, "schema": schema}
    return {**base, "response_format": {"type": "json_schema", "json_schema": described}}


TEXT_FIELDS: Final[Mapping[str, Any]] = {"max_completion_tokens": CHOICE_TOKENS, "temperature": 0}
"""Fields of a request whose answer is looked for in what was written."""

TEXT_QUESTION: Final = "\nAnswer with one of these and nothing else: "
"""Follows every question to which one of some answers is wanted."""


def chosen_text(text: str) -> str:
    """Return what was chosen, of a text that may be JSON.

    >>> chosen_text('{"answer": "dog"}'), chosen_text("dog")
    ('dog', 'dog')
    """
    try:
        found = json.loads(text)
    except ValueError:
        return text
    answer = found.get("answer") if isinstance(found, dict) else None
    return answer if isinstance(answer, str) else text


def limited(fields: Mapping[str, Any], server: Server) -> dict[str, Any]:
    """Return fields with the name that a server has for the longest answer.

    >>> limited({"max_completion_tokens": 1}, "llama.cpp")
    {'max_tokens': 1}
    """
    if server != "llama.cpp":
        return dict(fields)
    return {("max_tokens" if k == "max_completion_tokens" else k): v for k, v in fields.items()}
