"""A small tree of every declared dataset, in its publisher's layout, with its traps."""

from tests.support.dataset_layouts import events, music, questions, speech
from tests.support.dataset_layouts.registry import LAYOUTS

__all__ = ["LAYOUTS", "events", "music", "questions", "speech"]
