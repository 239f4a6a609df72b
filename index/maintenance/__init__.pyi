from .export import export_index
from .repair import RepairReport, repair_index
from .salvage import Readable, Unreadable, salvage_rows
from .verify import VerifyReport, verify_index

__all__ = [
    "Readable",
    "RepairReport",
    "Unreadable",
    "VerifyReport",
    "export_index",
    "repair_index",
    "salvage_rows",
    "verify_index",
]
