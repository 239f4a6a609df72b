"""Model sources: language models that are loaded one after the other, when their turn comes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial

from earful.errors import EvaluationError
from earful.model import LanguageModel, load_language_model
from earful.values import repr_of
from earful.wording import counted


class ModelSource:
    """A language model that is not loaded yet.

    Args:
        name: Name in the evaluation, such as the one that it is loaded by.
        load: Loads it; called at most once an evaluation.

    Attributes:
        name: As above.
        load: As above.
    """

    def __init__(self, *, name: str, load: Callable[[], LanguageModel]) -> None:
        self.name = name
        self.load = load

    def __repr__(self) -> str:
        return repr_of(self, name=self.name)


NamedModel = str | os.PathLike[str] | LanguageModel | ModelSource
"""A language model, its name or its folder, or how it is loaded."""


def to_sources(models: Sequence[NamedModel]) -> tuple[ModelSource, ...]:
    """Return language models as sources; one that is loaded already stays so.

    Raises:
        EvaluationError: Two have one name, or one has none.
        TypeError: One is given where several are expected.
    """
    if isinstance(models, str | os.PathLike):
        name = os.fspath(models)
        raise TypeError(f"models={name!r}: expected a list of models, such as [{name!r}]")
    sources = tuple(map(_source, models))
    names = [source.name for source in sources]
    for name in names:
        if not name:
            raise EvaluationError("a language model without a name: expected one, got ''")
        if names.count(name) > 1:
            raise EvaluationError(
                f"language model {name!r} is given {counted(names.count(name), 'time')}: expected "
                "each once; give a ModelSource with a name of its own to tell two of one name apart"
            )
    return sources


def _source(model: NamedModel) -> ModelSource:
    if isinstance(model, ModelSource):
        return model
    if isinstance(model, str | os.PathLike):
        name = os.fspath(model)
        return ModelSource(name=name, load=partial(load_language_model, name))
    return ModelSource(name=model.capabilities.name, load=lambda: model)
