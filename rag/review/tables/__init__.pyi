from .export import LabelsExport, export_labels
from .read import LabelsImport, import_labels

__all__ = ["LabelsExport", "LabelsImport", "export_labels", "import_labels"]
