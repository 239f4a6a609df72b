"""Advice about long recordings: the command that finds where in one a sound is.

The library names its own function and arguments; whoever reads a command's answer is told the
command.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from earful.errors import AudioError
from earful.wording import as_argument


def advise(text: str, audio: str, index: Path | None) -> str:
    """Put commands into a note or an error about a long recording; return others as they are.

    Args:
        text: As the library says it.
        audio: The recording.
        index: Where the examples are; without one a table of examples has to be given.
    """
    from earful.model.audio import BY_TIMES, FIND_WHERE, RAISE_LIMIT, TAKE_STRETCH

    examples = "--examples EXAMPLES.csv" if index is None else f"--index {as_argument(index)}"
    out = as_argument(Path(audio).with_suffix(".scan").name)
    scan = f"earful scan {as_argument(audio)} {examples} -o {out}"
    by_options = "by --start-s and --end-s"
    commands = {
        TAKE_STRETCH + RAISE_LIMIT: (
            f"take a stretch of it {by_options}, or find where a sound is: {scan}"
        ),
        FIND_WHERE: f"find where it is: {scan}",
        BY_TIMES: by_options,
    }
    for said, command in commands.items():
        text = text.replace(said, command)
    return text


@contextmanager
def advising(audio: Path, index: Path | None) -> Iterator[None]:
    """Put commands into an error about a recording that is too long.

    Raises:
        AudioError: As the block raised it, with the commands.
    """
    try:
        yield
    except AudioError as error:
        raise AudioError(advise(str(error), str(audio), index)) from error
