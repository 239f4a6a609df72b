from .build import build_index, embedder_for
from .changes import Contested, Replaced
from .options import BuildOptions
from .report import BuildProgress, BuildReport

__all__ = [
    "BuildOptions",
    "BuildProgress",
    "BuildReport",
    "Contested",
    "Replaced",
    "build_index",
    "embedder_for",
]
