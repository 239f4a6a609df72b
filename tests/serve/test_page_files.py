"""The page's files: no way for text to become markup, nothing from elsewhere, small."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import earful.serve

PAGE = Path(earful.serve.__file__).parent / "page"
FILES = sorted(path for path in PAGE.rglob("*") if path.is_file())
SCRIPTS = [path for path in FILES if path.suffix == ".js"]
TEXTS = {PAGE / "texts.js", PAGE / "asking" / "texts.js"}

FORBIDDEN = {
    "markup from text": r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser"
    r"|createContextualFragment|setHTMLUnsafe",
    "code from text": r"\beval\b|new Function\b|setTimeout\(\s*[\"'`]|javascript:",
    "inline style": r"<style|style\s*=\s*[\"']|setAttribute\(\s*[\"']style|cssText",
    "inline handler": r"(?:<[a-zA-Z][^>\n]*\s|setAttribute\(\s*[\"'])on[a-z]+(?=\s*[=\"'])"
    r"|\.on[a-z]+\s*=[^=>]",
    "another host": r"https?://(?!www\.w3\.org/2000/svg)|[\"'`]//[a-z]",
}


def name_of(path: Path) -> str:
    return path.relative_to(PAGE).as_posix()


@pytest.mark.parametrize("why", FORBIDDEN)
def test_no_file_holds_what_the_content_policy_is_there_for(why: str) -> None:
    found = {
        name_of(path): match.group()
        for path in FILES
        if (match := re.search(FORBIDDEN[why], path.read_text("utf-8")))
    }
    assert found == {}


def test_the_forbidden_are_found() -> None:
    for why, text in {
        "markup from text": "node.innerHTML = label",
        "code from text": "eval(label)",
        "inline style": '<p style="color: red">',
        "inline handler": "<img onerror=alert(1)>",
        "another host": 'import "https://cdn.example/x.js"',
    }.items():
        assert re.search(FORBIDDEN[why], text), why
    assert re.search(FORBIDDEN["inline handler"], "node.onclick = work")
    assert not re.search(FORBIDDEN["inline style"], "node.style.left = place")


def imports_of(path: Path, how: str = r"(?:from|import\(|addModule\(new URL\()") -> set[Path]:
    found = re.findall(how + r"\s*\"(\.[^\"]+)\"", path.read_text("utf-8"))
    return {(path.parent / name).resolve() for name in found}


def first_visit() -> set[Path]:
    """Return what a browser reads before anybody goes to another screen than the first."""
    read = {PAGE / name for name in ("index.html", "style.css", "icon.svg")}
    waiting = {PAGE / "app.js", PAGE / "screens" / "review.js"}
    while waiting:
        path = waiting.pop()
        read.add(path)
        waiting |= imports_of(path, "from") - read
    return read


def test_a_first_visit_is_a_quarter_of_a_gradio_page_and_all_files_under_250_kilobytes() -> None:
    # Gradio 6.31 sends 530 kB; here screens besides the first are read when somebody goes there.
    assert sum(path.stat().st_size for path in first_visit()) <= 530_000 / 4
    assert sum(path.stat().st_size for path in FILES) <= 250_000


def test_modules_import_files_that_are_there_and_every_file_is_used() -> None:
    used = {PAGE / name for name in ("index.html", "style.css", "icon.svg", "app.js")}
    for path in SCRIPTS:
        used |= imports_of(path)
    assert {name_of(path) for path in used} == {name_of(path) for path in FILES}


@pytest.mark.parametrize("path", [path for path in SCRIPTS if path not in TEXTS], ids=name_of)
def test_every_sentence_lies_in_texts(path: Path) -> None:
    code = re.sub(r"/\*.*?\*/|//[^\n]*", "", path.read_text("utf-8"), flags=re.DOTALL)
    sentences = re.findall(r"[\"'`]([A-Z][a-z]+(?: [a-z]+)+[.?!…]?)[\"'`]", code)
    assert sentences == []


@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_a_module_says_what_it_is(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.startswith("/** ")
    for line in re.findall(r"(?<!\*/\n)^export (?:async )?function (\w+)", text, re.MULTILINE):
        pytest.fail(f"{name_of(path)}: {line} has no comment")
