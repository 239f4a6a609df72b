from .clip import AudioInfo, Clip, file_sha256, load_audio, require_sample_rate, resample
from .hearing import AudioFault, FaultKind, HearsBand, check_hearing, hearing_faults
from .levels import LevelMeter, Levels, unfilled_note
from .limits import AudioLimits, check_rate
from .sandbox import load_isolated, probe_isolated, stop_decoding, warm_up
from .source import open_source

__all__ = [
    "AudioFault",
    "AudioInfo",
    "AudioLimits",
    "Clip",
    "FaultKind",
    "HearsBand",
    "LevelMeter",
    "Levels",
    "check_hearing",
    "check_rate",
    "file_sha256",
    "hearing_faults",
    "load_audio",
    "load_isolated",
    "open_source",
    "probe_isolated",
    "require_sample_rate",
    "resample",
    "stop_decoding",
    "unfilled_note",
    "warm_up",
]
