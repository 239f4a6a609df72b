"""Doors: what each room offers, and that nobody needs more."""

import ast
import importlib
import tomllib
from pathlib import Path

import pytest

import earful

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {"rag": "rag", "index": "index", "model": "model", "": "src/earful"}


def rooms() -> dict[str, Path]:
    """Each room's import name, with its stub."""
    found = {"earful": ROOT / "src/earful/__init__.pyi"}
    for name, folder in FOLDERS.items():
        for stub in (ROOT / folder).rglob("__init__.pyi"):
            below = stub.parent.relative_to(ROOT / folder).parts
            if name or below[:1] not in {("rag",), ("index",), ("model",)}:
                found[".".join(filter(None, ["earful", name, *below]))] = stub
    return found


def offered(stub: Path) -> list[str]:
    """The names that a stub imports."""
    tree = ast.parse(stub.read_text(encoding="utf-8"))
    return [
        alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    ]


@pytest.mark.parametrize("name", sorted(rooms()))
def test_a_door_offers_what_its_stub_lists(name: str) -> None:
    room = importlib.import_module(name)
    names = offered(rooms()[name])
    assert sorted(names) == sorted(room.__all__)
    for offer in names:
        assert not offer.startswith("_")
        assert getattr(room, offer) is not None
    assert set(room.__all__) <= set(dir(room))


@pytest.mark.parametrize("name", sorted(rooms()))
def test_a_room_is_small(name: str) -> None:
    folder = rooms()[name].parent
    assert len(list(folder.glob("*.py"))) <= 12
    for path in folder.glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 450, path


def test_every_file_is_behind_a_door() -> None:
    """A file that no contract protects could be imported from anywhere."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    protected = {
        module
        for contract in config["tool"]["importlinter"]["contracts"]
        if contract["type"] == "protected"
        for module in contract["protected_modules"]
    }
    for name, stub in rooms().items():
        if name == "earful":
            continue
        for path in stub.parent.glob("*.py"):
            module = f"{name}.{path.stem}"
            assert path.stem == "__init__" or protected & {module, f"{name}.*"}, module


def test_the_version_is_the_packages() -> None:
    assert earful.__version__ == importlib.metadata.version("earful")
