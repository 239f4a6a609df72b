from .build import build_index, embedder_for
from .options import BuildOptions
from .report import BuildProgress, BuildReport

__all__ = [
    "BuildOptions",
    "BuildProgress",
    "BuildReport",
    "build_index",
    "embedder_for",
]
