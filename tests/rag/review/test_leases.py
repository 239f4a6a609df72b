"""Leases, against a dictionary."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earful.rag.review.queues import LeasedError, Leases
from tests.support.review_scans import Clock

CLIENTS = [("ana", "1"), ("ana", "2"), ("bo", "1")]
calls = st.lists(
    st.tuples(
        st.sampled_from(["take", "wait", "end", "release"]),
        st.sampled_from("abc"),
        st.sampled_from(CLIENTS),
        st.integers(1, 90),
    ),
    max_size=40,
)


@settings(max_examples=50)
@given(calls)
def test_an_item_is_with_one_client_for_two_minutes(
    rows: list[tuple[str, str, tuple[str, str], int]],
) -> None:
    clock = Clock()
    leases = Leases(120, clock)
    held: dict[str, tuple[tuple[str, str], float]] = {}
    for call, item, who, seconds in rows:
        held = {one: own for one, own in held.items() if own[1] > clock.now}
        if call == "wait":
            clock.now += seconds
        elif call == "end":
            leases.end([item])
            held.pop(item, None)
        elif call == "release":
            assert sorted(leases.release(who[1])) == sorted(
                one for one, own in held.items() if own[0][1] == who[1]
            )
            held = {one: own for one, own in held.items() if own[0][1] != who[1]}
        elif item in held and held[item][0] != who:
            with pytest.raises(LeasedError):
                leases.take(item, *who)
        else:
            assert leases.take(item, *who).until == clock.now + 120
            held[item] = who, clock.now + 120
        for each in CLIENTS:
            now = {one for one, own in held.items() if own[0] == each and own[1] > clock.now}
            assert set(leases.held(*each)) == now
