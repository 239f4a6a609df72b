"""Former modules: names that were importable before the rooms, for one release, with a warning."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import MappingProxyType, ModuleType

DOORS = MappingProxyType(
    {
        "earful.index.build": "earful.index.builder",
        "earful.index.exemplar": "earful.index.corpus",
        "earful.index.features": "earful.index.cache",
        "earful.index.findings": "earful.index.health",
        "earful.index.info": "earful.index",
        "earful.index.map": "earful.index.health",
        "earful.index.schema": "earful.index.storage",
        "earful.index.store": "earful.index",
        "earful.index.verify": "earful.index.maintenance",
        "earful.model.flamingo_lm": "earful.model.flamingo",
        "earful.model.isolated": "earful.model.audio",
        "earful.rag.chat": "earful.rag.generation",
        "earful.rag.evaluate": "earful.rag.evaluation",
        "earful.rag.influence": "earful.rag.generation",
        "earful.rag.pipeline": "earful.rag",
        "earful.rag.report": "earful.rag.evaluation",
        "earful.rag.score": "earful.rag.retrieval",
        "earful.rag.taskwrite": "earful.rag.evaluation",
    }
)
"""By the name of each former module: the door that offers its public names now."""


def install() -> None:
    """Let former modules be imported; once is enough."""
    if not any(isinstance(finder, _FormerModules) for finder in sys.meta_path):
        # Last: it is asked for what nobody else knows.
        sys.meta_path.append(_FormerModules())


class _FormerModules:
    """Finds a former module and loads the door in its place.

    Without the base classes of ``importlib.abc``, whose import takes as long as all of earful.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a spec for a former module, and nothing for any other."""
        return ModuleSpec(fullname, self) if fullname in DOORS else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return a module with the door's names."""
        door = DOORS[spec.name]
        warnings.warn(
            f"{spec.name} is now {door}; the old name goes with the next release",
            DeprecationWarning,
            stacklevel=2,
        )
        former = ModuleType(spec.name, f"The former name of {door}.")
        former.__dict__["__getattr__"] = importlib.import_module(door).__getattr__
        return former

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: all names are the door's."""
