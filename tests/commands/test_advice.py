"""A message offers only options that the command has in which it is read."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main

from earful.cli import app

ROOT = Path(__file__).resolve().parent.parent.parent
OPTION = re.compile(r"(?<![\w/-])--[a-z][a-z-]+\b")
QUOTED = re.compile(r"`(earful [^`]*)`")

QUESTIONS = ("search", "classify", "ask", "caption", "chat", "evaluate")
CORPORA = ("index build", "index add", "index verify", "evaluate")
DATASETS = ("index build", "datasets check", "datasets sample")
TASKS = ("classify", "ask", "evaluate", "tasks check", "tasks show")
ENDPOINTS = ("classify", "ask", "caption", "chat", "evaluate", "models check")
# Where a sentence outside the commands names an option alone: who can raise or print it.
LIBRARY = {
    "index/corpus/corpus.py": CORPORA,
    "index/corpus/columns/contents.py": CORPORA,
    "index/corpus/columns/names.py": CORPORA,
    "index/corpus/columns/odd_labels.py": ("index build", "evaluate"),
    # With --label there is no table, and the note is another.
    "index/corpus/columns/odd_labels.py:_about_separators": ("index add",),
    "index/corpus/columns/times.py": CORPORA,
    "index/corpus/exemplar_reader.py": CORPORA,
    "index/corpus/fields.py": CORPORA,
    "index/annotations/readers/annotation_reader.py": CORPORA,
    "index/annotations/readers/annotation_table.py": CORPORA,
    "index/corpus/folders.py": CORPORA,
    "index/corpus/stretches.py": CORPORA,
    "index/builder/report.py": ("index build", "index add", "index info"),
    "index/corpus/survey.py": ("index build", "index add", "evaluate"),
    "index/datasets/locate.py": DATASETS,
    "index/maintenance/verify.py": ("index verify",),
    "index/storage/index_folder.py": (*QUESTIONS, "index build"),
    "index/storage/header.py": ("index verify",),
    "index/storage/header.py:require_same_embedder": (*QUESTIONS, "index build"),
    "model/audio/blocks/reader.py": ("scan",),
    "model/audio/recorders/reading.py": ("scan",),
    "model/audio/recorders/stamps.py": ("scan",),
    "model/steps.py": ("scan",),
    "index/corpus/recorders/grouping.py": ("index build", "index add"),
    "index/recordings/encoding_run.py": ("scan",),
    "index/recordings/find.py": ("scan",),
    "index/recordings/store.py": ("scan",),
    "index/distributed/engines/attempts.py": ("index build",),
    "index/distributed/engines/ray_session.py": ("index build",),
    "index/distributed/engines/ray_workers.py": ("index build",),
    "index/distributed/merge_checks.py": ("index merge",),
    "index/distributed/shards.py": ("index build",),
    "index/remote/fetching.py": QUESTIONS,
    "index/search/approximate/committing.py": ("index approximate",),
    "index/sharing/cards/card.py": ("index card",),
    "index/sharing/layout.py": ("index pull",),
    "index/sharing/places/naming.py": ("index pull",),
    "index/sharing/pull.py": ("index pull",),
    "index/sharing/push.py": ("index push",),
    "index/sharing/trust.py": ("index pull",),
    "model/prompt.py": ("classify", "ask", "caption", "chat", "evaluate"),
    "rag/montage.py": ("classify", "ask", "caption", "chat"),
    "rag/scan/clock.py": ("scan",),
    "rag/scan/detection/detectors.py": ("scan",),
    "rag/scan/evaluation.py": ("scan",),
    "rag/scan/evaluation.py:_doubts": ("events evaluate",),
    "rag/scan/examples/sources.py": ("scan",),
    "rag/scan/examples/standing.py": ("scan",),
    "rag/scan/run.py": ("scan",),
    "rag/scan/metrics/evaluation.py": ("events evaluate",),
    "rag/scan/rehearsal.py": ("scan",),
    "rag/scan/result_folder.py": ("scan",),
    "model/endpoint/faults.py": ENDPOINTS,
    "model/endpoint/language_model.py": ENDPOINTS,
    "model/endpoint/decision_model.py": ENDPOINTS,
    "model/endpoint/scoring/by_chat.py": ENDPOINTS,
    "model/endpoint/scoring/decisions.py": ("classify", "ask", "evaluate"),
    "model/endpoint/settings.py": ENDPOINTS,
    "model/hub_models/families.py": ("classify", "ask", "caption", "chat"),
    "model/hub_models/loading.py": ("classify", "ask", "caption", "chat"),
    "rag/evaluation/running/model_runs.py": ("evaluate",),
    "rag/evaluation/running/one_run.py": ("evaluate",),
    "rag/generation/chat.py": ("chat",),
    "src/earful/commands/load.py": ("evaluate",),
    "src/earful/commands/options.py": ("evaluate",),
    "model/small/language_model.py": ("classify", "ask", "caption", "chat", "evaluate"),
    "rag/evaluation/leakage.py": ("evaluate",),
    "rag/evaluation/repeat.py": ("evaluate",),
    "rag/evaluation/run_file.py": ("evaluate",),
    "rag/evaluation/update_task.py": ("evaluate",),
    "rag/evaluation/update_task.py:write_verdict": ("classify",),
    "rag/task/parse_examples.py": TASKS,
    # Functions of the commands' own files that are no command, by file.
    "src/earful/cli.py:_scan_long": ("demo",),
    "src/earful/commands/approximate.py": ("index approximate",),
    "src/earful/commands/engine_options.py": ("index build",),
    "src/earful/commands/sharing.py:_require_audio": ("index push", "index card"),
    # Who pulls reads it of who pushes.
    "src/earful/commands/sharing.py:_show_plan": ("index pull",),
    "src/earful/demo/corpus.py": ("demo",),
    "src/earful/object_stores/credentials.py": ("index build", *QUESTIONS),
    "src/earful/object_stores/store.py": ("index build", *QUESTIONS),
    "src/earful/testing/stub_endpoint.py": ENDPOINTS,
    "src/earful/console.py:describe_answer": ("classify", "ask", "caption", "demo"),
    "src/earful/console.py:describe_build": ("index build", "index add"),
    "src/earful/console.py:_describe_replaced": ("index build", "index add"),
    "src/earful/console.py:_first": ("index build", "index add"),
    "src/earful/console.py:describe_repair": ("index verify",),
    "src/earful/commands/datasets.py:describe_check": ("datasets check",),
    "src/earful/commands/load.py:load_names_alone": ("classify",),
    "src/earful/commands/load.py:load_few_shot": ("classify", "ask"),
    "src/earful/commands/load.py:load_given_task": ("classify", "ask", "evaluate"),
    "src/earful/commands/load.py:print_better_ears": ("index build",),
    "src/earful/commands/questions/query.py:scoring": ("classify",),
    "src/earful/commands/questions/nearest.py:_why_nothing": ("search",),
    "src/earful/commands/questions/long_recordings.py:advise": (*QUESTIONS[:-1],),
    "src/earful/commands/stretch_options.py:ask_options": QUESTIONS[:-1],
    "src/earful/commands/options.py:ask_options": ("classify", "ask", "caption", "chat"),
    "src/earful/commands/options.py:generation": ("ask", "caption", "chat"),
    "src/earful/commands/health.py:_print_health": ("index health",),
    # The command that opens the page, for who has scanned.
    "src/earful/commands/scan.py:_review_line": ("serve",),
    "src/earful/commands/labels.py:_choice": ("labels resolve",),
    "src/earful/serve/reviewing/desk.py": ("serve",),
    "src/earful/serve/scans.py": ("serve",),
    "src/earful/serve/security/limits.py": ("serve",),
    "src/earful/serve/server.py": ("serve",),
    "src/earful/serve/settings.py": ("serve",),
    "src/earful/serve/state.py": ("serve",),
}
# Sentences that are no advice to who reads them in that command.
ELSEWHERE = {
    # The folder that was made is for other commands.
    "src/earful/commands/models.py": ("--embedder", "--model"),
    # An option of pip.
    "model/hub_models/loading.py": ("--upgrade",),
    "src/earful/demo/corpus.py": ("--force-reinstall",),
    # Shows how to use what was made, or which build to end.
    "index/sharing/cards/card.py": ("--embedder", "--index", "--model"),
    "src/earful/commands/approximate.py": ("--backend", "--index"),
    "src/earful/commands/sharing.py": ("--model",),
    "index/distributed/merge_checks.py": ("--shard",),
    # Options of other programs: Ray's, and a server's in whose place a stub speaks.
    "index/distributed/engines/ray_session.py": ("--address", "--head"),
    "src/earful/testing/stub_endpoint.py": ("--limit-mm-per-prompt",),
    # Shows how to use what was made.
    "src/earful/console.py": ("--index", "--backend"),
    "src/earful/commands/questions/long_recordings.py": ("--index", "--examples"),
    "src/earful/diagnostics/doctor.py": ("--force-reinstall", "--accept-noncommercial"),
    "model/clap/embedder.py": ("--out",),
    "cli.py": (
        "--log-json",
        "--index",
        "--task",
        "--examples",
        "--complete-until",
        "--out",
        "--n-given",
    ),
}


def commands() -> dict[str, Any]:
    """Every command by its name, such as ``index build``."""
    found: dict[str, Any] = {}

    def walk(command: Any, name: str) -> None:
        if hasattr(command, "commands"):
            for part, inner in command.commands.items():
                walk(inner, f"{name} {part}".strip())
        else:
            found[name] = command

    walk(typer.main.get_command(app), "")
    return found


COMMANDS = commands()
NOBODY = "nobody"
OPTIONS = {
    name: {
        word
        for parameter in command.params
        for word in (*parameter.opts, *parameter.secondary_opts)
    }
    for name, command in COMMANDS.items()
}
# Those that stand anywhere in a command.
ROOT_OPTIONS = {"--debug", "--verbose", "--log-json", "--version", "--help", "--storage-option"}


def sentences(tree: ast.AST) -> Iterator[tuple[str, str, int]]:
    """Yield the innermost function, the text and the line of every string but docstrings."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)

    def walk(node: ast.AST, function: str) -> Iterator[tuple[str, str, int]]:
        skipped = None
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            skipped = node.body[0]
        if isinstance(node, ast.FunctionDef):
            function = node.name if function == "" or function.startswith("_Cls") else function
        for child in ast.iter_child_nodes(node):
            if child is skipped or getattr(child, "arg", "") == "help":
                continue
            if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                continue  # says what the assignment above is
            if isinstance(child, ast.JoinedStr):
                parts = [
                    part.value if isinstance(part, ast.Constant) else "X" for part in child.values
                ]
                yield function, "".join(map(str, parts)), child.lineno
            elif isinstance(child, ast.Constant) and isinstance(child.value, str):
                yield function, child.value, child.lineno
            elif not isinstance(child, ast.arguments):
                yield from walk(child, function)

    yield from walk(tree, "")


