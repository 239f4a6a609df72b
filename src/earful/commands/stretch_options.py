"""Options of a stretch of a recording, in seconds or as times with colons."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from earful.rag.retrieval import AskOptions


def time_s(given: str | float) -> float:
    """Return seconds of a time as it is typed, to be a ``parser`` of options.

    Raises:
        typer.BadParameter: It is none.
    """
    from earful.model.audio import parse_time_s

    try:
        seconds = float(given) if not isinstance(given, str) else parse_time_s(given)
    except ValueError as error:
        raise typer.BadParameter(f"{error}, got {given!r}") from None
    if not 0 <= seconds < math.inf:
        raise typer.BadParameter(f"expected 0 or more seconds, got {given!r}")
    return seconds


StartOption = Annotated[
    float,
    typer.Option(
        parser=time_s, metavar="TIME", help="Start of the stretch: seconds, or 1:02:03.5."
    ),
]
EndOption = Annotated[
    float | None,
    typer.Option(
        parser=time_s, metavar="TIME", help="End of the stretch; default: that of the recording."
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class StretchOptions:
    """The stretch of the recording that is asked about."""

    start_s: StartOption = 0.0
    end_s: EndOption = None

    def given(self) -> dict[str, bool]:
        """Return the options, and whether each is given."""
        return {"--start-s": self.start_s != 0.0, "--end-s": self.end_s is not None}

    def place(self) -> dict[str, float | None]:
        """Return the stretch as plain JSON values."""
        return {"start_s": self.start_s, "end_s": self.end_s}

    def ask_options(self) -> AskOptions:
        """Return it as ``AskOptions`` of ``FewShot``.

        Raises:
            typer.BadParameter: It ends before it begins.
        """
        if self.end_s is not None and not self.end_s > self.start_s:
            raise typer.BadParameter(
                f"expected more than --start-s {self.start_s:g}, got {self.end_s:g}, in seconds",
                param_hint="--end-s",
            )
        return {"start_s": self.start_s, "end_s": self.end_s}
