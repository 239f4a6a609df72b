import json
import subprocess
import sys
from pathlib import Path

import pytest

import earful
import earful.rag

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
    ("old", "new"),
    [
        ("open_dataset", earful.load_dataset),
        ("ShotInfluence", earful.rag.ShotInfluence),
        ("label_influence", earful.rag.label_influence),
        ("relabel_influence", earful.rag.relabel_influence),
        ("text_influence", earful.rag.text_influence),
    ],
)
def test_old_names_work_for_one_release_with_a_warning(old: str, new: object) -> None:
    with pytest.warns(DeprecationWarning, match=f"earful.{old} is now earful"):
        assert getattr(earful, old) is new


def test_a_declaration_can_be_loaded_the_old_way_for_one_release() -> None:
    with pytest.warns(DeprecationWarning, match="load_declaration"):
        assert earful.load_dataset("urbansound8k") == earful.load_declaration("urbansound8k")


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
