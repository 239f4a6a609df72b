from .commit import UnitDriver
from .merge import MergeReport, merge_indexes
from .shards import CorpusDigest, Shard, require_shard, shard_of
from .staging import STAGING_FOLDER, Staging, clear_other_runs
from .units import Unit, UnitHome, UnitResult, UnitRow, embed_rows, reject_rows

__all__ = [
    "STAGING_FOLDER",
    "CorpusDigest",
    "MergeReport",
    "Shard",
    "Staging",
    "Unit",
    "UnitDriver",
    "UnitHome",
    "UnitResult",
    "UnitRow",
    "clear_other_runs",
    "embed_rows",
    "merge_indexes",
    "reject_rows",
    "require_shard",
    "shard_of",
]
