from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from earful.errors import TaskError
from earful.index import Index
from earful.rag import FewShot
from earful.rag.evaluation import evaluate
from earful.rag.evaluation.items import items_of_index
from tests.support.tone_evaluations import QUICK, TASK


def test_a_split_that_is_not_there_names_the_index_and_its_splits(index: Path) -> None:
    with pytest.raises(TaskError, match=r"\.index: unknown split 'tset' .*; known: test, train\. "):
        evaluate(FewShot.open(index), TASK, settings=replace(QUICK, split="tset"))


def test_items_are_drawn_with_the_labels_taking_turns(index: Path) -> None:
    items = items_of_index(TASK, Index.open(index).vectors())
    few = items.limited(7, seed=0)
    assert sorted(Counter(item.labels[0] for item in few.items).values()) == [2, 2, 3]
    assert few.items == items.limited(7, seed=0).items
    assert "7 of 18 items were drawn" in few.notes[0]
    assert items.limited(None, seed=0) is items
