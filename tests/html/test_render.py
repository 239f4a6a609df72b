"""Templates: what they are given is text, whatever it contains."""

from collections.abc import Callable

import jinja2
import pytest
from markupsafe import Markup

from earful.html import render
from earful.html.render import _environment


@pytest.fixture
def template(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return what puts one template of a test's own in the place of the package's."""

    def use(source: str) -> None:
        monkeypatch.setattr(_environment(), "loader", jinja2.DictLoader({"t.html": source}))
        monkeypatch.setattr(_environment(), "cache", None)

    return use


def test_escapes_values_but_markup(template: Callable[[str], None]) -> None:
    template("<p title='{{ a }}'>{{ b }}</p>")
    shown = render("t.html", a="'><script>", b=Markup("<b>bold</b>"))
    assert shown == "<p title='&#39;&gt;&lt;script&gt;'><b>bold</b></p>"


def test_refuses_a_name_without_a_value(template: Callable[[str], None]) -> None:
    template("{{ missing }}")
    with pytest.raises(jinja2.UndefinedError, match="missing"):
        render("t.html")
