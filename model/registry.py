"""The registry of embedders and language models by name, each imported when it is loaded.

Built-in names and those of other packages go through one table each: a name maps to
``"module:factory"``, in the same form as entry points of the groups ``earful.embedders`` and
``earful.models``. ``EmbedderFactory`` and ``LanguageModelFactory`` are the factories' types.
"""

from __future__ import annotations

import difflib
import importlib
import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from earful.errors import MissingExtraError, ModelError, UnknownNameError
from earful.model.endpoint import EndpointSettings
from earful.model.hub_models import CATALOGUE
from earful.model.names import NON_COMMERCIAL, SMALL, TINY, EmbedderEntry, LanguageModelEntry
from earful.model.protocols import Embedder, LanguageModel
from earful.model.steps import StepEmbedder, step_embedder

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_log = logging.getLogger(__name__)

_MOST_NAMED = 10

ENTRY_POINTS = "earful.embedders"
MODEL_ENTRY_POINTS = "earful.models"
_ENDPOINT_PREFIX = "openai:"


class LanguageModelFactory(Protocol):
    """Type of the function that builds a language model from its name."""

    def __call__(
        self, name: str, *, device: str, dtype: str, decoding: str, slots: int | None
    ) -> LanguageModel:
        """Build the language model."""
        ...


class EmbedderFactory(Protocol):
    """Type of the function that builds an embedder from its name."""

    def __call__(self, name: str, *, revision: str, device: str, dtype: str) -> Embedder:
        """Build the embedder."""
        ...


def _clap(name: str, description: str) -> EmbedderEntry:
    return EmbedderEntry(
        name=name,
        kind="hub",
        description=f"LAION-CLAP, {description}",
        licence="Apache-2.0",
        extra="clap",
        text=True,
        target="earful.model.clap:load_clap",
    )


def _shipped(name: str, description: str, licence: str, target: str) -> EmbedderEntry:
    return EmbedderEntry(
        name=name,
        kind="shipped",
        description=description,
        licence=licence,
        text=True,
        target=f"earful.model.{target}",
    )


_SHIPPED = (
    _shipped(
        SMALL,
        "earful-tiny's sound encoder at half its arithmetic beside yamnet, and words",
        "CC-BY-4.0",
        "small:load_small",
    ),
    _shipped(
        TINY,
        "sound and text encoder of 6.3 M parameters, upon aisfx (ISMIR 2022)",
        "CC-BY-4.0",
        "tiny:load_tiny",
    ),
    _shipped(
        "yamnet",
        "sound encoder of 3.7 M parameters, trained on AudioSet by Google",
        "Apache-2.0",
        "yamnet:load_yamnet",
    ),
)

# What loads an embedder without what only windows of an index need.
_OF_STEPS = {"earful.model.small:load_small": "earful.model.small:load_small_steps"}

_BUILT_IN = (
    *_SHIPPED,
    EmbedderEntry(
        name="logmel",
        kind="baseline",
        description="mean, deviation and change of log-mel bands, no training",
        target="earful.model.encoders:load_logmel",
    ),
    _clap("laion/clap-htsat-unfused", "general audio"),
    _clap("laion/clap-htsat-fused", "general audio, feature fusion"),
    _clap("laion/larger_clap_general", "larger, general audio"),
    _clap("laion/larger_clap_music", "larger, music"),
    _clap("laion/larger_clap_music_and_speech", "larger, music and speech"),
)


def _flamingo(name: str, description: str) -> LanguageModelEntry:
    return LanguageModelEntry(
        name=name,
        kind="hub",
        description=description,
        licence=NON_COMMERCIAL,
        extra="flamingo",
        target="earful.model.flamingo.checkpoint:load_flamingo",
    )


def _hub(name: str, description: str, licence: str = "") -> LanguageModelEntry:
    return LanguageModelEntry(
        name=name,
        kind="hub",
        description=description,
        licence=licence,
        extra="hub-models",
        target="earful.model.hub_models:load_hub_model",
    )


_SMALL_MODEL = LanguageModelEntry(
    name=SMALL,
    kind="shipped",
    description="Flamingo of 4.7 M parameters that names sounds by exemplars",
    licence="CC-BY-4.0",
    target="earful.model.small:load_small_lm",
)

_ENDPOINT_MODEL = LanguageModelEntry(
    name="openai:NAME",
    kind="endpoint",
    description="any model behind an endpoint: vLLM, SGLang, llama.cpp, OpenAI, proxies",
    extra="endpoint",
    target="earful.model.endpoint:load_endpoint",
)

_BUILT_IN_MODELS = (
    _SMALL_MODEL,
    _flamingo("audio-flamingo-foundation", "Audio Flamingo v1: few-shot, questions, captions"),
    _flamingo("audio-flamingo-chat", "Audio Flamingo v1, tuned for dialogue"),
    *(_hub(known.name, known.description, known.licence) for known in CATALOGUE),
    _ENDPOINT_MODEL,
)


def list_embedders() -> tuple[EmbedderEntry, ...]:
    """Return every embedder known by name: built-in ones first, then plug-ins by name."""
    return tuple(_entries().values())


