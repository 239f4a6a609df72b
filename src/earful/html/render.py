"""Templates: HTML from ``templates/`` by jinja2, in which every value is escaped."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from earful.wording import counted

if TYPE_CHECKING:
    import jinja2


def render(template: str, **values: object) -> str:
    """Return the HTML of a template.

    Beside jinja2's own filters there are ``percent`` (one decimal), ``grouped`` (separators of
    thousands) and ``counted`` (a number and its words).

    Args:
        template: Name of a file in ``templates/``, such as ``"page.html"``.
        values: What its names stand for. All of them are escaped, but ``markupsafe.Markup``.

    Raises:
        jinja2.UndefinedError: The template uses a name that is not among the values.
    """
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> jinja2.Environment:
    # Loaded when a page is made: most commands make none.
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("earful.html"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(counted=counted, percent="{:.1%}".format, grouped="{:,}".format)
    return environment
