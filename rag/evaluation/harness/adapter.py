"""Adapter of few-shot prompting to a harness: a recording, a text and choices become answers.

A harness brings question and options in one text, and knows nothing of exemplars. So shots are
found here, by the document's own recording, and never are the document's own recording.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from earful.errors import AudioError, EvaluationError
from earful.model import GenerationOptions, LanguageModel, Prompt, ShotMode, load_language_model
from earful.rag.few_shot import FewShot
from earful.rag.retrieval import AskOptions, Audio, Query, read_in_batches, to_recording
from earful.rag.strategies import STRATEGIES
from earful.rag.task import ASK, SHOT_MODES
from earful.wording import counted, unknown_name

# From here on two recordings may be one at another rate, whose digests differ.
_NEAR = 0.99


class FewShotAdapter:
    """Few-shot answers to a harness's questions.

    Args:
        model: The language model.
        few: Finds exemplars; ``None`` to ask without any.
        shots: Exemplars beside each recording, at most.
        strategy: How they are chosen; empty for the nearest.
        shot_mode: How they are shown; ``None`` for the way that suits the model best.
    """

    def __init__(
        self,
        model: LanguageModel,
        few: FewShot | None = None,
        *,
        shots: int = 4,
        strategy: str = "",
        shot_mode: ShotMode | None = None,
    ) -> None:
        self._model = model
        has_shots = few is not None and shots > 0
        retriever = few.retriever if few is not None and has_shots else None
        self._few = FewShot(retriever=retriever, model=model) if retriever else FewShot(model=model)
        self._ask = AskOptions(shots=shots if has_shots else 0)
        if strategy and has_shots:
            self._ask["strategy"] = strategy
        if shot_mode is not None:
            self._ask["shot_mode"] = shot_mode
        index = None if few is None or not has_shots else few.index
        self._contents = frozenset(() if index is None else index.vectors().content)
        self._in_index: set[str] = set()
        self._near: set[str] = set()

    @classmethod
    def open(
        cls,
        model: str,
        *,
        index: str = "",
        shots: int = 4,
        strategy: str = "",
        shot_mode: str = "auto",
        device: str = "auto",
    ) -> FewShotAdapter:
        """Load a language model and open an index, as a harness's arguments name them.

        Args:
            model: Name or folder.
            index: Index folder; empty to ask without exemplars.
            shots: As above; 0 to ask without exemplars.
            strategy: As above.
            shot_mode: As above, or ``"auto"``.
            device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.

        Raises:
            EvaluationError: An argument is none of those allowed, or shots are wanted and there is
                no index.
            ModelError: The model cannot be loaded.
            IndexFolderError: The index cannot be opened.
        """
        if not isinstance(shots, int) or shots < 0:
            raise EvaluationError(f"shots={shots!r}: expected a whole number, 0 or more")
        if shots and not index:
            raise EvaluationError(
                f"shots={shots} without an index to find them in: give index=FOLDER, or shots=0"
            )
        if strategy and strategy not in STRATEGIES:
            raise EvaluationError(unknown_name("strategy", strategy, tuple(STRATEGIES)))
        modes: dict[str, ShotMode] = {name: name for name in SHOT_MODES}
        if shot_mode != "auto" and shot_mode not in modes:
            raise EvaluationError(unknown_name("mode of shots", shot_mode, ("auto", *SHOT_MODES)))
        loaded = load_language_model(model, device=device)
        few = FewShot.open(Path(index), model=loaded, device=device) if index else None
        mode = modes.get(shot_mode)
        return cls(loaded, few, shots=shots, strategy=strategy, shot_mode=mode)

    def write(self, audio: Audio, text: str, options: GenerationOptions) -> str:
        """Answer in words.

        Args:
            audio: The document's recording.
            text: Question and options, as the harness words them.
            options: How the answer is written.

        Raises:
            AudioError: The recording cannot be read.
            PromptError: The prompt does not fit.
        """
        return self._model.generate(self._prompt(audio, text), options).text

    def score(self, audio: Audio, text: str, choices: Sequence[str]) -> tuple[float, ...]:
        """Return the log-probability of each choice, in nats, of all in one pass.

        Args:
            audio: As for ``write``, like ``text``.
            text: Question and options.
            choices: Any texts; one that stands twice is scored once.

        Raises:
            AudioError: The recording cannot be read.
            PromptError: The prompt does not fit, or a choice is empty.
            ModelError: The model gives no log-probabilities.
        """
        distinct = list(dict.fromkeys(choice.strip() for choice in choices))
        scored = self._model.score(self._prompt(audio, text), distinct)
        of_choice = {
            choice: float(tokens.sum()) for choice, tokens in zip(distinct, scored, strict=True)
        }
        return tuple(of_choice[choice.strip()] for choice in choices)

    def would_write(self, audio: Audio, text: str, choice: str) -> bool:
        """Whether a choice is what the model writes by itself."""
        written = self.write(audio, text, GenerationOptions())
        return written.strip() == choice.strip()

    @property
    def n_in_index(self) -> int:
        """Number of documents whose own recording is in the index; it was not shown."""
        return len(self._in_index)

    @property
    def n_near(self) -> int:
        """Number of documents shown what may be their own recording at another rate."""
        return len(self._near)

    def leaks(self) -> tuple[str, ...]:
        """Return what to know of documents that the index holds; nothing where it holds none."""
        lines = []
        if self.n_in_index:
            documents = counted(self.n_in_index, "document is", "documents are")
            lines.append(f"{documents} in the index: none was shown its own recording")
        if self.n_near:
            documents = counted(self.n_near, "document was", "documents were")
            lines.append(
                f"{documents} shown an exemplar of similarity {_NEAR} or more: look whether the "
                "index holds the documents' recordings at another rate"
            )
        return tuple(lines)

    def _prompt(self, audio: Audio, text: str) -> Prompt:
        query = self._read(audio)
        # Exemplars of the query's own content are never among the shots.
        request = self._few.request(query, task=ASK, question=text, **self._ask)
        content = query.exclusions.content
        if content in self._contents:
            self._in_index.add(content)
        if any(hit.similarity >= _NEAR for hit in request.hits):
            self._near.add(content)
        if any(hit.content_sha256 == content for hit in request.hits):
            raise EvaluationError(f"{query.name}: its own recording is among the shots")
        return request.fit(self._model).prompt

    def _read(self, audio: Audio) -> Query:
        recording = to_recording(audio)
        (query,) = read_in_batches(
            [recording],
            self._few.retriever.embedder,
            sample_rate=self._model.capabilities.sample_rate,
        )
        if isinstance(query, AudioError):
            raise query
        return query


def options_of(given: Mapping[str, object]) -> GenerationOptions:
    """Return how an answer is written, of a harness's ``generation_kwargs``.

    >>> options_of({"max_new_tokens": 8, "until": [". ", ""], "do_sample": False}).stop
    ('. ',)

    Raises:
        EvaluationError: A value cannot be taken.
    """
    until = given.get("until") or ()
    stops = (until,) if isinstance(until, str) else until
    draws = bool(given.get("do_sample", True))
    temperature = given.get("temperature") or 0.0
    try:
        if not isinstance(stops, list | tuple):
            raise TypeError(f"until={until!r}: expected texts")
        return GenerationOptions(
            max_new_tokens=int(str(given.get("max_new_tokens") or 128)),
            temperature=float(str(temperature)) if draws else 0.0,
            top_k=int(str(given.get("top_k") or 0)),
            top_p=float(str(given.get("top_p") or 1.0)),
            stop=tuple(stop for stop in stops if stop),
        )
    except (TypeError, ValueError) as error:
        raise EvaluationError(f"generation_kwargs: {error}") from error
