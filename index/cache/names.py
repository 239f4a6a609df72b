"""Names of what an index folder holds of caches: all of it can be made again."""

from __future__ import annotations

from typing import Final

from earful.index.cache.features import FEATURES_NAME
from earful.index.cache.label_counts import LABEL_COUNTS_NAME
from earful.index.cache.prepared import PREPARED_NAME
from earful.index.cache.scores import REPLAYS_NAME
from earful.index.cache.snapshot import SNAPSHOT_NAME

CACHE_NAMES: Final = (
    FEATURES_NAME,
    LABEL_COUNTS_NAME,
    PREPARED_NAME,
    REPLAYS_NAME,
    SNAPSHOT_NAME,
)
"""Files and folders of an index folder that are caches of it; an evaluation keeps its own."""
