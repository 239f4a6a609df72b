"""Pages: self-contained HTML files of text, tables, plots and players, for reports and maps.

Nothing is fetched: charts are drawn into the file (``chart.py``; only a large map brings plotly's
script of four megabytes), short recordings are data URIs, and the page's own policy forbids the
network. Everything that comes from a corpus is escaped, also
inside the JSON of a plot, so that a label stays text whatever it contains.

``page.css`` is the style. ``page.js`` sorts a table by the clicked column, numbers as numbers,
and draws the plots when all is loaded. Both are copied into every page.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from earful.files import write_atomically
from earful.html.player import Players
from earful.wording import counted

Figure = Mapping[str, Any]
"""A plot as plotly's JSON: ``data``, a list of traces, and ``layout``."""

_BUDGET_BYTES = 24 << 20
_PLAYS = " data-players"
_WINNER = ' class="winner"'

_LAYOUT: Mapping[str, Any] = {
    "template": None,
    "paper_bgcolor": "#ffffff",
    "plot_bgcolor": "#ffffff",
    "font": {"family": "system-ui, sans-serif", "size": 12, "color": "#1c2330"},
    "margin": {"l": 60, "r": 20, "t": 20, "b": 50},
    "colorway": ["#3b7dd8", "#d8683b", "#3ba55d", "#8c56c2", "#c2a13b", "#5f6b7a"],
}


class Cell:
    """A table cell with markup, such as a player.

    Args:
        markup: Trusted HTML, made by a method of ``Page``.
        key: The text that the cell is sorted by.
        is_number: Whether it is aligned as a number.
    """

    def __init__(self, markup: str, key: str = "", *, is_number: bool = False) -> None:
        self.markup = markup
        self.key = key
        self.is_number = is_number

    @classmethod
    def share(cls, value: float) -> Cell:
        """Return a cell of a share, in percent.

        >>> Cell.share(0.4567).markup
        '45.7%'
        """
        return cls(f"{value:.1%}", repr(float(value)), is_number=True)


