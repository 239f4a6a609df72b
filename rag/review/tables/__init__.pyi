from .export import LabelsExport, export_labels
from .read import LabelsImport, import_labels
from .rows import holds_label, label_row, relabelled

__all__ = [
    "LabelsExport",
    "LabelsImport",
    "export_labels",
    "holds_label",
    "import_labels",
    "label_row",
    "relabelled",
]
