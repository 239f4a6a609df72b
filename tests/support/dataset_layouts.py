"""A small tree of every declared dataset, in its publisher's layout, with its traps."""

from tests.support import caption_layouts, music_layouts, speech_layouts, tag_layouts
from tests.support.layout_registry import LAYOUTS

__all__ = ["LAYOUTS", "caption_layouts", "music_layouts", "speech_layouts", "tag_layouts"]
