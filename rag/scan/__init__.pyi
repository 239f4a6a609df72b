from .settings import DEFAULT_THRESHOLD, ScanSettings

__all__ = [
    "DEFAULT_THRESHOLD",
    "ScanSettings",
]
