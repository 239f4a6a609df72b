"""Write docs/troubleshooting.md and docs/messages.md; ``--check`` only compares.

What to do about each kind of error is written by hand, in ``troubleshooting.preface.md``. To each
section come the messages of its kind as users read them (``tests/golden/errors.txt``), and
``docs/messages.md`` lists every sentence that the code can raise. Run it with ``./dev docs``.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from docs.written import write_or_check

from earful import errors
from earful.errors import BUG, HELP_PAGE, MEMORY, SYSTEM, USAGE, EarfulError

ROOT = Path(__file__).resolve().parent.parent
PAGE, MESSAGES = ROOT / HELP_PAGE, ROOT / "docs" / "messages.md"
PREFACE = PAGE.with_name("troubleshooting.preface.md")
GOLDEN = ROOT / "tests" / "golden" / "errors.txt"
FOLDERS = ("src/earful", "model", "index", "rag")
# Sections for what is none of the library's own errors.
OTHERS = (USAGE, SYSTEM, MEMORY, BUG)
_MOST_SHOWN = 180
_FEWEST_WORDS = 3

_MESSAGES_HEAD = """\
# All messages

Written by `./dev docs` from the code: every sentence that an error of earful can say, by the
section of [troubleshooting](troubleshooting.md) that its line of help names. `…` stands for what a
message fills in: a path, a name, a number. Wrong arguments in a program are a `ValueError` or a
`TypeError` of Python, and not listed.
"""


def kinds() -> Mapping[str, str]:
    """Return the anchor of each class of the tree of errors."""
    return {
        name: kind.anchor
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, EarfulError)
    }


def shown_messages() -> Mapping[str, list[str]]:
    """Return the messages of the golden file by anchor, each cut to a line."""
    found: dict[str, list[str]] = defaultdict(list)
    for block in GOLDEN.read_text(encoding="utf-8").split("\n\n"):
        lines = [line.strip() for line in block.splitlines()[1:]]
        (anchor,) = (line.rpartition("#")[2] for line in lines if line.startswith("help: "))
        for line in lines:
            if line.lower().startswith("error: "):
                cut = line if len(line) <= _MOST_SHOWN else f"{line[:_MOST_SHOWN]} ..."
                found[anchor].append(cut)
    return found


def sections() -> Iterator[str]:
    """Yield the page of troubleshooting as Markdown."""
    shown, counts = shown_messages(), {anchor: len(all_) for anchor, all_ in raised().items()}
    head, *written = re.split(r"^(?=## )", PREFACE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    anchors = [text.split("\n", 1)[0].removeprefix("## ") for text in written]
    wanted = {*kinds().values(), *OTHERS}
    if set(anchors) != wanted or len(anchors) != len(wanted):
        off = sorted(set(anchors) ^ wanted)
        raise SystemExit(f"{PREFACE.name}: expected a section for each kind of error, see {off}")
    yield head
    for anchor, text in zip(anchors, written, strict=True):
        yield text.rstrip() + "\n"
        if lines := shown.get(anchor):
            yield "Such as:\n\n```text\n" + "\n".join(lines) + "\n```\n"
        if n := counts.get(anchor):
            yield f"[All {n} messages](messages.md#{anchor}) of this kind.\n"


@cache
def raised() -> Mapping[str, list[str]]:
    """Return every message of the code by anchor, sorted, with what it fills in left out."""
    known = dict(kinds())
    paths = (path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py")))
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in paths]
    # Kinds that a room has for itself are explained where those are that they descend from.
    own = {
        node.name: [base.id for base in node.bases if isinstance(base, ast.Name)]
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.name.endswith("Error")
    }
    for _ in own:
        known |= {
            n: known[b] for n, bases in own.items() for b in bases if b in known and n not in known
        }
    found: dict[str, set[str]] = defaultdict(set)
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
            anchor = known.get(getattr(node.exc.func, "id", ""))
            text = _template(node.exc.args[0])
            if anchor and len(re.findall(r"[A-Za-z]{2,}", text)) >= _FEWEST_WORDS:
                found[anchor].add(text)
    return {
        anchor: sorted(texts, key=lambda text: (text.lstrip("…:' "), text))
        for anchor, texts in found.items()
    }


def _template(text: ast.expr) -> str:
    if isinstance(text, ast.Constant):
        return str(text.value)
    if isinstance(text, ast.JoinedStr):
        return "".join(_template(part) for part in text.values)
    if isinstance(text, ast.BinOp):
        return _template(text.left) + _template(text.right)
    return "…"


def messages() -> Iterator[str]:
    """Yield the page of all messages as Markdown."""
    yield _MESSAGES_HEAD
    for anchor, texts in sorted(raised().items()):
        yield f"## {anchor}\n\n[What to do](troubleshooting.md#{anchor})\n"
        yield "```text\n" + "\n".join(" ".join(text.split()) for text in texts) + "\n```\n"


def main() -> None:
    """Write the pages, or with ``--check`` fail when they are not current."""
    written = {PAGE: sections(), MESSAGES: messages()}
    write_or_check({page: "\n".join(parts).rstrip() + "\n" for page, parts in written.items()})


if __name__ == "__main__":
    main()
