"""One self-contained HTML file: text, tables, plots and players, for reports and maps.

Nothing is fetched: plotly's script stands in the file, short recordings are data URIs, and
the page's own policy forbids the network. Whatever comes out of a corpus is escaped, also
inside the JSON of a plot, so that a label stays text whatever it is called.
"""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from earful.errors import AudioError
from earful.files import write_atomically
from earful.model.audio import load_isolated, probe_isolated

Figure = Mapping[str, Any]
"""A plot as plotly's JSON: ``data``, a list of traces, and ``layout``."""

PLAYER_RATE = 16_000
_BUDGET_BYTES = 24 << 20
_MOST_PLAYED_S = 6.0

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2330; --paper: #fff; --line: #d5dae3; --soft: #f3f5f9 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9f0; --paper: #14181f; --line: #333b49; --soft: #1d232d }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 66rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .6rem 0 }
th, td { text-align: left; padding: .2rem .7rem; border-bottom: 1px solid var(--line) }
td.number, th.number { text-align: right }
th { background: var(--soft); cursor: pointer; white-space: nowrap }
figure { margin: 1rem 0 } figcaption { font-size: .9rem; opacity: .8 }
.plot { width: 100%; background: #fff }
.scroll { overflow-x: auto }
audio { height: 28px; vertical-align: middle; max-width: 15rem }
.verdict { padding: .7rem 1rem; background: var(--soft); border-left: 4px solid #3b7dd8 }
"""

# Sorts a table by the clicked column, numbers as numbers; draws plots when all is loaded.
_SCRIPT = """
for (const head of document.querySelectorAll("th")) head.addEventListener("click", () => {
  const table = head.closest("table"), body = table.tBodies[0];
  const column = [...head.parentNode.children].indexOf(head);
  const down = head.dataset.down !== "yes";
  for (const other of head.parentNode.children) delete other.dataset.down;
  head.dataset.down = down ? "yes" : "no";
  const key = row => row.cells[column].dataset.key ?? row.cells[column].textContent;
  const rows = [...body.rows].sort((a, b) => {
    const x = key(a), y = key(b), gap = Number(x) - Number(y);
    const order = Number.isNaN(gap) ? x.localeCompare(y) : gap;
    return down ? -order : order;
  });
  body.append(...rows);
});
for (const source of document.querySelectorAll("script.figure")) {
  const figure = JSON.parse(source.textContent);
  const target = document.getElementById(source.dataset.of);
  Plotly.newPlot(target, figure.data, figure.layout, {responsive: true, displaylogo: false});
  if (figure.players) target.on("plotly_click", told => {
    const wanted = figure.players[told.points[0].customdata?.[0] ?? -1];
    const player = document.getElementById(source.dataset.of + "-player");
    if (wanted) { player.src = wanted; player.play().catch(() => {}); }
  });
}
"""

_LAYOUT: Mapping[str, Any] = {
    "template": None,
    "paper_bgcolor": "#ffffff",
    "plot_bgcolor": "#ffffff",
    "font": {"family": "system-ui, sans-serif", "size": 12, "color": "#1c2330"},
    "margin": {"l": 60, "r": 20, "t": 20, "b": 50},
    "colorway": ["#3b7dd8", "#d8683b", "#3ba55d", "#8c56c2", "#c2a13b", "#5f6b7a"],
}


class Cell:
    """A table's cell with markup of the page's own making, such as a player.

    Args:
        markup: Trusted HTML, made by a method of ``Page``.
        key: What the cell sorts by.
    """

    def __init__(self, markup: str, key: str = "") -> None:
        self.markup = markup
        self.key = key


class Page:
    """A page under construction; parts come in the order in which they are added.

    Args:
        title: Of the page.
        budget_bytes: Most audio that is put into the file; beyond it players become the
            names of their files.
    """

    def __init__(self, title: str, *, budget_bytes: int = _BUDGET_BYTES) -> None:
        self._title = title
        self._parts: list[str] = []
        self._has_plots = False
        self._left = budget_bytes
        self._n_left_out = 0

    def text(self, text: str, *, is_verdict: bool = False) -> None:
        """Add a paragraph."""
        kind = ' class="verdict"' if is_verdict else ""
        self._parts.append(f"<p{kind}>{_safe(text)}</p>")

    def items(self, texts: Sequence[str]) -> None:
        """Add a list."""
        if texts:
            rows = "".join(f"<li>{_safe(text)}</li>" for text in texts)
            self._parts.append(f"<ul>{rows}</ul>")

    def section(self, title: str) -> None:
        """Begin a section."""
        self._parts.append(f"<h2>{_safe(title)}</h2>")

    def details(self, title: str, text: str) -> None:
        """Add text that is folded away."""
        self._parts.append(
            f"<details><summary>{_safe(title)}</summary><pre>{_safe(text)}</pre></details>"
        )

    def table(
        self, columns: Sequence[str], rows: Sequence[Sequence[str | float | Cell]], *, name: str
    ) -> None:
        """Add a table that a click on a column's head sorts.

        Args:
            columns: Their heads.
            rows: Cells; numbers are shown with three decimals when they are no whole ones.
            name: Id of the table in the page.
        """
        numeric = [bool(rows) and not isinstance(cell, (str, Cell)) for cell in (rows or [[]])[0]]
        numeric += [False] * (len(columns) - len(numeric))
        heads = "".join(
            f"<th{_kind(is_number)}>{_safe(column)}</th>"
            for column, is_number in zip(columns, numeric, strict=True)
        )
        body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
        self._parts.append(
            f'<div class="scroll"><table id="{_safe(name)}"><thead><tr>{heads}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>"
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
        """Add a plot.

        Args:
            name: Id of its place in the page.
            data: Traces, as plotly takes them.
            layout: Changes to the layout that all plots share.
            caption: What it shows.
            height: In pixels.
            players: What a click on a point plays, by the first of its ``customdata``.
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
        told = f"<figcaption>{_safe(caption)}</figcaption>" if caption else ""
        self._parts.append(
            f'<figure><div class="plot" id="{_safe(name)}" style="height:{height}px"></div>'
            f"{player}{told}</figure>"
            f'<script type="application/json" class="figure" data-of="{_safe(name)}">'
            f"{_json(figure)}</script>"
        )

    def player(self, path: Path, start_s: float = 0.0, end_s: float | None = None) -> Cell:
        """Return a player of a recording for a table, or its name when it cannot be played.

        At most six seconds are put into the page, and nothing beyond its budget.
        """
        source = self.audio_source(path, start_s, end_s)
        if not source:
            return Cell(_safe(path.name), path.name)
        return Cell(f'<audio controls preload="none" src="{source}"></audio>', path.name)

    def audio_source(self, path: Path, start_s: float = 0.0, end_s: float | None = None) -> str:
        """Return a recording as a data URI; empty when it cannot be read or exceeds the budget."""
        import soundfile

        if self._left <= 0:
            self._n_left_out += 1
            return ""
        until_s = start_s + _MOST_PLAYED_S
        try:
            if end_s is None or end_s > until_s:
                end_s = until_s if probe_isolated(path).duration_s > until_s else None
            clip = load_isolated(path, sample_rate=PLAYER_RATE, start_s=start_s, end_s=end_s)
        except AudioError:
            return ""
        file = io.BytesIO()
        soundfile.write(file, clip.samples, PLAYER_RATE, format="FLAC", subtype="PCM_16")
        encoded = base64.b64encode(file.getvalue()).decode("ascii")
        self._left -= len(encoded)
        return f"data:audio/flac;base64,{encoded}"

    def render(self) -> str:
        """Return the whole page."""
        if self._n_left_out:
            self.text(f"{self._n_left_out} recordings are named only, to keep this file small.")
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
            f"<title>{_safe(self._title)}</title><style>{_STYLE}</style></head><body>"
            f"<h1>{_safe(self._title)}</h1>{''.join(self._parts)}"
            f"{script}<script>{_SCRIPT}</script></body></html>\n"
        )

    def write(self, path: Path) -> None:
        """Write the page in one piece.

        Raises:
            OSError: The folder is missing or cannot be written.
        """
        # Half characters, such as those of a path that is no text, are spelt out.
        write_atomically(path, self.render().encode("utf-8", "backslashreplace").decode())


def _cell(value: str | float | Cell) -> str:
    if isinstance(value, Cell):
        return f'<td data-key="{_safe(value.key)}">{value.markup}</td>'
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
