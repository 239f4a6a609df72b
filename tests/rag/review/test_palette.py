"""The order of the labels that a reviewer chooses from."""

import os
from pathlib import Path

import pytest

from earful.rag.review import ReviewSession
from earful.rag.review.candidates import ScanSource
from earful.rag.review.settings import ReviewSettings
from tests.support.review_scans import made_scan, opened, said


def test_labels_keep_their_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    scan = made_scan(tmp_path, [0.9, 0.8, 0.7, 0.6, 0.5])
    session = opened(scan)
    items = session.next_items(5, reviewer="ana", strategy="top")
    for one, label in zip(items, ["owl", "bat", "bat", "bat"], strict=False):
        last = session.label(said(one, label=label)).label
    session.undo(last.seq, "ana")
    # However often each is used.
    assert list(session.labels) == ["wren", "owl", "bat"]
    assert list(opened(scan).labels) == list(session.labels)
    given = ReviewSession(
        ScanSource(scan, ReviewSettings()), labels=("frog", "bat"), more_labels=("adder", "owl")
    )
    assert list(given.labels) == ["frog", "bat", "wren", "owl", "adder"]
    session.label(said(items[4], label="ant"))
    assert list(session.labels) == ["wren", "owl", "bat", "ant"]
    assert list(given.labels) == ["frog", "bat", "wren", "owl", "adder", "ant"]
