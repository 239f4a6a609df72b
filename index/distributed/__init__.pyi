from .commit import UnitDriver
from .staging import STAGING_FOLDER, Staging, clear_other_runs
from .units import Unit, UnitHome, UnitResult, UnitRow, embed_rows, reject_rows

__all__ = [
    "STAGING_FOLDER",
    "Staging",
    "Unit",
    "UnitDriver",
    "UnitHome",
    "UnitResult",
    "UnitRow",
    "clear_other_runs",
    "embed_rows",
    "reject_rows",
]
