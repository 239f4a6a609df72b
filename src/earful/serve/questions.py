"""Questions of a page: answered as the commands answer them, with sources in place of paths."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from earful.errors import AudioError, TaskError
from earful.serve.faults import RequestError, hide_paths
from earful.serve.sources import Source
from earful.serve.state import ServerState
from earful.values import short_repr
from earful.wording import unknown_name

if TYPE_CHECKING:
    from earful.index.search import Hit, SearchFilter
    from earful.rag import Answer
    from earful.rag.retrieval import AskOptions
    from earful.rag.task import Task

_LONGEST_S: Final = 1800.0
_DIGITS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A stretch of a source that is asked about.

    Attributes:
        source: The source.
        start_s: Where it begins in the source, in seconds.
        end_s: Where it ends in the source (exclusive); ``None`` for its end.
    """

    source: Source
    start_s: float = 0.0
    end_s: float | None = None

    __repr__ = short_repr

    def in_file(self) -> tuple[float, float | None]:
        """Return the stretch in seconds of the source's file."""
        return self.source.in_file(self.start_s, self.end_s)

    def options(self) -> AskOptions:
        """Return the stretch of the file as ``AskOptions``."""
        start_s, end_s = self.in_file()
        return {"start_s": start_s, "end_s": end_s}


def hear(state: ServerState, source: str, start_s: float, end_s: float | None) -> Heard:
    """Return a stretch that is asked about.

    Raises:
        UnknownSourceError: There is no such source.
        RequestError: Its file is gone, or the stretch is not in it or too long to be asked about.
    """
    found = state.sources.find(source)
    found.require_file("audio.source")
    length_s = found.duration_s
    if length_s is not None and start_s >= length_s:
        raise RequestError(
            f"start_s={start_s:g}: expected less than the {length_s:.2f} s that {found.name} has",
            field="audio.start_s",
        )
    ends_s = length_s if end_s is None else end_s
    if ends_s is not None and ends_s - start_s > _LONGEST_S:
        raise RequestError(
            f"{found.name}: a stretch of {ends_s - start_s:.0f} s is asked about; expected "
            f"{_LONGEST_S:.0f} s at most; take a shorter one, or scan the recording",
            field="audio.end_s",
        )
    return Heard(source=found, start_s=start_s, end_s=end_s)