def sources() -> list[Path]:
    folders = [ROOT / name for name in ("model", "index", "rag", "src/earful")]
    links = {ROOT / "src/earful" / name for name in ("model", "index", "rag", "cli.py")}
    return [
        path
        for folder in folders
        for path in sorted(folder.rglob("*.py"))
        if not any(path == link or link in path.parents for link in links)
    ] + [ROOT / "cli.py"]


@cache
def strings() -> list[tuple[str, str, str, int]]:
    """File, function, text and line of every string; read once, which takes seconds."""
    return [
        (path.relative_to(ROOT).as_posix(), *found)
        for path in sources()
        for found in sentences(ast.parse(path.read_text(encoding="utf-8")))
    ]


def advised() -> Iterator[tuple[str, str, str]]:
    """Yield the place, an option it names, and the command that it is about."""
    callbacks = {
        command.callback.__wrapped__.__name__
        if hasattr(command.callback, "__wrapped__")
        else command.callback.__name__: name
        for name, command in COMMANDS.items()
    }
    for file, function, text, line in strings():
        place = f"{file}:{line}"
        for quoted in QUOTED.findall(text):
            words = quoted.removeprefix("earful ").split()
            name = next(
                (name for name in COMMANDS if words[: len(name.split())] == name.split()), ""
            )
            for option in OPTION.findall(quoted):
                yield place, option, name
        plain = QUOTED.sub("", text)
        if " " not in plain.strip() or file.endswith("option_families.py"):
            continue
        for option in OPTION.findall(plain):
            if option in ELSEWHERE.get(file, ()):
                continue
            names = LIBRARY.get(f"{file}:{function}") or LIBRARY.get(file)
            if names is None:
                names = (callbacks.get(function, NOBODY),)
            for name in names:
                yield place, option, name


