from .attempts import run_units
from .engine import Done, Engine, Failed, Worker
from .ray_engine import RayEngine
from .worker import EmbedderByName, WorkerMaker

__all__ = [
    "Done",
    "EmbedderByName",
    "Engine",
    "Failed",
    "RayEngine",
    "Worker",
    "WorkerMaker",
    "run_units",
]
