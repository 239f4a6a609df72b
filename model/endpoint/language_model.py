"""A language model behind an endpoint, as a ``LanguageModel`` that may choose without scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from earful.errors import AudioError, EndpointError, ModelError, UnknownNameError
from earful.model.audio import BY_TIMES, Clip
from earful.model.capabilities import Capabilities
from earful.model.chat import Choice, RequestReport, control_strings_in
from earful.model.endpoint.canary import MANY_AUDIOS, Canary, CheckReport
from earful.model.endpoint.client import EndpointClient, Request
from earful.model.endpoint.faults import AudioCapError, NoAudioError
from earful.model.endpoint.kept import DAY_S, KeptFolder, checks_home, digest_of
from earful.model.endpoint.messages import (
    SAMPLE_RATE,
    Layout,
    Message,
    texts_of,
    to_messages,
    without_system,
)
from earful.model.endpoint.scoring import (
    EXACT_FIELDS,
    LETTER_FIELDS,
    LETTER_QUESTION,
    TEXT_FIELDS,
    TEXT_QUESTION,
    TOP_LOGPROBS,
    Reply,
    Server,
    VisibleText,
    check_answers,
    choice_fields,
    chosen_text,
    deal_letters,
    exact_scores,
    letter_scores,
    limited,
    parse_answer,
    server_of,
)
from earful.model.endpoint.settings import HEARING_SCORINGS, EndpointSettings
from earful.model.prompt import Prompt
from earful.model.protocols import Generation, GenerationOptions, PromptSize
from earful.model.repetition import find_repetition, trim_separators
from earful.values import repr_of
from earful.wording import counted, unknown_name

PREFIX: Final = "openai:"
"""Begins the name of a language model behind an endpoint."""

_CHARACTERS_A_TOKEN: Final = 3.0
_TOKENS_A_TURN: Final = 8
_UNKNOWN_CONTEXT: Final = 128_000
_TOLERANCE_S: Final = 0.05
_WINDOW_S: Final = 5.0


class EndpointLanguageModel:
    """A language model behind an endpoint.

    Nothing is sent before it is asked, or checked. The first of these checks whether recordings
    reach it, and what it takes, unless that is known of the last day.

    Args:
        name: Name of the model there; empty for the only one.
        settings: Where the endpoint is, and how it is asked.
    """

    def __init__(self, name: str, settings: EndpointSettings = EndpointSettings()) -> None:
        self._client = EndpointClient(settings)
        self._settings = settings
        self._wanted = name
        self._check: CheckReport | None = None
        self._capabilities = Capabilities(
            name=f"{PREFIX}{name}",
            max_audios=MANY_AUDIOS,
            max_seconds_per_audio=math.inf,
            max_text_tokens=_UNKNOWN_CONTEXT,
            scoring=settings.scoring or "text",
            multi_turn=True,
            batch_safe=False,
            sample_rate=SAMPLE_RATE,
            window_seconds=_WINDOW_S,
            shot_modes=("interleaved", "montage", "text"),
            hears="unverified",
        )

    def __repr__(self) -> str:
        return repr_of(self, name=self._capabilities.name, host=self._client.host)

    @property
    def capabilities(self) -> Capabilities:
        """Limits and abilities, as far as they are known; all of them after a check."""
        return self._capabilities

    # --- checks ------------------------------------------------------------------------

    def check_hearing(self) -> None:
        """Check whether recordings reach the model, unless that is known; see ``ChecksHearing``.

        Raises:
            EndpointError: It cannot be asked, or recordings are dropped on the way to it.
        """
        if self._check is None:
            self.check()
        self._refuse_deaf()

    def check(self, *, anew: bool = False) -> CheckReport:
        """Check what the model hears and takes.

        Args:
            anew: Whether to check it although it was checked within a day.

        Raises:
            EndpointError: It cannot be asked at all.
            UnknownNameError: It is not served there.
        """
        entry = self._served()
        client = self._client
        client.model = str(entry["id"])
        server = server_of(entry, client.host)
        max_tokens = int(entry.get("max_model_len") or _context_of(entry))
        known = KeptFolder(checks_home(), believed_s=DAY_S)
        told = {name: entry[name] for name in sorted(entry) if name != "created"}
        identity = digest_of(
            client.address, client.model, server, told, dict(self._settings.fields), *self._kind
        )
        found = None if anew else CheckReport.from_dict(known.get(identity))
        if found is None:
            found = self._probe(server, max_tokens)
            known.put(identity, found.to_dict())
        self._check = found
        self._apply(found, identity)
        return found

    # What a check is of, beside the model and its server.
    _kind: tuple[str, ...] = ()

    def _probe(self, server: Server, max_tokens: int) -> CheckReport:
        """Find out what the model hears and takes."""
        return Canary(self._client, server, max_tokens).run()

    def _served(self) -> dict[str, Any]:
        """Return what the server says of the model.

        Raises:
            UnknownNameError: It is not served there, or none was named of several.
        """
        served = self._client.models()
        if served is None:
            if not self._wanted:
                raise UnknownNameError(
                    f"{self._client.host} lists no models; name the model: {PREFIX}NAME"
                )
            return {"id": self._wanted}
        by_name = {str(entry.get("id")): entry for entry in served}
        if self._wanted:
            if self._wanted not in by_name:
                raise UnknownNameError(
                    f"{self._client.host}: {unknown_name('model', self._wanted, tuple(by_name))}"
                )
            return by_name[self._wanted]
        if len(by_name) != 1:
            raise UnknownNameError(
                f"{self._client.host} serves {', '.join(sorted(by_name)) or 'no model'}; name one: "
                f"{PREFIX}NAME"
            )
        return served[0]

    def _apply(self, found: CheckReport, identity: str) -> None:
        scoring = self._settings.scoring or found.scoring
        able = HEARING_SCORINGS[HEARING_SCORINGS.index(found.scoring) :]
        if scoring not in able:
            raise EndpointError(
                f"{PREFIX}{found.model} at {self._client.host} cannot score by {scoring!r}: "
                f"expected {' or '.join(able)}; leave --scoring out"
            )
        self._capabilities = replace(
            self._capabilities,
            name=f"{PREFIX}{found.model}",
            # Nothing is known of its weights; what serves it stands for them.
            weights_sha256=identity,
            max_audios=max(found.max_audios, 1),
            max_seconds_per_audio=found.max_seconds,
            max_text_tokens=found.max_tokens or _UNKNOWN_CONTEXT,
            scoring=scoring,
            max_answers=None if scoring == "exact" else TOP_LOGPROBS,
            lists_labels=scoring != "first-token",
            system_text=found.system_text,
            hears=found.hears,
        )

    def _refuse_deaf(self) -> None:
        if self._check is not None and self._check.hears == "no":
            raise EndpointError(
                f"{self._capabilities.name} at {self._client.host} hears no recording: "
                f"{self._check.reason}; serve a model that takes audio, or see "
                "docs/endpoints.md (Does it listen?)"
            )

    # --- LanguageModel -----------------------------------------------------------------

    def measure(self, prompt: Prompt) -> PromptSize:
        """Measure a prompt, roughly: only the server knows its tokens; see ``LanguageModel``."""
        limits, check = self._capabilities, self._check
        words = sum(len(text.encode()) / _CHARACTERS_A_TOKEN for text in texts_of(prompt))
        n_tokens = words + _TOKENS_A_TURN * len(prompt.parts)
        cut: list[str] = []
        for place in prompt.clips:
            try:
                found_s = place.length_s()
            except AudioError:
                continue  # reading it raises the error
            heard_s = min(found_s, limits.max_seconds_per_audio)
            n_tokens += heard_s * (check.tokens_per_second if check is not None else 0.0)
            if found_s > limits.max_seconds_per_audio + _TOLERANCE_S:
                line = f"{place}: the language model hears only the first {heard_s:g} s of "
                line += f"{found_s:.2f} s"
                if not place.is_exemplar and not isinstance(place.audio, Clip):
                    line += f"; ask about another part {BY_TIMES}"
                cut.append(line)
        found = [mark for text in texts_of(prompt) for mark in control_strings_in(text)]
        if found:
            marks = ", ".join(map(repr, dict.fromkeys(found)))
            cut.append(
                f"texts hold {marks}, which a template may read as a command: a space is "
                "put into it"
            )
        return PromptSize(n_tokens=math.ceil(n_tokens), slots=prompt.n_clips, cut=tuple(cut))

    def score(self, prompt: Prompt, answers: Sequence[str]) -> list[NDArray[np.float64]]:
        """Score answers by log-probabilities; see ``LanguageModel``.

        Raises:
            ModelError: The endpoint tells none, or cannot be asked.
        """
        self.check_hearing()
        check_answers(answers)
        scoring = self._capabilities.scoring
        if scoring == "exact":
            return self._score_exactly(prompt, answers)
        if scoring == "first-token":
            return self._score_letters(prompt, answers)
        raise ModelError(
            f"{self._capabilities.name} gives no log-probabilities, so it cannot score answers; "
            "let it choose one"
        )

    def _score_exactly(self, prompt: Prompt, answers: Sequence[str]) -> list[NDArray[np.float64]]:
        messages = self._messages(prompt, Layout())

        def ask(answer: str) -> NDArray[np.float64]:
            turns = [*messages, {"role": "assistant", "content": answer}]
            return exact_scores(self._ask(turns, EXACT_FIELDS), answer)

        return self._client.each(ask, answers)

    def _score_letters(self, prompt: Prompt, answers: Sequence[str]) -> list[NDArray[np.float64]]:
        dealt = deal_letters(answers)
        asked = [
            self._messages(
                prompt,
                Layout(
                    system_end=letters.listing,
                    question_end=LETTER_QUESTION,
                    answer=letters.show,
                ),
            )
            for letters in dealt
        ]
        replies = self._client.each(lambda turns: self._ask(turns, LETTER_FIELDS), asked)
        tokens = [reply.tokens[0] for reply in replies if reply.tokens]
        if len(tokens) < len(dealt):
            raise EndpointError(
                f"{self._capabilities.name} at {self._client.host} told no log-probability this "
                "time; ask for a choice: --scoring choice"
            )
        scores, notes = letter_scores(dealt, tokens)
        for note in notes:
            self._client.meter.note(note)
        return [np.array([score]) for score in scores]

    def choose(
        self, prompt: Prompt, answers: Sequence[str], *, aliases: Sequence[Sequence[str]] = ()
    ) -> Choice:
        """Choose one of some answers; see ``ChoosesAnswers``."""
        self.check_hearing()
        check_answers(answers)
        question = TEXT_QUESTION + "; ".join(answers)
        messages = self._messages(prompt, Layout(question_end=question))
        fields: Any = TEXT_FIELDS
        if self._capabilities.scoring != "text":
            fields = choice_fields(self._server, answers)
        text = chosen_text(self._ask(messages, fields).text)
        # What was constrained is looked at all the same: a server may ignore what it does not know.
        return Choice(row=parse_answer(text, answers, aliases), text=text)

    def generate(
        self,
        prompt: Prompt,
        options: GenerationOptions = GenerationOptions(),
        *,
        on_text: Callable[[str], None] | None = None,
    ) -> Generation:
        """Write an answer; see ``LanguageModel``.

        What a repetition cuts off in the end may have been handed to ``on_text``.
        """
        self.check_hearing()
        messages = self._messages(prompt, Layout())
        fields = self._writing_fields(options)
        if on_text is None:
            reply = self._ask(messages, fields)
        else:
            written = VisibleText(options, on_text)
            request = self._request(messages, fields)
            reply = self._guarded(lambda: self._client.stream(request, written.add))
        text = options.cut(reply.text)
        stopped = "length" if reply.finish == "length" and text == reply.text else "end"
        text = text.strip()
        words = text.split()
        if options.stop_repetition and (n_kept := find_repetition(words)) is not None:
            text, stopped = trim_separators(" ".join(words[:n_kept])), "repetition"
        if on_text is not None:
            written.finish(text)
        return Generation(
            text=text,
            n_tokens=reply.completion_tokens or len(words),
            stopped=stopped,
            log_probability=reply.log_probability,
        )

    # --- ReportsRequests ---------------------------------------------------------------

    def take_report(self) -> RequestReport:
        """Return the report on all requests since it was last taken; see ``ReportsRequests``."""
        report = self._client.meter.take()
        again = report.n_posts - report.n_requests
        if report.n_requests and again > 0:
            note = f"{counted(again, 'request')} had to be repeated, and each may be billed"
            report = replace(report, notes=(*report.notes, note))
        return report

    @property
    def total(self) -> RequestReport:
        """The report on all requests so far."""
        return self._client.meter.total

    # --- requests ----------------------------------------------------------------------

    @property
    def _server(self) -> Server:
        return self._check.server if self._check is not None else "unknown"

    def _messages(self, prompt: Prompt, layout: Layout) -> list[Message]:
        found = self._check
        if found is not None:
            layout = replace(layout, form=found.form, max_seconds=found.max_seconds)
        messages = to_messages(prompt, layout)
        return messages if self._capabilities.system_text else without_system(messages)

    def _request(self, messages: Sequence[Message], fields: Any) -> Request:
        has_audio = any(
            part["type"] != "text"
            for message in messages
            if not isinstance(message["content"], str)
            for part in message["content"]
        )
        return Request(messages=messages, fields=limited(fields, self._server), has_audio=has_audio)

    def _ask(self, messages: Sequence[Message], fields: Any) -> Reply:
        request = self._request(messages, fields)
        return self._guarded(lambda: self._client.complete(request))

    def _guarded(self, ask: Callable[[], Reply]) -> Reply:
        """Ask, and learn from a refusal how many recordings the server takes."""
        try:
            return ask()
        except AudioCapError as error:
            most = max(error.most, 1)
            self._capabilities = replace(self._capabilities, max_audios=most)
            raise
        except NoAudioError:
            self._capabilities = replace(self._capabilities, hears="no")
            raise

    def _writing_fields(self, options: GenerationOptions) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "max_completion_tokens": options.max_new_tokens,
            "temperature": options.temperature,
            "seed": options.seed,
        }
        if options.temperature:
            fields["top_p"] = options.top_p
            if options.top_k and self._server != "OpenAI":
                fields["top_k"] = options.top_k
        if options.stop:
            fields["stop"] = list(options.stop)
        if self._check is not None and self._check.scoring in ("exact", "first-token"):
            fields["logprobs"] = True
        return fields


def _context_of(entry: Any) -> int:
    """Return the longest prompt that llama.cpp says in ``meta``; 0 when unknown."""
    meta = entry.get("meta")
    return int(meta.get("n_ctx") or 0) if isinstance(meta, dict) else 0
