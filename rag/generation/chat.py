"""Chat: a conversation with a language model about one recording."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from earful.errors import PromptError, PromptTooLargeError
from earful.index.search import Hit
from earful.model import GenerationOptions, LanguageModel, Prompt, ShotMode
from earful.rag.answer import Answer, log_answer
from earful.rag.generation.prompt import (
    FittedPrompt,
    Turn,
    arrange_shots,
    build_dialogue,
    fit_prompt,
)
from earful.rag.generation.request import generation_notes, to_answer
from earful.rag.montage import choose_shot_mode, most_shots
from earful.rag.retrieval import Query, Stopwatch
from earful.rag.task import Order
from earful.values import repr_of

_AGAIN = GenerationOptions(temperature=1.0, top_k=50, top_p=0.95)
"""Sampling of a second answer, as the release of Audio Flamingo's chat model samples."""


class Chat:
    """A conversation about a recording; ``FewShot.chat`` begins one.

    What does not fit the model is left out by whole shots, the farthest first, then by
    whole rounds, the oldest first, and the answer says so. Nothing is forgotten here:
    ``turns`` holds the whole conversation.

    >>> import earful
    >>> from earful.model import ScriptedLanguageModel
    >>> model = ScriptedLanguageModel(replies=["a siren", "far away"])
    >>> chat = earful.FewShot.open("sounds.index", model=model).chat("street.wav")
    >>> chat.ask("What is it?").text, chat.ask("Where?").text
    ('a siren', 'far away')
    >>> chat
    Chat(audio='street.wav', model='scripted', rounds=2)

    Attributes:
        turns: Rounds so far, each with its answer.
        answers: The same as answers, with evidence and notes.
    """

    def __init__(
        self,
        *,
        model: LanguageModel,
        query: Query,
        hits: tuple[Hit, ...] = (),
        order: Order = "nearest-last",
        shot_mode: ShotMode | None = None,
        options: GenerationOptions = GenerationOptions(),
        seed: int = 0,
        notes: tuple[str, ...] = (),
        free_text: bool = False,
    ) -> None:
        if not model.capabilities.multi_turn:
            raise PromptError(
                f"{model.capabilities.name} takes one question at a time; use ask, or a model for "
                "dialogue such as 'audio-flamingo-chat'"
            )
        if not (model.capabilities.writes_captions or free_text):
            raise PromptError(
                f"{model.capabilities.name} is too small to write an answer of its own, and so to "
                "hold a conversation; use ask, which answers its questions from exemplars, or give "
                "a larger model (--model, in Python model=), such as 'audio-flamingo-chat'"
            )
        self._model = model
        self._query = query
        self._hits = hits
        self._order: Order = order
        self._shot_mode = shot_mode
        self._options = options
        self._seed = seed
        self._notes = notes
        self._n_again = 0
        self.turns: tuple[Turn, ...] = ()
        self.answers: tuple[Answer, ...] = ()

    def __repr__(self) -> str:
        name = self._model.capabilities.name
        return repr_of(self, audio=self._query.name, model=name, rounds=len(self.turns))

    def ask(self, question: str, *, on_text: Callable[[str], None] | None = None) -> Answer:
        """Ask the next question; the conversation so far is the model's to see.

        Args:
            question: What to ask.
            on_text: Called with each new piece of the answer as it is written.

        Raises:
            PromptError: The question is empty, or does not fit the model by itself.
            AudioError: The recording cannot be read.
        """
        self._n_again = 0
        return self._take(self.turns, self.answers, question, self._options, on_text)

    def again(self, *, on_text: Callable[[str], None] | None = None) -> Answer:
        """Ask the last question once more, drawing another answer, which replaces the last.

        Raises:
            PromptError: Nothing has been asked yet.
        """
        if not self.turns:
            raise PromptError("nothing has been asked yet; ask a question first")
        self._n_again += 1
        options = self._options if self._options.temperature else _AGAIN
        options = replace(
            options,
            seed=self._options.seed + self._n_again,
            max_new_tokens=self._options.max_new_tokens,
            stop=self._options.stop,
            stop_repetition=self._options.stop_repetition,
        )
        last = self.turns[-1].user
        return self._take(self.turns[:-1], self.answers[:-1], last, options, on_text)

    def to_dict(self) -> dict[str, object]:
        """Return the conversation as plain JSON values."""
        return {
            "audio": self._query.name,
            "model": self._model.capabilities.name,
            "turns": [
                {"user": turn.user, "assistant": turn.assistant, "answer": answer.to_dict()}
                for turn, answer in zip(self.turns, self.answers, strict=True)
            ],
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the conversation as JSON; an existing file is not overwritten.

        Raises:
            PromptError: The file exists, or cannot be written.
        """
        try:
            with open(path, "x", encoding="utf-8") as file:
                json.dump(self.to_dict(), file, ensure_ascii=False, indent=1)
                file.write("\n")
        except FileExistsError:
            raise PromptError(f"{path} exists and is not overwritten; choose another") from None
        except OSError as error:
            raise PromptError(f"{path}: cannot be written ({error.strerror})") from error

    def _take(
        self,
        turns: tuple[Turn, ...],
        answers: tuple[Answer, ...],
        question: str,
        options: GenerationOptions,
        on_text: Callable[[str], None] | None,
    ) -> Answer:
        watch = Stopwatch()
        with watch.stage("generate_s"):
            while True:
                limits = self._model.capabilities
                fitted, notes = self._fit(turns, question)
                try:
                    generation = self._model.generate(fitted.prompt, options, on_text=on_text)
                    break
                except PromptTooLargeError:
                    if self._model.capabilities == limits:
                        if not self._hits:
                            raise
                        # The next answers are spared a refusal, too.
                        self._hits = self._hits[: len(self._hits) // 2]
                        self._notes += (
                            f"the server of {limits.name} takes less, so at most "
                            f"{len(self._hits)} shots are shown",
                        )
        answer = to_answer(
            self._model,
            self._query,
            generation.text,
            generation.confidence,
            fitted,
            watch,
            notes=(*self._notes, *notes, *generation_notes(generation)),
        )
        self.turns = (*turns, Turn(user=question, assistant=generation.text))
        self.answers = (*answers, answer)
        return log_answer(answer)

    def _fit(self, turns: tuple[Turn, ...], question: str) -> tuple[FittedPrompt, tuple[str, ...]]:
        """Leave out shots first, then rounds from the beginning."""
        n_dropped = 0
        most = None
        if self._hits and choose_shot_mode(self._shot_mode, self._model.capabilities) == "montage":
            most = most_shots(self._query.reference, self._model.capabilities)
        while True:
            kept = (*turns[n_dropped:], Turn(user=question))
            try:
                fitted = fit_prompt(self._model, partial(self._build, kept), self._hits, most=most)
                break
            except PromptError:
                if n_dropped == len(turns):
                    raise
                n_dropped += 1
        if not n_dropped:
            return fitted, ()
        limits = self._model.capabilities
        return fitted, (
            f"the first {n_dropped} of {len(turns)} rounds were left out; "
            f"{limits.name} takes {limits.max_text_tokens} tokens",
        )

    def _build(self, turns: tuple[Turn, ...], shown: Sequence[Hit]) -> Prompt:
        return build_dialogue(
            self._query.reference,
            turns,
            shots=arrange_shots(shown, self._order, seed=self._seed),
            shot_mode=choose_shot_mode(self._shot_mode, self._model.capabilities),
            limits=self._model.capabilities,
            wording=self._model.capabilities.wording,
        )


def read_turns(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Read questions from a file, one a line; blank lines and lines from ``#`` on are not asked.

    Raises:
        PromptError: The file cannot be read or holds no question.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError as error:
        raise PromptError(f"{path}: no such file; expected a text file of questions") from error
    except OSError as error:
        raise PromptError(
            f"{path}: cannot be read ({error.strerror}); expected a text file of questions"
        ) from error
    except UnicodeDecodeError as error:
        raise PromptError(f"{path}: cannot be read as UTF-8 text ({error})") from error
    questions = tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    if not questions:
        raise PromptError(f"{path}: holds no question; expected one a line")
    return questions
