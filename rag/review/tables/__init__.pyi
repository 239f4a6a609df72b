from .export import LabelsExport, export_labels
from .read import LabelsImport, import_labels
from .rows import ROW_PREFIX, holds_label, label_row, relabelled, require_unreviewed

__all__ = [
    "ROW_PREFIX",
    "LabelsExport",
    "LabelsImport",
    "export_labels",
    "holds_label",
    "import_labels",
    "label_row",
    "relabelled",
    "require_unreviewed",
]
