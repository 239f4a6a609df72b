"""The limit of the fast suite's processor time."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.fast_suite import LIMIT_S, Spent


def report(cpu_s: float, *, when: str = "teardown", slow: bool = False) -> Any:
    keywords = {"slow": 1} if slow else {}
    return SimpleNamespace(when=when, keywords=keywords, user_properties=[("cpu_s", cpu_s)])


def ended(spent: Spent) -> Any:
    session: Any = SimpleNamespace(exitstatus=pytest.ExitCode.OK)
    spent.pytest_sessionfinish(session)
    return session.exitstatus


def said(spent: Spent) -> str:
    lines: list[str] = []
    reporter: Any = SimpleNamespace(write_line=lambda line, red: lines.append(line))
    spent.pytest_terminal_summary(reporter)
    return "".join(lines)


def test_a_suite_over_the_limit_fails_and_says_what_to_do() -> None:
    spent = Spent()
    spent.pytest_runtest_logreport(report(LIMIT_S - 1))
    # A test ends once, and slow ones count for nothing.
    spent.pytest_runtest_logreport(report(LIMIT_S, when="call"))
    spent.pytest_runtest_logreport(report(LIMIT_S, slow=True))
    assert ended(spent) == pytest.ExitCode.OK
    assert f"{LIMIT_S - 1:.0f} of at most {LIMIT_S:.0f} seconds" in said(spent)
    spent.pytest_runtest_logreport(report(2))
    assert ended(spent) == pytest.ExitCode.TESTS_FAILED
    assert "mark them slow" in said(spent)