def load_embedder(
    name: str | os.PathLike[str],
    *,
    revision: str = "",
    device: str = "auto",
    dtype: str = "float32",
) -> Embedder:
    """Build an embedder; its module is imported only now.

    Args:
        name: A registered name, a local folder in the hub's layout, such as ``earful models
            convert-clap`` makes, or a folder made by ``earful models convert-yamnet``, by
            ``training.ship`` or by ``training.small``.
        revision: Branch, tag or commit on the hub; empty for the pinned or newest one.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
        dtype: Arithmetic of the encoder: ``"float32"``, ``"bfloat16"`` where it offers that,
            or ``"auto"`` for the fastest that this machine has and its weights tolerate.

    Raises:
        UnknownNameError: No such name, folder or file; the message lists near matches.
        MissingExtraError: It needs a package that is not installed.
        ModelError: Its weights cannot be found, read or trusted.
    """
    return _load_embedder(name, revision=revision, device=device, dtype=dtype)


def load_step_embedder(name: str | os.PathLike[str], *, device: str = "auto") -> StepEmbedder:
    """Build an embedder for recordings of any length: by its own steps, else by windows.

    One that ships loads its networks when a recording is embedded first.

    Args:
        name: As ``load_embedder`` takes it.
        device: As there.

    Raises:
        UnknownNameError: No such name, folder or file; the message lists near matches.
        MissingExtraError: It needs a package that is not installed.
        ModelError: Its weights cannot be found, read or trusted.
    """
    found = _load_embedder(name, revision="", device=device, dtype="float32", of_steps=True)
    return step_embedder(found)


def _load_embedder(
    name: str | os.PathLike[str], *, revision: str, device: str, dtype: str, of_steps: bool = False
) -> Embedder:
    name = os.fspath(name)
    entries = _entries(name)
    if name in entries:
        entry = entries[name]
    elif own := [shipped for shipped in _SHIPPED if _is_own(name, shipped)]:
        entry = replace(own[0], name=name)
    elif _is_checkpoint(name):
        entry = _clap(name, "local checkpoint")
    else:
        raise UnknownNameError(_unknown("embedder", name, list(entries)))
    target = _OF_STEPS.get(entry.target, entry.target) if of_steps else entry.target
    start = time.monotonic()
    with naming_extra(f"embedder {entry.name!r}", entry.extra):
        factory = cast(EmbedderFactory, _resolve("embedder", entry.name, target, entry.extra))
        embedder = factory(name, revision=revision, device=device, dtype=dtype)
    _log_loaded("embedder", name, start)
    return embedder


def list_language_models() -> tuple[LanguageModelEntry, ...]:
    """Return every language model known by name: built-in ones first, then plug-ins."""
    return tuple(_model_entries().values())


def load_language_model(
    name: str | os.PathLike[str],
    *,
    device: str = "auto",
    dtype: str = "auto",
    decoding: str = "full",
    slots: int | None = None,
    endpoint: EndpointSettings | None = None,
) -> LanguageModel:
    """Build a language model; its module is imported only now.

    Args:
        name: A registered name; a hub id that was fetched by ``earful models pull``, with
            ``@revision`` for a commit other than the pinned one; a folder in the hub's layout,
            made by ``earful models convert`` or by ``training.flamingo``; or ``openai:NAME`` for
            one behind an endpoint.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
        dtype: Arithmetic, ``"float32"``, ``"bfloat16"`` or ``"float16"``; ``"int8"`` or
            ``"int4"`` to quantise a model of the hub; ``"auto"`` for that of the stored weights.
        decoding: ``"full"``, or ``"compat"`` to reproduce a release's own decoding; see
            ``flamingo.decoding``.
        slots: Places for audio, including empty ones; ``None`` for the model's own rule.
        endpoint: Where the endpoint is, and how it is asked; ``None`` for what the environment
            says. Only for ``openai:NAME``, to which nothing of the others applies.

    Raises:
        UnknownNameError: No such name or folder; the message lists near matches.
        MissingExtraError: It needs a package that is not installed.
        ModelError: Its weights cannot be found, read or trusted, or a choice is unknown.
    """
    name = os.fspath(name)
    if name.startswith(_ENDPOINT_PREFIX):
        return _load_endpoint(name, endpoint or EndpointSettings())
    if endpoint is not None:
        raise ModelError(f"{name}: is no endpoint; name it as {_ENDPOINT_MODEL.name}")
    entries = _model_entries(name)
    if name == TINY:
        warnings.warn(
            f"the language model {TINY} is now {SMALL}; the old name goes with the next release",
            DeprecationWarning,
            stacklevel=2,
        )
        name = SMALL
    if name in entries:
        entry = entries[name]
    elif _is_own(name, _SMALL_MODEL):
        entry = replace(_SMALL_MODEL, name=name)
    else:
        entry = _found(name, entries)
    start = time.monotonic()
    with naming_extra(f"language model {entry.name!r}", entry.extra):
        factory = cast(
            LanguageModelFactory, _resolve("language model", entry.name, entry.target, entry.extra)
        )
        model = factory(name, device=device, dtype=dtype, decoding=decoding, slots=slots)
    _log_loaded("language model", name, start)
    return model


