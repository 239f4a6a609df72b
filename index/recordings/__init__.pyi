from .array_file import Steps
from .kept import KeptRecording, SampleLevels
from .settings import BLOCK_S, StoreSettings
from .store import STORE_FILE, StepStore, UnfinishedRecording
from .verify import StoreProblem, StoreReport, verify_store
from .writer import BusyRecordingError, StepWriter

__all__ = [
    "BLOCK_S",
    "STORE_FILE",
    "BusyRecordingError",
    "KeptRecording",
    "SampleLevels",
    "StepStore",
    "StepWriter",
    "Steps",
    "StoreProblem",
    "StoreReport",
    "StoreSettings",
    "UnfinishedRecording",
    "verify_store",
]
