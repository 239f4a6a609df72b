"""Options of language models behind an endpoint: where it is, how it scores, and what it costs."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from earful import console

if TYPE_CHECKING:
    from earful.model import Scoring
    from earful.model.endpoint import EndpointSettings, Prices

ENDPOINT_PREFIX: Final = "openai:"
PRICES_VARIABLE: Final = "EARFUL_PRICES"
_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointOptions:
    """The endpoint of a ``--model openai:NAME``."""

    base_url: Annotated[
        str,
        typer.Option(
            metavar="URL",
            help="Address of the endpoint of a --model openai:NAME, such as "
            "http://localhost:8000/v1; default: that in EARFUL_BASE_URL.",
        ),
    ] = ""
    key_variable: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Environment variable that holds the endpoint's key; default: OPENAI_API_KEY.",
        ),
    ] = ""
    scoring: Annotated[
        str,
        typer.Option(
            help="How an endpoint scores labels: exact, first-token, choice, text, or auto for the "
            "most telling of these that it can; or decisions, which sends no recording and tells "
            "of exemplars in words."
        ),
    ] = "auto"
    prices: Annotated[
        str,
        typer.Option(
            metavar="IN,OUT",
            help="What an endpoint takes for a million tokens read and written, and after them of "
            f"audio; default: those in {PRICES_VARIABLE}, else no cost is told.",
        ),
    ] = ""
    request_field: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=JSON",
            help='Field of every request to an endpoint, such as reasoning_effort="low". '
            "Repeatable.",
        ),
    ] = field(default_factory=list)
    request_timeout: Annotated[
        float, typer.Option(min=1.0, help="Seconds that an endpoint may take for an answer.")
    ] = _TIMEOUT_S
    keep_replies: Annotated[
        bool,
        typer.Option("--keep-replies", help="Keep an endpoint's replies, and ask nothing twice."),
    ] = False

    def given(self) -> dict[str, bool]:
        """Return the options, and whether each is given."""
        return {
            "--base-url": bool(self.base_url),
            "--key-variable": bool(self.key_variable),
            "--scoring": self.scoring != "auto",
            "--prices": bool(self.prices),
            "--request-field": bool(self.request_field),
            "--request-timeout": self.request_timeout != _TIMEOUT_S,
            "--keep-replies": self.keep_replies,
        }

    def settings(self, *, keep_replies: bool = False) -> EndpointSettings:
        """Return them as a language model takes them.

        Args:
            keep_replies: Whether replies are kept in any case.

        Raises:
            typer.BadParameter: One is of another form.
        """
        from earful.model.endpoint import EndpointSettings

        return EndpointSettings(
            base_url=self.base_url,
            key_variable=self.key_variable,
            timeout_s=self.request_timeout,
            scoring=self._scoring(),
            prices=self._prices(),
            fields=dict(map(_field, self.request_field)),
            keep_replies=keep_replies or self.keep_replies,
            on_upload=lambda line: console.warn(f"note: {line}"),
        )

    def _scoring(self) -> Scoring | None:
        from earful.model.endpoint import SCORINGS

        for scoring in SCORINGS:
            if scoring == self.scoring:
                return scoring
        if self.scoring == "auto":
            return None
        raise typer.BadParameter(
            f"expected auto, {', '.join(SCORINGS)}, got {self.scoring!r}", param_hint="--scoring"
        )

    def _prices(self) -> Prices | None:
        from earful.model.endpoint import Prices

        given = self.prices or os.environ.get(PRICES_VARIABLE, "")
        if not given:
            return None
        try:
            return Prices.parse(given)
        except ValueError as error:
            hint = "--prices" if self.prices else PRICES_VARIABLE
            raise typer.BadParameter(str(error), param_hint=hint) from None


def is_endpoint(model: str) -> bool:
    """Whether a name is that of a language model behind an endpoint."""
    return model.startswith(ENDPOINT_PREFIX)


def _field(pair: str) -> tuple[str, Any]:
    name, equals, value = pair.partition("=")
    if not (name and equals):
        raise typer.BadParameter(
            f"expected NAME=JSON, such as seed=1, got {pair!r}", param_hint="--request-field"
        )
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value  # a word without quotes, as a shell leaves it