@cache
def advice() -> list[tuple[str, str, str]]:
    """All that is advised."""
    return sorted(set(advised()))


def test_there_is_advice_to_check() -> None:
    assert len(COMMANDS) > 25
    assert len(advice()) > 60
    assert ("--repair", "index verify") in {one[1:] for one in advice()}
    assert ("--allow-outside", "evaluate") in {one[1:] for one in advice()}
    assert "--max-duration-s" not in OPTIONS["classify"]


def test_every_option_that_is_advised_exists() -> None:
    unread = [f"{place}: {option}" for place, option, name in advice() if name == NOBODY]
    assert not unread, "Who reads of these? Add it above.\n" + "\n".join(unread)
    wrong = [
        f"{place}: {option} of `earful {name}`"
        for place, option, name in advice()
        if option not in OPTIONS.get(name, set()) | ROOT_OPTIONS
    ]
    assert not wrong, "\n".join(wrong)


# A setting that no option changes is to be named as what it is: one of a program.
SETTING = re.compile(r"\b(?:change|raise|lower|extend|increase|lift) (?:the|its|that) limit\b")
BY_PROGRAM = re.compile(r"\bin a program, by [A-Z]\w+")


def test_a_limit_is_changed_where_the_message_says() -> None:
    texts = [(f"{file}:{line}", text) for file, _, text, line in strings() if SETTING.search(text)]
    assert len(texts) > 3
    wrong = [
        f"{place}: {text}"
        for place, text in texts
        if not BY_PROGRAM.search(text) and not OPTION.search(text)
    ]
    assert not wrong, "\n".join(wrong)
    assert SETTING.search("convert it, or change the limit")
    assert not BY_PROGRAM.search("convert it, or change the limit")


def golden() -> list[tuple[str, str]]:
    lines = (ROOT / "tests/golden/errors.txt").read_text(encoding="utf-8").splitlines()
    found, command = [], ""
    for line in lines:
        if line.startswith("earful "):
            command = line.removeprefix("earful ")
        elif line.strip():
            found.append((command, line))
    return found


@pytest.mark.parametrize(("command", "line"), golden())
def test_every_option_in_a_golden_error_exists(command: str, line: str) -> None:
    words = command.split()
    name = next(name for name in COMMANDS if words[: len(name.split())] == name.split())
    for quoted in QUOTED.findall(line):
        inner = quoted.removeprefix("earful ").split()
        whole = next(x for x in COMMANDS if inner[: len(x.split())] == x.split())
        assert set(OPTION.findall(quoted)) <= OPTIONS[whole] | ROOT_OPTIONS
    assert set(OPTION.findall(QUOTED.sub("", line))) <= OPTIONS[name] | ROOT_OPTIONS
