"""Processor time of the fast suite beside its limit: a run fails where the suite has grown past it.

Processor time, and not the time of a clock: machines are shared, and a run in two processes takes
half as long as one in one.
"""

import os
from typing import Final

import pytest

# Its tests took 372 s on two cores while ten processes wanted them, where the same work takes about
# half as long again as on idle ones.
LIMIT_S: Final = 600.0

_began = pytest.StashKey[float]()


class Spent:
    """Seconds of processor time that tests of the fast suite took.

    Attributes:
        total_s: Of all tests that are not marked slow, with their fixtures and processes.
    """

    def __init__(self) -> None:
        self.total_s = 0.0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add a test of the fast suite, at its end."""
        if report.when == "teardown" and "slow" not in report.keywords:
            self.total_s += float(str(dict(report.user_properties).get("cpu_s", 0.0)))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail the run if the limit was passed."""
        if self.total_s > LIMIT_S:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was spent, and what to do if it is too much."""
        said = f"fast suite: {self.total_s:.0f} of at most {LIMIT_S:.0f} seconds of processor time"
        if self.total_s > LIMIT_S:
            said += "; make tests cheaper, or mark them slow (CONTRIBUTING.md), see --durations=50"
        terminalreporter.write_line(said, red=self.total_s > LIMIT_S)


def pytest_configure(config: pytest.Config) -> None:
    """Count where the results come together."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Spent())


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin to measure a test."""
    item.stash[_began] = _now_s()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Let a test's last report tell what the test took."""
    if call.when == "teardown":
        item.user_properties.append(("cpu_s", round(_now_s() - item.stash[_began], 2)))


def _now_s() -> float:
    """Return the processor time of this process and of those that it waited for."""
    return sum(os.times()[:4])
