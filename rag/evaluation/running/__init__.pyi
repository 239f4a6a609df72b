from .model_runs import RunOfModels
from .one_run import Progress, Run, RunOfOneModel
from .sources import ModelSource, NamedModel, to_sources

__all__ = [
    "ModelSource",
    "NamedModel",
    "Progress",
    "Run",
    "RunOfModels",
    "RunOfOneModel",
    "to_sources",
]
