"""Hooks of the site: files beside ``docs/`` that pages link to, and lists of pages.

The pages are read where they lie as well, so they link to what lies beside ``docs/``: a notebook, a
folder of code. The site holds copies of such files, Markdown as pages; of folders and code it
keeps the words of the link.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
# Of the repository's pages, where each is on the site.
PAGES = {
    "README.md": "project/readme.overview.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "CHANGELOG.md": "project/changelog.md",
    "ATTRIBUTION.md": "project/attribution.md",
    "training/README.md": "project/training.md",
}
COPIED = (".ipynb", ".csv", ".png")
_LINK = re.compile(r"\[([^\[\]]*)\]\(([^()\s]+)\)")
_FETCHED = re.compile(
    r"<(?:script|img|iframe|source|link(?![^>]*canonical))[^>]*(?:src|href)=[\"']?(https?://[^\"'\s>]+)"
)
_FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List the pages that a pattern in ``nav`` means, and at the end those that nobody placed."""
    config.nav = [_listed(entry) for entry in config.nav or ()]
    named = str(config.nav)
    pages = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
    rest = [page for page in pages if f"'{page}'" not in named and ".preface" not in page]
    if rest:
        config.nav.append({"More": rest})
    return config


def _listed(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    ((title, pages),) = entry.items()
    if isinstance(pages, str):
        return entry
    found: list[Any] = []
    for page in pages:
        if isinstance(page, str) and "*" in page:
            paths = sorted(DOCS.glob(page), key=lambda path: (path.stem != "index", path))
            found += [path.relative_to(DOCS).as_posix() for path in paths]
        else:
            found.append(_listed(page))
    return {title: found}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what lies beside ``docs/`` and is linked to."""
    for source, target in PAGES.items():
        files.append(File.generated(config, target, abs_src_path=str(ROOT / source)))
    copied = set()
    for file in list(files.documentation_pages()):
        for _, link in _LINK.findall(file.content_string):
            path = _outside(link, _place(file.src_uri))
            if path and path.endswith(COPIED) and (ROOT / path).is_file():
                copied.add(path)
    for path in sorted(copied):
        files.append(File.generated(config, f"files/{path}", abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links that lead out of ``docs/`` to where the site has what they lead to."""
    here = _place(page.file.src_uri)
    folder = posixpath.dirname(page.file.src_uri)

    def turned(found: re.Match[str]) -> str:
        words, link = found.groups()
        path = _outside(link, here)
        if path is None:
            return found.group()
        _, mark, anchor = link.partition("#")
        if path.startswith("docs/"):
            target = path.removeprefix("docs/")
        else:
            target = PAGES.get(path) or f"files/{path}"
        if files.get_file_from_path(target) is None:
            return words
        return f"[{words}]({posixpath.relpath(target, folder or '.')}{mark}{anchor})"

    kept = _FENCE.split(markdown)
    fences = _FENCE.findall(markdown)
    texts = [_LINK.sub(turned, text) for text in kept]
    return "".join(text + fence for text, fence in zip(texts, [*fences, ""], strict=True))


def on_post_build(config: MkDocsConfig) -> None:
    """Fail where a page would fetch something from another host."""
    for path in sorted(Path(config.site_dir).rglob("*.html")):
        if found := _FETCHED.search(path.read_text(encoding="utf-8")):
            raise PluginError(f"{path.name} fetches {found[1]}, expected nothing from elsewhere")


def _place(src_uri: str) -> str:
    """Return where a page lies in the repository."""
    own = {target: source for source, target in PAGES.items()}
    return own.get(src_uri) or f"docs/{src_uri}"


def _outside(link: str, place: str) -> str | None:
    """Return the path in the repository that a link means, if the site may have it elsewhere."""
    path = link.partition("#")[0]
    if not path or re.match(r"[a-z]+:", path):
        return None
    target = posixpath.normpath(posixpath.join(posixpath.dirname(place), path))
    if place.startswith("docs/") and target.startswith("docs/"):
        return None
    return target
