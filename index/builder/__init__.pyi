from .build import BuildOptions, build_index, embedder_for
from .changes import Contested
from .rehearsal import Rehearsal, rehearse_build
from .report import BuildProgress, BuildReport, DoubtfulAudio, Replaced, rejection_lines

__all__ = [
    "BuildOptions",
    "BuildProgress",
    "BuildReport",
    "Contested",
    "DoubtfulAudio",
    "Rehearsal",
    "Replaced",
    "build_index",
    "embedder_for",
    "rehearse_build",
    "rejection_lines",
]
