import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import earful

ROOT = Path(__file__).resolve().parent.parent


def test_every_public_name_can_be_had() -> None:
    for name in earful.__all__:
        assert getattr(earful, name).__name__ == name


def test_what_type_checkers_see_is_what_is_loaded_lazily() -> None:
    tree = ast.parse((ROOT / "src/earful/__init__.py").read_text())
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: node.module
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == earful._HOMES
    assert sorted(seen) == sorted(earful.__all__)
    assert all(sorted(earful.__all__)[i] == name for i, name in enumerate(earful.__all__))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = earful.nonsense


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
    heavy += ["sklearn", "scipy", "plotly", "ijson", "yaml"]
    probe = f"{code}\nimport sys, json\nprint(json.dumps([n for n in {heavy} if n in sys.modules]))"
    out = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert json.loads(out.stdout.splitlines()[-1]) == []
