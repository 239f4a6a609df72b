"""Names to embedders, imported only when asked for.

Built-in names and those of other packages go through one table: a name maps to
``"module:factory"``, and the same comes from entry points of the group
``earful.embedders``. A factory takes ``(name, *, revision, device, dtype)``.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Literal, Protocol, cast

from earful.errors import MissingExtraError, ModelError, UnknownNameError
from earful.model.protocols import Embedder

ENTRY_POINTS = "earful.embedders"
DEFAULT_EMBEDDER = "earful-tiny"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedderEntry:
    """What is known of an embedder before it is loaded.

    Attributes:
        name: What to pass to ``load_embedder``.
        kind: ``"shipped"`` in the package, ``"baseline"`` to compare with, ``"hub"``
            fetched from a model hub, ``"plugin"`` from another package.
        description: What it is, in a few words.
        licence: Licence of its weights; empty when there are none or it is unknown.
        extra: The extra of earful that it needs; empty for none.
        text: Whether it embeds sentences, too.
        target: ``"module:factory"``.
    """

    name: str
    kind: Literal["shipped", "baseline", "hub", "plugin"]
    description: str
    licence: str
    extra: str
    text: bool
    target: str

    def to_dict(self) -> dict[str, str | bool]:
        """Return the fields as plain JSON values."""
        return asdict(self)


class EmbedderFactory(Protocol):
    """What a registered name stands for."""

    def __call__(self, name: str, *, revision: str, device: str, dtype: str) -> Embedder:
        """Build the embedder."""
        ...


_CLAP = "earful.model.clap:load_clap"


def _clap(name: str, description: str) -> EmbedderEntry:
    return EmbedderEntry(
        name=name,
        kind="hub",
        description=f"LAION-CLAP, {description}",
        licence="Apache-2.0",
        extra="clap",
        text=True,
        target=_CLAP,
    )


_BUILT_IN = (
    EmbedderEntry(
        name=DEFAULT_EMBEDDER,
        kind="shipped",
        description="sound-effect encoder of 4.7 M parameters (aisfx, ISMIR 2022)",
        licence="CC-BY-4.0",
        extra="",
        text=False,
        target="earful.model.tiny:load_tiny",
    ),
    EmbedderEntry(
        name="logmel",
        kind="baseline",
        description="mean, deviation and change of log-mel bands, no training",
        licence="",
        extra="",
        text=False,
        target="earful.model.logmel:load_logmel",
    ),
    _clap("laion/clap-htsat-unfused", "general audio"),
    _clap("laion/clap-htsat-fused", "general audio, feature fusion"),
    _clap("laion/larger_clap_general", "larger, general audio"),
    _clap("laion/larger_clap_music", "larger, music"),
    _clap("laion/larger_clap_music_and_speech", "larger, music and speech"),
)


def list_embedders() -> tuple[EmbedderEntry, ...]:
    """Return every embedder known by name: built-in ones first, then plug-ins by name."""
    return tuple(_entries().values())


def load_embedder(
    name: str, *, revision: str = "", device: str = "auto", dtype: str = "float32"
) -> Embedder:
    """Build an embedder, importing its module only now.

    Args:
        name: A registered name, a local folder in the hub's layout, or the path of an
            original LAION-CLAP ``.pt`` checkpoint.
        revision: Branch, tag or commit on the hub; empty for the pinned or newest one.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
        dtype: Arithmetic of the encoder.

    Raises:
        UnknownNameError: No such name, folder or file; the message lists near matches.
        MissingExtraError: It needs a package that is not installed.
        ModelError: Its weights cannot be found, read or trusted.
    """
    entries = _entries()
    if name in entries:
        entry = entries[name]
    elif _is_checkpoint(name):
        entry = _clap(name, "local checkpoint")
    else:
        raise UnknownNameError(_unknown(name, list(entries)))
    return _factory(entry)(name, revision=revision, device=device, dtype=dtype)


def _entries() -> dict[str, EmbedderEntry]:
    built_in = {entry.name: entry for entry in _BUILT_IN}
    # A plug-in cannot take the place of a built-in name.
    plugins = {point.name: _plugin(point) for point in _entry_points()}
    return {**built_in, **{n: e for n, e in plugins.items() if n not in built_in}}


@cache
def _entry_points() -> tuple[EntryPoint, ...]:
    return tuple(sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name))


def _plugin(point: EntryPoint) -> EmbedderEntry:
    origin = point.dist.name if point.dist is not None else point.module
    return EmbedderEntry(
        name=point.name,
        kind="plugin",
        description=f"from {origin}",
        licence="",
        extra="",
        text=False,
        target=point.value.replace(" ", ""),
    )


def _is_checkpoint(name: str) -> bool:
    path = Path(name)
    return path.is_dir() or (path.suffix == ".pt" and path.is_file())


def _factory(entry: EmbedderEntry) -> EmbedderFactory:
    module, _, attribute = entry.target.partition(":")
    try:
        return cast(EmbedderFactory, getattr(importlib.import_module(module), attribute))
    except ImportError as error:
        if entry.extra:
            raise MissingExtraError(
                f"embedder {entry.name!r} needs {error.name!r}: pip install 'earful[{entry.extra}]'"
            ) from error
        raise ModelError(f"embedder {entry.name!r}: {entry.target} fails: {error}") from error
    except AttributeError as error:
        raise ModelError(
            f"embedder {entry.name!r}: {module} has no {attribute!r}; the package "
            "that registers it is broken"
        ) from error


def _unknown(name: str, known: list[str]) -> str:
    near = _near(name, known)
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    looks_local = "/" in name or name.endswith(".pt")
    local = "there is no such folder or file either; " if looks_local else ""
    return f"no embedder named {name!r}; {local}{hint}known: {', '.join(known)}"


def _near(name: str, known: list[str]) -> list[str]:
    def tails() -> Iterator[tuple[str, str]]:
        for full in known:
            yield full.lower(), full
            yield full.lower().rpartition("/")[2], full

    spellings = dict(tails())
    matches = difflib.get_close_matches(name.lower(), list(spellings), n=3)
    return list(dict.fromkeys(spellings[match] for match in matches))
