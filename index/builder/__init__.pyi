from .build import build_index, embedder_for
from .changes import Contested, Replaced
from .doubtful import DoubtfulAudio
from .options import BuildOptions
from .rehearsal import Rehearsal, rehearse_build
from .report import BuildProgress, BuildReport, rejection_lines

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
