"""Canary: requests that show whether recordings reach a model, how many, how long, how it scores.

Some servers drop recordings without a word, and a model then answers from the text alone. So the
same words are sent with none, one, two and three seconds of noise in as many turns, laid out as the
real prompts are: what is heard has to raise the count of tokens each time, and another noise
has to change what is answered. Asking the model whether it hears is no evidence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise, product
from typing import Any, Final, Self, TypeVar

import numpy as np

from earful.errors import PromptError
from earful.model.audio import Clip
from earful.model.capabilities import Hears, Scoring
from earful.model.endpoint.client import EndpointClient, Request
from earful.model.endpoint.faults import (
    AudioCapError,
    AudioFormError,
    NoAudioError,
    RefusedError,
    ServerFailedError,
    UntoldError,
)
from earful.model.endpoint.messages import SAMPLE_RATE, AudioForm, Layout, audio_part
from earful.model.endpoint.scoring import (
    EXACT_FIELDS,
    LETTER_FIELDS,
    Reply,
    Server,
    choice_fields,
    chosen_text,
    exact_scores,
    limited,
)
from earful.model.prompt import ClipRef
from earful.values import short_repr
from earful.wording import counted

Found = TypeVar("Found")

MANY_AUDIOS: Final = 100
"""Most recordings in one prompt where no limit was found."""

_MOST_TRIED = 3
_CUT_S: Final = 30.0
_LONG_S: Final = 300.0
_LENGTHS_S: Final = (1.0, 31.0, 45.0)
_REPEATS: Final = 3
_UNLIKELY: Final = "zqxv"
_LEAST_NOISE: Final = 1e-6
_QUESTION: Final = "Is this noise? Answer with one word."
_FORMS: Final[tuple[AudioForm, ...]] = ("input_audio", "audio_url")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What a canary found.

    Attributes:
        server: What serves.
        model: Name of the model there.
        hears: Whether recordings reach it.
        reason: What speaks for that.
        form: Form in which recordings are sent.
        system_text: Whether a prompt may open with words of the system.
        max_audios: Most recordings in one prompt.
        max_seconds: Most seconds of each that are heard.
        tokens_per_second: Tokens that a second of audio takes; 0 when unknown.
        max_tokens: Longest prompt in tokens, with the answer; 0 when unknown.
        scoring: The most telling way in which it scores answers.
        max_choices: Most answers of a decision; 0 where none was asked for.
        n_requests: How many requests that took.
    """

    server: Server
    model: str
    hears: Hears = "unverified"
    reason: str = ""
    form: AudioForm = "input_audio"
    system_text: bool = True
    max_audios: int = MANY_AUDIOS
    max_seconds: float = _LONG_S
    tokens_per_second: float = 0.0
    max_tokens: int = 0
    scoring: Scoring = "text"
    max_choices: int = 0
    n_requests: int = 0

    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Any) -> Self | None:
        """Read what ``to_dict`` returned; ``None`` where another release wrote it."""
        try:
            return cls(**values)
        except TypeError:
            return None


