"""Rejected rows as people read them: three of each reason, and a count."""

from earful.index.builder import rejection_lines
from earful.index.corpus import Rejection


def gone(n: int, folder: str = "f", *, is_earlier: bool = False) -> Rejection:
    error = f"/r/{folder}/{n}.wav: no such file (looked in /r/{folder}); check the path"
    return Rejection(
        audio=f"{folder}/{n}.wav", where=f"t.csv:{n}", error=error, is_earlier=is_earlier
    )


def test_rows_of_one_reason_are_three_and_a_count() -> None:
    rows = [gone(n, "ab"[n % 2]) for n in range(2, 29)]
    rows.insert(4, Rejection(audio="x.wav", where="t.csv:50", error="/r/x.wav: is empty"))
    lines = rejection_lines(rows, "would be rejected ")
    assert len(lines) == 5
    assert lines[0].startswith("would be rejected t.csv:2: /r/a/2.wav: no such file")
    assert lines[3] == "  and 24 more for the same reason; --json lists all"
    assert lines[4] == "would be rejected t.csv:50: /r/x.wav: is empty"


def test_times_of_their_own_are_no_other_reason() -> None:
    error = "/r/a.wav: lasts 60.0 s, expected a segment from {}.0 s to {}.5 s; correct the times"
    rows = [
        Rejection(audio="a.wav", where=f"t.csv:{n}", error=error.format(n, n))
        for n in range(61, 66)
    ]
    assert rejection_lines(rows, "rejected ")[-1].startswith("  and 2 more")


def test_three_are_listed_and_those_of_earlier_builds_are_marked() -> None:
    lines = rejection_lines([gone(1), gone(2), gone(3), gone(4, is_earlier=True)], "rejected ")
    assert len(lines) == 4
    assert lines[3].startswith("rejected by an earlier build: t.csv:4: ")