class Questions:
    """Questions, each to be called when it is its turn.

    Args:
        state: What answers.
    """

    def __init__(self, state: ServerState) -> None:
        self._state = state

    def task(self, name: str) -> Task | None:
        """Return the task with a name: the server's own for ``""``, or a built-in one.

        Raises:
            TaskError: There is none. A client names no file.
        """
        from earful.rag.task import list_tasks, load_task

        own = self._state.task
        if not name or (own is not None and name == own.name):
            return own
        known = list_tasks()
        if name not in known:
            named = (*((own.name,) if own is not None else ()), *known)
            raise TaskError(unknown_name("task", name, named))
        return load_task(name)

    def classify(
        self,
        heard: Heard,
        *,
        task: str = "",
        labels: Sequence[str] | None = None,
        always_answer: bool = False,
        progress: Callable[[int, int], None] | None = None,
        **ask: Any,
    ) -> dict[str, Any]:
        """Name the sound; see ``FewShot.classify``.

        Raises:
            EarfulError: As there.
        """
        from earful.model import DEFAULT_MODEL
        from earful.rag import default_model

        chosen = None if labels is not None and not task else self.task(task)
        few = self._state.few_shot()
        options: dict[str, Any] = {**heard.options(), **ask, "always_answer": always_answer}
        if self._state.model == DEFAULT_MODEL and default_model(chosen) is None:
            options["arm"] = "vote"
        with self._naming(heard):
            answer = few.classify(
                heard.source.path, task=chosen, labels=labels, progress=progress, **options
            )
        return self._plain(answer, heard)

    def ask(
        self,
        heard: Heard,
        question: str = "",
        *,
        task: str = "",
        free_text: bool = False,
        max_tokens: int = 128,
        on_text: Callable[[str], None] | None = None,
        **ask: Any,
    ) -> dict[str, Any]:
        """Answer a question, or describe the sound where there is none.

        Raises:
            EarfulError: As ``FewShot.ask``.
        """
        from earful.model import GenerationOptions
        from earful.rag.task import CAPTION

        chosen = self.task(task) if task else None
        if chosen is None and self._state.task is not None and not self._state.task.has_labels:
            chosen = self._state.task
        if chosen is None and not question.strip():
            chosen = CAPTION
        few = self._state.few_shot()
        options: dict[str, Any] = {**heard.options(), **ask, "free_text": free_text}
        with self._naming(heard):
            answer = few.ask(
                heard.source.path,
                question,
                task=chosen,
                options=GenerationOptions(max_new_tokens=max_tokens, seed=ask.get("seed", 0)),
                on_text=on_text,
                **options,
            )
        return self._plain(answer, heard)

    def search(
        self,
        heard: Heard | None,
        *,
        text: str = "",
        k: int = 20,
        page: int = 0,
        filter: SearchFilter,
    ) -> dict[str, Any]:
        """Find exemplars like a sound, or of what a sentence says, a page of them.

        Raises:
            EarfulError: As ``FewShot.search``.
        """
        from earful.rag.retrieval import read_query

        few = self._state.few_shot()
        query, notes = None, []
        if heard is not None:
            if heard.source.exemplar:
                # More like this one, which is known already.
                own = frozenset({heard.source.exemplar})
                filter = replace(filter, exclude_ids=filter.exclude_ids | own)
            with self._naming(heard):
                query = read_query(heard.source.path, few.embedder, ask=heard.options())
            notes = list(query.notes)
        # One more than is shown tells whether there is another page.
        wanted = k * (page + 1) + 1
        hits = few.search(audio=query, text=text or None, k=wanted, filter=filter)
        if text and (note := few.retriever.text_note(text, hits)):
            notes.append(note)
        shown = hits[k * page : k * (page + 1)]
        return {
            "query": text or (heard.source.name if heard else ""),
            "source": heard.source.id if heard else None,
            "start_s": heard.start_s if heard else 0.0,
            "end_s": heard.end_s if heard else None,
            "page": page,
            "more": len(hits) > k * (page + 1),
            "compares": "probability" if text and few.retriever.compares_scores else "similarity",
            "evidence": [self._evidence(hit) for hit in shown],
            "notes": [self._hide(note) for note in notes],
        }

    @contextmanager
    def _naming(self, heard: Heard) -> Iterator[None]:
        """Name a source in errors as its user knows it."""
        try:
            yield
        except AudioError as error:
            text = str(error).replace(str(heard.source.path), heard.source.name)
            raise AudioError(self._hide(text)) from error

    def _plain(self, answer: Answer, heard: Heard) -> dict[str, Any]:
        found = answer.to_dict()
        found |= {
            "audio": heard.source.name,
            "source": heard.source.id,
            "start_s": heard.start_s,
            "end_s": heard.end_s,
            "text": self._hide(answer.text),
            "reason": self._hide(answer.reason),
            "notes": [self._hide(note) for note in answer.notes],
            "evidence": [self._evidence(hit) for hit in answer.evidence],
            "summary": self._hide(answer.summary()),
            "timings": {name: round(spent, _DIGITS) for name, spent in answer.timings.items()},
        }
        model = self._state.few_shot().model
        if model is not None and model.capabilities.caveat:
            found["caveat"] = model.capabilities.caveat
        return found

    def _evidence(self, hit: Hit) -> dict[str, Any]:
        source = self._state.sources.of_hit(hit)
        return {
            **hit.to_dict(),
            "audio": source.name,
            "source": source.id,
            "duration_s": hit.duration_s or None,
            "licence": hit.exemplar.licence,
            "missing": source.is_missing,
            "recording": self._state.sources.in_recording(source),
        }

    def _hide(self, text: str) -> str:
        return hide_paths(text, self._state.opened_paths)
