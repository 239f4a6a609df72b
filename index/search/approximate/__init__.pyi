from .committing import commit_segments
from .compacting import compact_rows
from .partitioning import LEAST_ROWS, default_partitions, partition_rows
from .row_scans import contents_among
from .segment_records import Segment, find_segments
from .segments import Partitions, build_segment, train_partitions
from .settings import Approximate, PartitionRecall
from .truth import Truth, find_truth

__all__ = [
    "LEAST_ROWS",
    "Approximate",
    "PartitionRecall",
    "Partitions",
    "Segment",
    "Truth",
    "build_segment",
    "commit_segments",
    "compact_rows",
    "contents_among",
    "default_partitions",
    "find_segments",
    "find_truth",
    "partition_rows",
    "train_partitions",
]