@contextmanager
def naming_extra(what: str, extra: str) -> Iterator[None]:
    """Name the extra that brings a package which a block lacks.

    Args:
        what: Who needs it, as the subject of a sentence.
        extra: The extra; ``""`` for none.

    Raises:
        MissingExtraError: A package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if not extra or str(error.name).partition(".")[0] == "earful":
            raise
        raise MissingExtraError(
            f"{what} needs {error.name!r}: pip install 'earful[{extra}]'"
        ) from error


def _found(name: str, entries: dict[str, LanguageModelEntry]) -> LanguageModelEntry:
    """Return an entry for what has no registered name: a folder, or a model that was fetched."""
    from earful.model.hub_models import is_fetched, is_hub_folder

    if is_hub_folder(name):
        return _hub(name, "local folder")
    if Path(name).is_dir():
        return _flamingo(name, "local folder")
    if Path(name).exists():
        raise ModelError(f"{name}: is a file, expected a folder made by `earful models convert`")
    if is_fetched(name):
        return _hub(name, "fetched from the hub")
    raise UnknownNameError(_unknown("language model", name, list(entries)))


def _load_endpoint(name: str, settings: EndpointSettings) -> LanguageModel:
    """Return a language model behind an endpoint; nothing is sent yet."""
    extra = _ENDPOINT_MODEL.extra
    with naming_extra(f"language model {name!r}", extra):
        factory = _resolve("language model", name, _ENDPOINT_MODEL.target, extra)
        return cast(Callable[..., LanguageModel], factory)(name, settings)


def _log_loaded(what: str, name: str, start: float) -> None:
    seconds = round(time.monotonic() - start, 3)
    _log.info("loaded %s %s in %.2f s", what, name, seconds, extra={what.replace(" ", "_"): name})


def _entries(name: str = "") -> dict[str, EmbedderEntry]:
    return _table(_BUILT_IN, ENTRY_POINTS, name)


def _model_entries(name: str = "") -> dict[str, LanguageModelEntry]:
    return _table(_BUILT_IN_MODELS, MODEL_ENTRY_POINTS, name)


Entry = TypeVar("Entry", EmbedderEntry, LanguageModelEntry)


def _table(built_in: Sequence[Entry], group: str, name: str) -> dict[str, Entry]:
    """Return built-in entries and those of plug-ins, which cannot replace a built-in name.

    Whoever looks for a built-in ``name`` does not wait until all packages have been looked through.
    """
    known = {entry.name: entry for entry in built_in}
    if name in known:
        return known
    for point in _entry_points(group):
        origin = point.dist.name if point.dist is not None else point.module
        plugin = type(built_in[0])(
            name=point.name,
            kind="plugin",
            description=f"from {origin}",
            target=point.value.replace(" ", ""),
        )
        known.setdefault(plugin.name, plugin)
    return known


@cache
def _entry_points(group: str) -> tuple[EntryPoint, ...]:
    from importlib.metadata import entry_points

    return tuple(sorted(entry_points(group=group), key=lambda point: point.name))


def _is_own(name: str, shipped: EmbedderEntry | LanguageModelEntry) -> bool:
    """Tell whether a name is a folder in the layout of weights that ship."""
    return (Path(name) / f"{shipped.name}.json").is_file()


def _is_checkpoint(name: str) -> bool:
    path = Path(name)
    return path.is_dir() or (path.suffix == ".pt" and path.is_file())


def _resolve(what: str, name: str, target: str, extra: str = "") -> object:
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        if extra and isinstance(error, ModuleNotFoundError):
            raise  # and the extra is named
        raise ModelError(f"{what} {name!r}: {target} fails: {error}") from error
    except AttributeError as error:
        raise ModelError(
            f"{what} {name!r}: {module} has no {attribute!r}; the package "
            "that registers it is broken"
        ) from error


def _unknown(what: str, name: str, known: list[str]) -> str:
    from earful.model.hub_models import is_hub_id

    near = _near(name, known)
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    looks_local = "/" in name or name.endswith(".pt")
    local = "there is no such folder or file either; " if looks_local else ""
    if what == "language model":
        if name in _entries(name):
            return (
                f"{name} is an embedder, expected a language model; make an index with it: "
                f"`earful index build CORPUS --index INDEX --embedder {name}`"
            )
        if is_hub_id(name):
            local += f"if it is on the hub, fetch it with `earful models pull {name}`; "
    more = f" and {len(known) - _MOST_NAMED} more (`earful models list`)"
    named = ", ".join(known[:_MOST_NAMED]) + (more if len(known) > _MOST_NAMED else "")
    return f"no {what} named {name!r}; {local}{hint}known: {named}"


def _near(name: str, known: list[str]) -> list[str]:
    spellings = {end.lower(): full for full in known for end in (full, full.rpartition("/")[2])}
    matches = difflib.get_close_matches(name.lower(), list(spellings), n=3)
    return list(dict.fromkeys(spellings[match] for match in matches))
