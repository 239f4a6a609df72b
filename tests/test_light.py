"""What a plain install lacks, and what no answer may wait for: torch, LanceDB and their like."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earful.index.builder import build_index

# Runs the command line where some packages are not installed, and tells what was imported.
_PROGRAM = """
import json, sys
from importlib.machinery import PathFinder

hidden = set(json.loads(sys.argv[1]))

class Hide(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name in hidden else PathFinder.find_spec(name, path, target)

sys.meta_path = [Hide if finder is PathFinder else finder for finder in sys.meta_path]
sys.argv = ["earful", *sys.argv[2:]]
from earful.cli import main
try:
    main()
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""
# None of these is needed by what ships; LanceDB is, by whatever changes an index.
EXTRAS = (
    "openai",
    "ray",
    "torch",
    "torchaudio",
    "transformers",
    "plotly",
    "umap",
    "faiss",
    "av",
    "h5py",
    "onnx",
    "fastapi",
    "starlette",
    "uvicorn",
)
WRITERS = ("lancedb", "lance_namespace")
SLOW = ("sklearn", "scipy", "pandas", "numpy.ma", "pyarrow.compute", "pyarrow.dataset")

Run = Callable[..., tuple[int, str, str, set[str]]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings, an index of them by the embedder that ships, and a task."""
    made = tmp_path_factory.mktemp("light")
    drawn = np.random.default_rng(0)
    for label, hz in (("hum", 120), ("whistle", 3000)):
        for number in range(4):
            path = made / "sounds" / label / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            time_s = np.arange(24_000) / 16_000
            tone = np.sin(2 * np.pi * hz * (1 + number / 50) * time_s)
            soundfile.write(path, 0.3 * tone + 0.01 * drawn.standard_normal(time_s.size), 16_000)
    build_index(made / "sounds", made / "s.index")
    (made / "t.toml").write_text("[labels.hum]\n[labels.whistle]\n[shots]\nk = 4\n")
    return made


@pytest.fixture
def run(folder: Path) -> Run:
    """Run a command without some packages; return code, output, errors and what it imported."""

    def start(*words: str, without: Iterable[str]) -> tuple[int, str, str, set[str]]:
        hidden = json.dumps(list(without))
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, hidden, *words],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        told, _, modules = done.stderr.rstrip("\n").rpartition("\n")
        return done.returncode, done.stdout, told, set(json.loads(modules))

    return start


SOUND = "sounds/hum/0.wav"
VOTE = ("--model", "none")
ANSWERS: list[tuple[Sequence[str], str]] = [
    (("classify", SOUND, "-i", "s.index"), "hum"),
    (("classify", SOUND, "-i", "s.index", *VOTE), "hum"),
    (("ask", SOUND, "Do you hear a hum?", "-i", "s.index"), "yes"),
    (("caption", SOUND, "-i", "s.index"), "a recording of a hum"),
    (("classify", SOUND, "-i", "s.index", "--task", "t.toml", *VOTE), "hum"),
    (("search", SOUND, "-i", "s.index", "-k", "3"), "hum/"),
    (("search", "--text", "a whistle", "-i", "s.index", "-k", "3"), "whistle/"),
    (("index", "info", "s.index"), "earful-small"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("words", "told"), ANSWERS, ids=lambda each: " ".join(each)[:40])
def test_an_index_answers_without_extras_and_without_lancedb(
    run: Run, words: Sequence[str], told: str
) -> None:
    run(*words, without=())  # whatever is fitted once
    code, out, err, modules = run(*words, without=(*EXTRAS, *WRITERS))
    assert code == 0, err
    assert told in out
    slow = SLOW if words[0] != "index" else ()  # info counts labels, which Arrow does
    if "--task" not in words:  # a task file is checked
        slow = (*slow, "pydantic")
    assert modules & {*EXTRAS, *WRITERS, *slow} == set()


@pytest.mark.slow
def test_a_scan_needs_no_index_s_packages_and_the_next_question_no_network(
    run: Run, folder: Path
) -> None:
    for number in range(2):
        rows = f"hum/0.wav,0,1,hum\nwhistle/{number}.wav,0,1,whistle\n"
        (folder / "calls.csv").write_text("recording,start_s,end_s,label\n" + rows)
        words = ("scan", "sounds", "--examples", "calls.csv", "--out", "s.scan")
        code, out, err, modules = run(*words, without=(*EXTRAS, *WRITERS))
        assert code == 0, err
        assert "wrote s.scan/events.csv" in out
        assert modules & {*EXTRAS, *WRITERS, *SLOW} == set()
        assert ("onnxruntime" in modules) == (number == 0)


@pytest.mark.slow
def test_an_index_is_built_and_changed_without_extras(run: Run) -> None:
    code, out, err, _ = run("index", "build", "sounds", "-i", "new.index", without=EXTRAS)
    assert (code, "8 embedded" in out + err) == (0, True), err
    code, _, err, _ = run("index", "remove", "new.index", "hum/3.wav", without=EXTRAS)
    assert code == 0, err
    code, out, err, _ = run("classify", SOUND, "-i", "new.index", *VOTE, without=EXTRAS)
    assert (code, "hum" in out) == (0, True), err
    code, out, err, _ = run("index", "health", "new.index", "--html", "h.html", without=EXTRAS)
    assert code == 0, err
    code, out, err, _ = run("index", "map", "new.index", "--html", "m.html", without=EXTRAS)
    assert code == 0, err
    code, out, err, _ = run(
        *("evaluate", "-i", "new.index", "--out", "run", "--leaks", "allow", *VOTE), without=EXTRAS
    )
    assert code == 0, err
    code, out, err, _ = run("doctor", "--no-hub", without=EXTRAS)
    assert (code, "pip install 'earful[clap]'" in out) == (0, True), err


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (
            (*("index", "build", "sounds", "-i", "other.index"),
             *("--embedder", "laion/clap-htsat-unfused")),
            "clap",
        ),
        (
            ("classify", SOUND, "-i", "s.index", "--model", "audio-flamingo-foundation"),
            "flamingo",
        ),
    ],
)  # fmt: skip
def test_what_needs_torch_says_in_one_line_how_to_get_it(
    run: Run, words: Sequence[str], extra: str
) -> None:
    code, out, err, _ = run(*words, without=EXTRAS)
    assert (code, out) == (1, "")
    line, explained = err.splitlines()
    assert explained == "help: docs/troubleshooting.md#missing-extra"
    assert line.startswith("error: ")
    assert f"pip install 'earful[{extra}]'" in line
