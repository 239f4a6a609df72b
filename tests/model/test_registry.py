import importlib.metadata
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.errors import MissingExtraError, ModelError, UnknownNameError
from earful.model import (
    Embedder,
    list_embedders,
    list_language_models,
    load_embedder,
    load_language_model,
    registry,
)
from earful.model.clap import embedder

BUILT_IN = [entry.name for entry in list_embedders()]


class FakeEmbedder:
    """Remembers what its factory was asked for."""

    def __init__(self, name: str, **wishes: str) -> None:
        self.asked = (name, wishes)


class FakeLanguageModel:
    """Remembers what its factory was asked for."""

    def __init__(
        self, name: str, *, device: str, dtype: str, decoding: str, slots: int | None
    ) -> None:
        self.asked = (name, device, dtype, decoding, slots)


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[EntryPoint]]:
    """A list to put entry points into, as if packages that have them were installed."""
    points: list[EntryPoint] = []
    monkeypatch.setattr(
        importlib.metadata, "entry_points", lambda *, group: [p for p in points if p.group == group]
    )
    registry._entry_points.cache_clear()
    yield points
    registry._entry_points.cache_clear()


@pytest.fixture
def factories(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every target resolve to ``FakeEmbedder``."""
    monkeypatch.setattr(registry, "_resolve", lambda *_: FakeEmbedder)


def point(name: str, value: str, group: str = "earful.embedders") -> EntryPoint:
    return EntryPoint(name=name, value=value, group=group)


def test_the_table_has_the_shipped_the_baseline_and_the_five_on_the_hub() -> None:
    kinds = {entry.name: entry.kind for entry in list_embedders()}
    shipped = {name for name, kind in kinds.items() if kind == "shipped"}
    assert shipped == {"earful-small", "earful-tiny", "yamnet"}
    assert kinds["logmel"] == "baseline"
    assert {name for name, kind in kinds.items() if kind == "hub"} == set(embedder.HUB_IDS)
    assert {entry.name for entry in list_embedders() if not entry.text} == {"logmel"}


def test_importing_the_registry_imports_nothing_heavy() -> None:
    script = (
        "import sys, earful.model.registry as r; r.list_embedders();"
        "heavy = {'torch', 'transformers', 'lancedb', 'pyarrow', 'soundfile', 'soxr', 'av'};"
        "sys.exit(' '.join(heavy & sys.modules.keys()) or 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.usefixtures("factories")
@pytest.mark.parametrize("name", BUILT_IN)
def test_wishes_reach_the_factory(name: str) -> None:
    found = load_embedder(name, revision="r", device="cuda:1", dtype="bfloat16")
    assert isinstance(found, FakeEmbedder)
    assert found.asked == (name, {"revision": "r", "device": "cuda:1", "dtype": "bfloat16"})


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("earful-tinny", "earful-tiny"),
        ("Earful-Tiny", "earful-tiny"),
        ("log-mel", "logmel"),
        ("larger_clap_general", "laion/larger_clap_general"),
        ("laion/clap-htsat-unfuse", "laion/clap-htsat-unfused"),
    ],
)
def test_an_unknown_name_answers_with_near_matches_and_the_list(typed: str, meant: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        load_embedder(typed)
    message = str(caught.value)
    suggestion, _, known = message.partition("known: ")
    assert repr(typed) in suggestion
    assert repr(meant) in suggestion
    assert known.split(", ") == BUILT_IN


@given(st.text(min_size=1, max_size=12).filter(lambda name: not Path(name[:1]).is_absolute()))
def test_no_text_is_a_name_but_those_in_the_list(name: str) -> None:
    # Neither are control characters, quotes or an embedded zero byte a way to crash.
    if name not in BUILT_IN and not registry._is_checkpoint(name):
        with pytest.raises(UnknownNameError, match="known: earful-small"):
            load_embedder(name)


def test_nothing_near_gives_no_suggestion() -> None:
    with pytest.raises(UnknownNameError) as caught:
        load_embedder("xyzzy")
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize("missing", ["models/mine", "mine.pt"])
def test_what_looks_like_a_path_is_said_not_to_exist(missing: str) -> None:
    with pytest.raises(UnknownNameError, match="no such folder or file"):
        load_embedder(missing)


@pytest.mark.parametrize("name", ["my model", "checkpoint.pt"])
def test_local_folders_and_checkpoints_go_to_clap(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    if path.suffix:
        path.write_bytes(b"")
    else:
        path.mkdir()
    targets: list[str] = []

    def resolve(_what: str, _name: str, target: str, _extra: str) -> type[FakeEmbedder]:
        targets.append(target)
        return FakeEmbedder

    monkeypatch.setattr(registry, "_resolve", resolve)
    found = load_embedder(str(path))
    assert isinstance(found, FakeEmbedder)
    assert found.asked[0] == str(path)
    assert targets == ["earful.model.clap:load_clap"]


def test_a_folder_that_is_no_model_is_an_error_of_the_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=tmp_path.name):
        load_embedder(str(tmp_path))


def test_a_plug_in_is_listed_and_loaded(plugins: list[EntryPoint]) -> None:
    plugins.append(point("zoo", f"{__name__} : FakeEmbedder"))
    (entry,) = [entry for entry in list_embedders() if entry.kind == "plugin"]
    assert entry.name == "zoo"
    found = load_embedder("zoo", device="cpu")
    assert type(found).__name__ == "FakeEmbedder"


def test_a_plug_in_cannot_take_the_place_of_a_built_in(plugins: list[EntryPoint]) -> None:
    plugins.append(point("earful-tiny", "evil:factory"))
    assert [entry.name for entry in list_embedders()] == BUILT_IN
    assert all(entry.kind != "plugin" for entry in list_embedders())


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("no_such_module_anywhere:factory", "no_such_module_anywhere"),
        ("earful.errors:factory", "has no 'factory'"),
    ],
)
def test_a_broken_plug_in_is_named(plugins: list[EntryPoint], value: str, wanted: str) -> None:
    plugins.append(point("broken", value))
    with pytest.raises(ModelError, match=wanted) as caught:
        load_embedder("broken")
    assert not isinstance(caught.value, MissingExtraError)


def test_a_missing_extra_is_answered_with_the_line_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'earful\[clap\]'"):
        load_embedder("laion/clap-htsat-unfused")


def test_language_models_are_known_by_name_and_nearly() -> None:
    licences = {entry.name: entry.licence for entry in list_language_models()}
    assert list(licences)[:3] == [
        "earful-small",
        "audio-flamingo-foundation",
        "audio-flamingo-chat",
    ]
    assert licences["earful-small"] == "CC-BY-4.0"
    assert licences["nvidia/audio-flamingo-3-hf"] == "non-commercial research"
    # Its model card says it; it is read as the model is fetched.
    assert licences["Qwen/Qwen2-Audio-7B-Instruct"] == ""
    assert licences["openai:NAME"] == ""
    with pytest.raises(UnknownNameError, match=r"no language model named.*'audio-flamingo-chat'"):
        load_language_model("audio-flamingo-chta")


def test_the_former_name_of_the_shipped_language_model_loads_it_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match="earful-tiny is now earful-small"):
        model = load_language_model("earful-tiny", device="cpu")
    assert model.capabilities.name == "earful-small"


def test_a_plug_in_language_model_is_loaded_with_its_wishes(plugins: list[EntryPoint]) -> None:
    plugins.append(point("mine", f"{__name__}:FakeLanguageModel", "earful.models"))
    found = load_language_model("mine", device="cpu", decoding="compat", slots=3)
    asked = found.asked  # type: ignore[attr-defined]
    assert asked == ("mine", "cpu", "auto", "compat", 3)


def test_every_target_is_a_factory_of_an_embedder() -> None:
    for entry in list_embedders():
        factory = registry._resolve("embedder", entry.name, entry.target)
        assert callable(factory)
        assert Embedder.__name__ in str(factory.__annotations__["return"])
