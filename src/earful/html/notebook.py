"""Notebooks: values as HTML that brings its own style, players and small spectrograms."""

from __future__ import annotations

import logging
from collections.abc import Callable

_log = logging.getLogger(__name__)

_BUDGET_BYTES = 1_500_000


def notebook_html(template: str) -> Callable[[object], str | None]:
    """Return a method ``_repr_html_`` that renders a template.

    The template gets the object as ``value``, and as ``players`` what plays recordings. The method
    never raises: a notebook shows the ``repr`` of what cannot be rendered.

    Args:
        template: As for ``render``.
    """

    def show(value: object) -> str | None:
        try:
            # Only a notebook needs templates, players and spectrograms.
            from earful.html.player import Players
            from earful.html.render import render

            return render(template, value=value, players=Players(_BUDGET_BYTES))
        except Exception:
            # Whatever it is, an object must not be a reason for a cell of a notebook to fail.
            _log.warning("%s cannot be shown as HTML", type(value).__name__, exc_info=True)
            return None

    return show
