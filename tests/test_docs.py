"""What the documents name exists and is current, and what notebooks show is of no one machine."""

import inspect
import re
from pathlib import Path

import pytest
from docs import doors

from earful import errors
from earful.errors import EarfulError, help_link
from tests.test_doors import offered, rooms

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    page
    for folder, pattern in ((ROOT, "*.md"), (ROOT / "docs", "**/*.md"), (ROOT / "training", "*.md"))
    for page in folder.glob(pattern)
    # One tells of files that were; the others are listed without links.
    if page.name != "CHANGELOG.md"
    and not (page.parent.name == "reference" and page.stem != "index")
]
LINK = re.compile(r"\]\(([^)#:\s]*)(#[^)\s]*)?\)")
FOLDERS = "tests|rag|index|model|training|benchmarks|src|docs|notebooks"
NAMED = re.compile(rf"[`(](?:\.\./)?((?:{FOLDERS})/[\w./-]+)")


def anchors_of(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    text = re.sub(
        r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", words).strip().replace(" ", "-")
        n = 0
        while (own := f"{slug}-{n}" if n else slug) in found:
            n += 1
        found.add(own)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_that_a_page_names_exist(page: Path) -> None:
    named = set(NAMED.findall(page.read_text(encoding="utf-8")))
    made_up = {path for path in named if "NAME" in path}
    assert [path for path in sorted(named - made_up) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    lost = []
    for path, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        target = page.parent / path if path else page
        if not target.exists():
            lost.append(path)
        elif anchor and target.suffix == ".md" and anchor[1:] not in anchors_of(target):
            lost.append(f"{path}{anchor}")
    assert lost == []


def test_every_error_names_a_section_that_is_there() -> None:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    anchors = {kind.anchor for kind in kinds if issubclass(kind, EarfulError)}
    assert len(anchors) == len([kind for kind in kinds if issubclass(kind, EarfulError)])
    page, _, _ = help_link("other").partition("#")
    assert anchors <= anchors_of(ROOT / page)
    assert anchors_of(ROOT / "docs/messages.md") - {"all-messages"} <= anchors


def test_every_name_of_every_door_is_in_the_reference() -> None:
    shown = doors.pages()
    for name, stub in rooms().items():
        if names := offered(stub):
            page = doors.TARGET / f"{name}.md"
            assert page.read_text(encoding="utf-8") == shown[page]
            assert {f"::: {name}.{offer}" for offer in names} <= set(shown[page].splitlines())


def test_numbers_of_the_limits_stand_on_the_pages_that_they_link_to() -> None:
    text = (ROOT / "docs/limits.md").read_text(encoding="utf-8")
    for point in re.split(r"\n(?=- |#|\n)", text):
        linked = [path for path, _ in LINK.findall(point) if path]
        pages = "".join((ROOT / "docs" / path).read_text(encoding="utf-8") for path in linked)
        for number in re.findall(r"\d+\.\d+%?", re.sub(r"\]\([^)]*\)", "", point)):
            assert not linked or number in pages, (number, linked)


@pytest.mark.parametrize("page", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda p: p.name)
def test_notebooks_tell_nothing_of_the_machine_that_executed_them(page: Path) -> None:
    # Before a path there is no character of base64.
    places = re.compile(r"(?<![\w/+])/(?:(?:home|root|tmp|Users)/[\w.-]+|[\w./-]+/notebooks\b)")
    assert places.findall(page.read_text(encoding="utf-8")) == []
