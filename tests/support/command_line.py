"""Commands through typer's runner: what they print, or how they fail."""

from typer.testing import CliRunner, Result

from earful.cli import app
from earful.errors import EarfulError


def run(*words: object) -> Result:
    """Run a command."""
    return CliRunner().invoke(app, [str(word) for word in words])


def run_fine(*words: object) -> str:
    """Run a command that succeeds; return its standard output."""
    result = run(*words)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def run_refused(*words: object) -> str:
    """Run a command that fails as planned; return all that it says, on one line."""
    result = run(*words)
    assert result.exit_code != 0
    expected = isinstance(result.exception, (EarfulError, SystemExit))
    assert expected, result.exception
    return f"{result.output}{result.exception}".replace("\n", " ")
