from .export import export_index, formula_safe
from .repair import RepairReport, repair_index
from .verify import IndexFault, VerifyReport, verify_index

__all__ = [
    "IndexFault",
    "RepairReport",
    "VerifyReport",
    "export_index",
    "formula_safe",
    "repair_index",
    "verify_index",
]
