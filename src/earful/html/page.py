"""Pages: self-contained HTML files of text, tables, charts and players, for reports and maps.

Each page is a template of ``templates/`` that extends ``page.html``. Nothing is fetched: charts are
drawn into the file, short recordings are data URIs, and the page's own policy forbids the network.
Whatever comes from a corpus is escaped by the templates, so that a label stays text.

``page.css`` is the style. ``page.js`` sorts tables, plays recordings and moves the map. Both are
copied into every page.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final

from earful.files import write_atomically
from earful.html.player import Players
from earful.html.render import render

PAGE_MARK: Final = b'<meta name="generator" content="earful">'
"""What every page has among its first 2,048 bytes."""

_BUDGET_BYTES = 24 << 20


class Page:
    """A page under construction, with the recordings that it plays.

    Args:
        title: Title of the page.
        budget_bytes: Most audio that is embedded in the file; recordings beyond it are named only.

    Attributes:
        title: As given.
        sounds: Recordings that can be played, as data URIs by the id that a template names.
    """

    def __init__(self, title: str, *, budget_bytes: int = _BUDGET_BYTES) -> None:
        self.title = title
        self.sounds: dict[str, str] = {}
        self._players = Players(budget_bytes)

    def add_sound(
        self, id_: str, path: Path, start_s: float = 0.0, end_s: float | None = None
    ) -> None:
        """Embed a recording once, for all places that play it.

        One that cannot be read, or exceeds the budget, is left out; templates name it instead.
        """
        if id_ not in self.sounds and (source := self._players.source(path, start_s, end_s)):
            self.sounds[id_] = source

    def render(self, template: str, **values: object) -> str:
        """Return the whole page by a template that extends ``page.html``."""
        return render(
            template,
            page=self,
            n_left_out=self._players.n_left_out,
            n_cut=self._players.n_cut,
            style=_text_of("page.css"),
            script=_text_of("page.js"),
            **values,
        )

    def write(self, path: Path, template: str, **values: object) -> None:
        """Write the page atomically.

        Raises:
            OSError: The folder is missing or cannot be written.
        """
        # Half characters, such as those of a path that is not Unicode, are spelt out.
        text = self.render(template, **values)
        write_atomically(path, text.encode("utf-8", "backslashreplace").decode())


@cache
def _text_of(name: str) -> str:
    return resources.files("earful.html").joinpath(name).read_text(encoding="utf-8")
