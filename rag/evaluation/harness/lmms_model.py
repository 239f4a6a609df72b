"""The model ``earful`` of lmms-eval: its requests answered by the adapter.

``EarfulModel`` is made when lmms-eval asks for it, as its base class is lmms-eval's. Written for
lmms-eval 0.7.3, whose ``loglikelihood`` wants a loss, whatever its docstring says: its
multiple-choice tasks take the smallest (findings/lmms-eval-0.7.3-takes-the-least-likely-choice.sh).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from earful.errors import EvaluationError
from earful.model import DEFAULT_MODEL
from earful.rag.evaluation.harness.adapter import FewShotAdapter, options_of
from earful.wording import counted, unknown_name

_ARGUMENTS = ("model", "index", "shots", "strategy", "shot_mode", "device")
# Given by lmms-eval itself; answers come one by one in any case.
_OF_HARNESS = ("batch_size", "max_batch_size")


class LmmsRequests:
    """Answers to lmms-eval's requests, without its classes.

    Args:
        adapter: Answers single questions.
        tasks: Name of a task to its splits, each a sequence of documents; lmms-eval fills it.
        warn: Called with what a reader of the results should know.
    """

    def __init__(
        self, adapter: FewShotAdapter, tasks: Mapping[str, Any], warn: Callable[[str], object]
    ) -> None:
        self._adapter = adapter
        self._tasks = tasks
        self._warn = warn

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """Answer each request in words.

        Args:
            requests: Each with ``args`` of context, generation options, function of a document's
                recordings, document's number, task and split.

        Raises:
            EvaluationError: A document has no recording, or several.
        """
        answers = []
        for request in requests:
            context, given, recordings_of, number, task, split = request.args
            audio = self._audio(recordings_of, task, split, number)
            answers.append(self._adapter.write(audio, context, options_of(given)))
        self._tell_leaks()
        return answers

    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
        """Score continuations, those of one document and context in one pass.

        Args:
            requests: Each with ``args`` of context, continuation, function of a document's
                recordings, document's number, task and split.

        Returns:
            For each request the negative log-probability, in nats, and whether it is the greedy
            answer: of several continuations whether it is the most probable of them, of one alone
            whether the model writes it.

        Raises:
            EvaluationError: As ``generate_until``, or a request has no document.
        """
        together: dict[tuple[str, str, int, str], list[int]] = {}
        for position, request in enumerate(requests):
            if len(request.args) != 6:
                raise EvaluationError(
                    "a continuation without a document is asked for, which acc_mutual_info does: "
                    "expected a recording to listen to; leave that metric out"
                )
            context, _, _, number, task, split = request.args
            together.setdefault((task, split, number, context), []).append(position)
        found: dict[int, tuple[float, bool]] = {}
        for (task, split, number, context), positions in together.items():
            choices = [requests[position].args[1] for position in positions]
            audio = self._audio(requests[positions[0]].args[2], task, split, number)
            scores = self._adapter.score(audio, context, choices)
            for position, choice, score in zip(positions, choices, scores, strict=True):
                is_greedy = score == max(scores)
                if len(positions) == 1:
                    is_greedy = self._adapter.would_write(audio, context, choice)
                found[position] = -score, is_greedy
        self._tell_leaks()
        return [found[position] for position in range(len(requests))]

    def _tell_leaks(self) -> None:
        for line in self._adapter.leaks():
            self._warn(line)

    def _audio(self, recordings_of: Any, task: str, split: str, number: int) -> Any:
        """Return the one recording of a document, as samples and their rate."""
        recordings = list(recordings_of(self._tasks[task][split][number]) or ())
        if len(recordings) != 1:
            raise EvaluationError(
                f"task {task!r}, document {number} of {split!r} has "
                f"{counted(len(recordings), 'recording')}: expected 1"
            )
        (audio,) = recordings
        try:
            # What decodes lazily has these two as well, and is no dictionary.
            return audio["array"], int(audio["sampling_rate"])
        except (TypeError, KeyError, IndexError) as error:
            raise EvaluationError(
                f"task {task!r}, document {number} of {split!r}: expected a recording with array "
                f"and sampling_rate, got {type(audio).__name__}"
            ) from error


def check_arguments(given: Mapping[str, object]) -> dict[str, Any]:
    """Return the arguments of the adapter among lmms-eval's ``--model_args``.

    Raises:
        EvaluationError: One is unknown.
    """
    for name in given:
        if name not in (*_ARGUMENTS, *_OF_HARNESS):
            raise EvaluationError(unknown_name("model argument", name, _ARGUMENTS))
    return {name: value for name, value in given.items() if name in _ARGUMENTS}


@cache
def _model_class() -> type:
    from lmms_eval.api.instance import GenerationResult
    from lmms_eval.api.model import lmms
    from loguru import logger

    class EarfulModel(lmms):  # type: ignore[misc]
        """Any language model that earful knows, with retrieved exemplars."""

        is_simple = True

        def __init__(self, **given: Any) -> None:
            super().__init__()
            arguments = {"model": DEFAULT_MODEL, **check_arguments(given)}
            if "shots" not in arguments and not arguments.get("index"):
                arguments["shots"] = 0
            self._adapter = FewShotAdapter.open(**arguments)

        @property
        def _requests(self) -> LmmsRequests:
            return LmmsRequests(self._adapter, self.task_dict, logger.warning)

        def generate_until(self, requests: Any) -> list[str]:
            return self._requests.generate_until(requests)

        def loglikelihood(self, requests: Any) -> list[Any]:
            # A bare pair becomes a text on the way: lmms-eval takes it for a written answer.
            return [GenerationResult(text=pair) for pair in self._requests.loglikelihood(requests)]

        def generate_until_multi_round(self, requests: Any) -> list[str]:
            raise NotImplementedError(
                "earful answers one question about a recording; choose a task of generate_until or "
                "multiple_choice"
            )

    EarfulModel.__module__ = __name__
    EarfulModel.__qualname__ = "EarfulModel"
    return EarfulModel


def __getattr__(name: str) -> Any:
    if name == "EarfulModel":
        return _model_class()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
