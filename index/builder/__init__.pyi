from .build import BuildOptions, BuildProgress, BuildReport, build_index, embedder_for

__all__ = [
    "BuildOptions",
    "BuildProgress",
    "BuildReport",
    "build_index",
    "embedder_for",
]