class Canary:
    """A test of one model at one endpoint.

    Args:
        client: Asks it.
        server: What serves.
        max_tokens: Longest prompt, as the server says; 0 when unknown.
    """

    def __init__(self, client: EndpointClient, server: Server, max_tokens: int) -> None:
        self._client = client
        self._report = CheckReport(server=server, model=client.model, max_tokens=max_tokens)

    def run(self) -> CheckReport:
        """Send the requests, about a dozen of one token each.

        Raises:
            EndpointError: It cannot be asked at all.
        """
        n_before = self._client.meter.total.n_requests
        try:
            counts = self._count()
        except NoAudioError as error:
            return self._with(n_before, hears="no", max_audios=0, reason=str(error))
        self._judge_counts(counts)
        if self._report.hears == "no":
            # A server may count the words only; what it answers tells.
            before = self._try(lambda: self._ask(1, fields=LETTER_FIELDS))
            if before is not None and before.tokens:
                self._judge_content()
        if self._report.hears != "no":
            self._measure_lengths()
            self._score()
        return self._with(n_before)

    def _with(self, n_before: int, **found: Any) -> CheckReport:
        n_requests = self._client.meter.total.n_requests - n_before
        self._report = replace(self._report, n_requests=n_requests, **found)
        return self._report

    # --- how many ------------------------------------------------------------------------

    def _count(self) -> list[Reply | None]:
        """Send none to three recordings with the same words; find the form, and the limit.

        Returns:
            A reply for each number, from none on; ``None`` for none where it is refused.
        """
        found = [self._find_form()]
        for n in range(1, _MOST_TRIED + 1):
            try:
                found.append(self._ask(n))
            except AudioCapError as error:
                if n == 1:
                    raise NoAudioError(str(error)) from None
                self._report = replace(self._report, max_audios=min(error.most, n - 1))
                break
            except (RefusedError, AudioFormError, PromptError) as error:
                if n == 1:
                    raise NoAudioError(str(error)) from None
                self._report = replace(self._report, max_audios=n - 1)
                break
        return found

    def _find_form(self) -> Reply | None:
        """Find the form in which a recording is taken, then ask without any.

        Some templates know no system, and some models refuse a prompt without a recording.
        """
        refusal: Exception | None = None
        for form, system_text in product(_FORMS, (True, False)):
            self._report = replace(self._report, form=form, system_text=system_text)
            try:
                self._ask(1)
            except (AudioFormError, RefusedError) as error:
                refusal = error
                continue
            except PromptError as error:
                raise NoAudioError(str(error)) from None
            return self._try(lambda: self._ask(0))
        raise NoAudioError(str(refusal))

    def _judge_counts(self, counts: Sequence[Reply | None]) -> None:
        """Judge by counts of tokens whether recordings are heard, and how many."""
        known = [reply for reply in counts if reply is not None]
        tokens = [reply.prompt_tokens or 0 for reply in known]
        if not all(tokens):
            reason = "the server counts no tokens"
            self._report = replace(self._report, hears="unverified", reason=reason)
            return
        told = " -> ".join(map(str, tokens))
        heard = [
            (after.prompt_tokens or 0) > (before.prompt_tokens or 0)
            or after.audio_tokens > before.audio_tokens
            for before, after in pairwise(known)
        ]
        if counts[0] is None:
            # Without a count of the words alone, the first recording shows in tokens of audio only.
            several = any(heard)
            heard.insert(0, several or known[0].audio_tokens > 0)
            if not heard[0]:
                reason = f"a second recording adds no token ({told}), and none is refused"
                self._report = replace(
                    self._report, hears="unverified", max_audios=1, reason=reason
                )
                return
        if all(heard):
            reason = f"each recording adds tokens ({told})"
            self._report = replace(self._report, hears="verified", reason=reason)
        elif heard[0]:
            n = heard.index(False)
            some = counted(n, "recording")
            reason = f"only {some} of several adds tokens ({told}): others are dropped"
            self._report = replace(self._report, hears="verified", max_audios=n, reason=reason)
        else:
            reason = f"recordings add no token ({told}): the server drops them without a word"
            self._report = replace(self._report, hears="no", reason=reason)

    # --- how long ------------------------------------------------------------------------

    def _measure_lengths(self) -> None:
        """Find what a second takes, and whether long recordings are cut."""
        found: list[int] = []
        for seconds in _LENGTHS_S:
            try:
                reply = self._ask(1, seconds=seconds)
            except (RefusedError, PromptError):
                most = _LENGTHS_S[len(found) - 1] if found else _LENGTHS_S[0]
                self._report = replace(self._report, max_seconds=max(most, _LENGTHS_S[0]))
                break
            if reply.prompt_tokens is None:
                return
            found.append(reply.prompt_tokens)
        if len(found) < len(_LENGTHS_S) - 1:
            return
        one_s, longer_s = found[:2]
        if longer_s <= one_s:
            return  # a fixed number a recording says nothing of its length
        is_cut = len(found) == len(_LENGTHS_S) and found[2] == longer_s
        heard_s = _CUT_S if is_cut else _LENGTHS_S[1]
        per_second = (longer_s - one_s) / (heard_s - _LENGTHS_S[0])
        self._report = replace(
            self._report,
            tokens_per_second=round(per_second, 3),
            max_seconds=min(self._report.max_seconds, _CUT_S if is_cut else _LONG_S),
        )

    # --- how it scores -------------------------------------------------------------------

    def _score(self) -> None:
        """Find the most telling way to score, and whether another noise changes an answer."""
        scoring: Scoring = "text"
        if self._chooses():
            scoring = "choice"
        before = self._try(lambda: self._ask(1, fields=LETTER_FIELDS))
        if before is not None and before.tokens and before.tokens[0].others:
            scoring = "first-token"
            self._judge_content()
        if self._report.server == "vLLM" and self._tells_prompt():
            scoring = "exact"
        self._report = replace(self._report, scoring=scoring)

    def _chooses(self) -> bool:
        fields = choice_fields(self._report.server, [_UNLIKELY])
        reply = self._try(lambda: self._ask(1, fields=fields))
        return reply is not None and chosen_text(reply.text) == _UNLIKELY

    def _tells_prompt(self) -> bool:
        def ask() -> bool:
            messages = [*self._messages(1), {"role": "assistant", "content": "noise"}]
            reply = self._send(messages, EXACT_FIELDS, has_audio=True)
            return len(exact_scores(reply, "noise")) > 1

        return bool(self._try(ask))

    def _judge_content(self) -> None:
        """Compare answers to another noise with repeated ones to the same."""
        n = 2 if self._report.max_audios > 1 else 1
        same = [self._try(lambda: self._ask(n, fields=LETTER_FIELDS)) for _ in range(_REPEATS)]
        other = self._try(lambda: self._ask(n, fields=LETTER_FIELDS, first_seed=99))
        known = [reply for reply in same if reply is not None and reply.tokens]
        if other is None or not other.tokens or not known:
            return
        floor = max((_distance(known[0], reply) for reply in known[1:]), default=0.0)
        changed = _distance(known[0], other)
        if changed > max(floor, _LEAST_NOISE):
            also = " and another recording changes the answer's probabilities"
            reason = self._report.reason + also if self._report.hears == "verified" else also[5:]
            self._report = replace(self._report, hears="verified", reason=reason)
        elif self._report.hears == "verified":
            reason = (
                f"{self._report.reason}, but another recording changes no probability of an answer"
            )
            self._report = replace(self._report, hears="unverified", reason=reason)

    # --- requests ------------------------------------------------------------------------

    def _try(self, ask: Callable[[], Found]) -> Found | None:
        """Return an answer; ``None`` where the server refuses, as it does not know a field."""
        try:
            return ask()
        except (RefusedError, ServerFailedError, UntoldError, PromptError):
            return None

    def _ask(
        self,
        n: int,
        *,
        seconds: float = 1.0,
        fields: Any = None,
        first_seed: int = 0,
    ) -> Reply:
        messages = self._messages(n, seconds=seconds, first_seed=first_seed)
        return self._send(messages, fields or {"max_completion_tokens": 1, "temperature": 0}, n > 0)

    def _send(self, messages: Sequence[Any], fields: Any, has_audio: bool) -> Reply:
        fields = limited(fields, self._report.server)
        request = Request(messages=messages, fields=fields, has_audio=has_audio)
        return self._client.complete(request, may_keep=False)

    def _messages(self, n: int, *, seconds: float = 1.0, first_seed: int = 0) -> list[Any]:
        """Return the same turns, of which the last ``n`` have a recording."""
        layout = Layout(form=self._report.form)
        turns: list[Any] = []
        if self._report.system_text:
            turns.append({"role": "system", "content": "Listen to the recordings."})
        for turn in range(_MOST_TRIED):
            audio = []
            if turn >= _MOST_TRIED - n:
                is_first = turn == _MOST_TRIED - n
                clip = noise(seconds, seed=first_seed if is_first and first_seed else turn + 1)
                audio = [audio_part(ClipRef(audio=clip), layout)]
            turns.append({"role": "user", "content": [*audio, _text(_QUESTION)]})
            if turn < _MOST_TRIED - 1:
                turns.append({"role": "assistant", "content": "Yes"})
        return turns


def noise(seconds: float, *, seed: int) -> Clip:
    """Return noise, the same for the same seed."""
    random = np.random.default_rng(seed)
    samples = 0.1 * random.standard_normal(round(seconds * SAMPLE_RATE))
    # Coloured by the seed, so that two of them are heard as different.
    smoothed = np.convolve(samples, np.ones(seed) / math.sqrt(seed), mode="same")
    return Clip(samples=smoothed.astype(np.float32), sample_rate=SAMPLE_RATE, source="noise")


def _text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


def _distance(one: Reply, other: Reply) -> float:
    """Return how far two first tokens' probabilities differ: the largest difference of any."""
    mine, theirs = (
        {token: math.exp(found) for token, found in reply.tokens[0].others.items()}
        for reply in (one, other)
    )
    return max(
        (abs(mine.get(token, 0.0) - theirs.get(token, 0.0)) for token in {*mine, *theirs}),
        default=0.0,
    )
