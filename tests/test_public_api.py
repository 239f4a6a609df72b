import importlib
import inspect
import json
import pkgutil
import subprocess
import sys
import typing
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace

import pyarrow
import pytest

import earful

ROOT = Path(__file__).resolve().parent.parent


def test_every_public_name_can_be_had() -> None:
    for name in earful.__all__:
        assert getattr(earful, name).__name__ == name


def test_only_public_names_are_shown() -> None:
    assert dir(earful) == sorted(["__version__", *earful.__all__])


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        getattr(earful, "nonsense")  # noqa: B009


@pytest.mark.parametrize(
    "code",
    [
        "import earful",
        "import earful.cli",
        "import earful.errors, earful.model.protocols, earful.model.audio.clip",
        "import earful.model.registry",
        "import earful.index.corpus.exemplar, earful.rag.task.task",
        "import sys; sys.argv = ['earful', '--help']\n"
        "import earful.cli\n"
        "try: earful.cli.main()\n"
        "except SystemExit: pass",
    ],
)
def test_the_light_modules_load_nothing_heavy(code: str) -> None:
    heavy = ["torch", "lancedb", "pyarrow", "transformers", "soundfile", "soxr", "faiss", "av"]
    heavy += ["sklearn", "scipy", "ijson", "yaml", "pydantic", "jinja2", "openai"]
    probe = f"{code}\nimport sys, json\nprint(json.dumps([n for n in {heavy} if n in sys.modules]))"
    out = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert json.loads(out.stdout.splitlines()[-1]) == []


def offered_types() -> dict[str, object]:
    """Every name that some door offers."""
    names: dict[str, object] = {}
    for module in ["earful", *pkgutil_packages()]:
        door = importlib.import_module(module)
        # Of two that share a name, the first: doors of lower layers come first.
        names = {name: getattr(door, name) for name in getattr(door, "__all__", ())} | names
    return names


def pkgutil_packages() -> list[str]:
    return [
        found.name
        for found in pkgutil.walk_packages(earful.__path__, "earful.")
        if found.ispkg and found.name != "earful.commands"
    ]


def named_types(function: object, names: dict[str, object]) -> set[type]:
    """Our own classes in a signature."""
    pending = list(typing.get_type_hints(function, localns=names).values())
    found: set[type] = set()
    while pending:
        hint = pending.pop()
        pending += typing.get_args(hint)
        kind = typing.get_origin(hint) or hint
        if inspect.isclass(kind) and kind.__module__.startswith("earful."):
            found.add(kind)
    return found


@pytest.mark.parametrize("name", [name for name in earful.__all__ if name != "__version__"])
def test_a_signature_names_only_types_that_a_door_offers(name: str) -> None:
    names = offered_types()
    public = getattr(earful, name)
    functions = [public]
    if inspect.isclass(public):
        functions += [
            getattr(member, "__func__", getattr(member, "fget", member))
            for key, member in vars(public).items()
            if not key.startswith("_") and not isinstance(member, cached_property)
        ]
    for function in filter(callable, functions):
        for kind in named_types(
            function, {**names, "pa": pyarrow, "pd": SimpleNamespace(DataFrame=object)}
        ):
            assert kind in names.values() or issubclass(kind, Exception), kind
