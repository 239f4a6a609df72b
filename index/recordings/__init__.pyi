from .array_file import Steps, StepsFile
from .encode import Encoder, Hearing, SlowedSteps, StoppedError
from .encoding_run import EncodedRecording, EncodingProgress, encode_many
from .find import FoundRecording, find_recordings
from .kept import KeptRecording, SampleLevels
from .settings import BLOCK_S, StoreSettings
from .store import STORE_FILE, StepStore, UnfinishedRecording
from .verify import StoreProblem, StoreReport, verify_store
from .writer import BusyRecordingError, StepWriter

__all__ = [
    "BLOCK_S",
    "STORE_FILE",
    "BusyRecordingError",
    "EncodedRecording",
    "Encoder",
    "EncodingProgress",
    "FoundRecording",
    "Hearing",
    "KeptRecording",
    "SampleLevels",
    "SlowedSteps",
    "StepStore",
    "StepWriter",
    "Steps",
    "StepsFile",
    "StoppedError",
    "StoreProblem",
    "StoreReport",
    "StoreSettings",
    "UnfinishedRecording",
    "encode_many",
    "find_recordings",
    "verify_store",
]