class Page:
    """A page under construction; its parts appear in the order in which they are added.

    Args:
        title: Title of the page.
        budget_bytes: Most audio that is embedded in the file; beyond it, players are replaced
            by the names of their files.
    """

    def __init__(self, title: str, *, budget_bytes: int = _BUDGET_BYTES) -> None:
        self._title = title
        self._parts: list[str] = []
        self._has_plots = False
        self._players = Players(budget_bytes)

    def text(self, text: str) -> None:
        """Add a paragraph."""
        self._parts.append(f"<p>{_safe(text)}</p>")

    def verdict(self, first: str, others: Sequence[str] = (), *, is_urgent: bool = False) -> None:
        """Add a box with what matters most, and what else there is to it below.

        Args:
            first: The sentence that is read first.
            others: A line each.
            is_urgent: Whether it asks for something to be done.
        """
        rows = "".join(f"<li>{_safe(text)}</li>" for text in others)
        listed = f"<ul>{rows}</ul>" if rows else ""
        kind = "verdict first" if is_urgent else "verdict"
        self._parts.append(f'<div class="{kind}"><strong>{_safe(first)}</strong>{listed}</div>')

    def items(self, texts: Sequence[str]) -> None:
        """Add a list."""
        if texts:
            rows = "".join(f"<li>{_safe(text)}</li>" for text in texts)
            self._parts.append(f"<ul>{rows}</ul>")

    def section(self, title: str) -> None:
        """Begin a section."""
        self._parts.append(f"<h2>{_safe(title)}</h2>")

    def details(self, title: str, text: str) -> None:
        """Add text that is shown after a click on its title."""
        self._parts.append(
            f"<details><summary>{_safe(title)}</summary><pre>{_safe(text)}</pre></details>"
        )

    def table(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[str | float | Cell]],
        *,
        name: str,
        winner: int | None = None,
    ) -> None:
        """Add a table that is sorted by a click on a column's head.

        Args:
            columns: Heads of the columns.
            rows: Cells; numbers that are not whole are shown with three decimals.
            name: Id of the table in the page.
            winner: Number of a row to mark.
        """
        numeric = [
            cell.is_number if isinstance(cell, Cell) else not isinstance(cell, str)
            for cell in (rows[0] if rows else [])
        ]
        numeric += [False] * (len(columns) - len(numeric))
        heads = "".join(
            f"<th{_kind(is_number)}>{_safe(column)}</th>"
            for column, is_number in zip(columns, numeric, strict=True)
        )
        body = "".join(
            f"<tr{_WINNER if number == winner else ''}>{''.join(map(_cell, row))}</tr>"
            for number, row in enumerate(rows)
        )
        self._parts.append(
            f'<div class="scroll"><table id="{_safe(name)}"><thead><tr>{heads}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>"
        )

    def chart(
        self, name: str, drawn: str, caption: str = "", *, players: Mapping[str, str] | None = None
    ) -> None:
        """Add a chart.

        Args:
            name: Id of the chart in the page.
            drawn: Markup made by a function of ``chart.py``.
            caption: Text below it.
            players: Audio that a click on a mark plays, by the mark's id.
        """
        shown = f"<figcaption>{_safe(caption)}</figcaption>" if caption else ""
        player = kept = ""
        if players is not None:
            player = '<p class="told"></p><audio controls></audio>'
            kept = (
                f'<script type="application/json" id="{_safe(name)}-players">'
                f"{_json(dict(players))}</script>"
            )
        self._parts.append(
            f'<figure id="{_safe(name)}"{_PLAYS if players is not None else ""}>'
            f'<div class="scroll">{drawn}</div>{player}{shown}</figure>{kept}'
        )

    def plot(
        self,
        name: str,
        data: Sequence[Mapping[str, Any]],
        layout: Mapping[str, Any],
        caption: str = "",
        *,
        height: int = 380,
        players: Mapping[str, str] | None = None,
    ) -> None:
        """Add a plot of plotly's, for more points than a chart can have.

        Args:
            name: Id of the plot in the page.
            data: Traces, as plotly takes them.
            layout: Changes to the layout that all plots share.
            caption: Text below the plot.
            height: Height in pixels.
            players: Audio that a click on a point plays, by the first of its ``customdata``.
        """
        self._has_plots = True
        figure: dict[str, Any] = {
            "data": list(data),
            "layout": {**_LAYOUT, "height": height, **layout},
        }
        player = ""
        if players is not None:
            figure["players"] = dict(players)
            player = f'<audio id="{_safe(name)}-player" controls></audio>'
        shown = f"<figcaption>{_safe(caption)}</figcaption>" if caption else ""
        self._parts.append(
            f'<figure><div class="plot" id="{_safe(name)}" style="height:{height}px"></div>'
            f"{player}{shown}</figure>"
            f'<script type="application/json" class="figure" data-of="{_safe(name)}">'
            f"{_json(figure)}</script>"
        )

    def player(self, path: Path, start_s: float = 0.0, end_s: float | None = None) -> Cell:
        """Return a player of a recording for a table, or its name when it cannot be played.

        At most six seconds are embedded in the page, and nothing beyond its budget.
        """
        source = self.audio_source(path, start_s, end_s)
        if not source:
            return Cell(_safe(path.name), path.name)
        return Cell(f'<audio controls preload="none" src="{source}"></audio>', path.name)

    def audio_source(self, path: Path, start_s: float = 0.0, end_s: float | None = None) -> str:
        """Return a recording as a data URI; empty when it cannot be read or exceeds the budget."""
        return self._players.source(path, start_s, end_s)

    def render(self) -> str:
        """Return the whole page."""
        if n_left_out := self._players.n_left_out:
            named = counted(n_left_out, "recording is", "recordings are")
            self.text(f"{named} named only, to keep this file small.")
        script = ""
        if self._has_plots:
            from plotly.offline import get_plotlyjs

            script = f"<script>{get_plotlyjs()}</script>"
        policy = (
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
            "img-src data: blob:; media-src data: file:; font-src data:"
        )
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
            '<meta name="viewport" content="width=device-width">'
            f"<title>{_safe(self._title)}</title><style>\n{_text_of('page.css')}</style></head><body>"
            f"<h1>{_safe(self._title)}</h1>{''.join(self._parts)}"
            f"{script}<script>\n{_text_of('page.js')}</script></body></html>\n"
        )

    def write(self, path: Path) -> None:
        """Write the page atomically.

        Raises:
            OSError: The folder is missing or cannot be written.
        """
        # Half characters, such as those of a path that is not Unicode, are spelt out.
        write_atomically(path, self.render().encode("utf-8", "backslashreplace").decode())


@cache
def _text_of(name: str) -> str:
    return resources.files("earful.html").joinpath(name).read_text(encoding="utf-8")


def _cell(value: str | float | Cell) -> str:
    if isinstance(value, Cell):
        return f'<td{_kind(value.is_number)} data-key="{_safe(value.key)}">{value.markup}</td>'
    if isinstance(value, str):
        return f"<td>{_safe(value)}</td>"
    shown = f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
    return f'<td class="number" data-key="{value!r}">{shown}</td>'


def _kind(is_number: bool) -> str:
    return ' class="number"' if is_number else ""


def _safe(text: str) -> str:
    return html.escape(text, quote=True)


def _json(value: object) -> str:
    # "</script>" inside a text would end the script, and "<!--" would open a comment.
    text = json.dumps(value, ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
