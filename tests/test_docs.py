"""What the documents name exists, and what notebooks show is of no one machine."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    page
    for folder in (ROOT, ROOT / "docs", ROOT / "training")
    for page in folder.glob("*.md")
    if page.name != "CHANGELOG.md"  # tells of files that were
]
FOLDERS = "tests|rag|index|model|training|benchmarks|src|docs|notebooks"
NAMED = re.compile(rf"[`(](?:\.\./)?((?:{FOLDERS})/[\w./-]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_that_a_page_names_exist(page: Path) -> None:
    named = set(NAMED.findall(page.read_text(encoding="utf-8")))
    made_up = {path for path in named if "NAME" in path}
    assert [path for path in sorted(named - made_up) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda p: p.name)
def test_notebooks_tell_nothing_of_the_machine_that_executed_them(page: Path) -> None:
    # Before a path there is no character of base64.
    places = re.compile(r"(?<![\w/+])/(?:(?:home|root|tmp|Users)/[\w.-]+|[\w./-]+/notebooks\b)")
    assert places.findall(page.read_text(encoding="utf-8")) == []
