from .commit import UnitDriver
from .engines import Done, EmbedderByName, Engine, Failed, RayEngine, Worker, WorkerMaker, run_units
from .merge import MergeReport, merge_indexes
from .shards import CorpusDigest, Shard, require_shard, shard_of
from .staging import Staging
from .units import Unit, UnitHome, UnitResult, UnitRow, embed_rows, reject_rows

__all__ = [
    "CorpusDigest",
    "Done",
    "EmbedderByName",
    "Engine",
    "Failed",
    "MergeReport",
    "RayEngine",
    "Shard",
    "Staging",
    "Unit",
    "UnitDriver",
    "UnitHome",
    "UnitResult",
    "UnitRow",
    "Worker",
    "WorkerMaker",
    "embed_rows",
    "merge_indexes",
    "reject_rows",
    "require_shard",
    "run_units",
    "shard_of",
]
