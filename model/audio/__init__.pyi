from .blocks import AudioBlock, StreamStart
from .clip import AudioInfo, Clip, file_sha256, load_audio, require_sample_rate, resample
from .clock import clock_stretch, clock_time, is_clock_time, parse_time_s, whole_clock
from .hearing import (
    AudioFault,
    CountsWindows,
    FaultKind,
    HearsBand,
    check_hearing,
    hearing_faults,
)
from .levels import LevelMeter, Levels, unfilled_note
from .limits import ANY_LENGTH, STRETCH_OF_LONG, AudioLimits, check_channel, check_rate
from .next_steps import BY_TIMES, FIND_WHERE, RAISE_LIMIT, TAKE_STRETCH
from .sandbox import load_isolated, probe_isolated, stop_decoding, warm_up
from .source import open_source
from .stream import AudioBlocks, StreamInfo, stream_blocks

__all__ = [
    "ANY_LENGTH",
    "BY_TIMES",
    "FIND_WHERE",
    "RAISE_LIMIT",
    "STRETCH_OF_LONG",
    "TAKE_STRETCH",
    "AudioBlock",
    "AudioBlocks",
    "AudioFault",
    "AudioInfo",
    "AudioLimits",
    "Clip",
    "CountsWindows",
    "FaultKind",
    "HearsBand",
    "LevelMeter",
    "Levels",
    "StreamInfo",
    "StreamStart",
    "check_channel",
    "check_hearing",
    "check_rate",
    "clock_stretch",
    "clock_time",
    "file_sha256",
    "hearing_faults",
    "is_clock_time",
    "load_audio",
    "load_isolated",
    "open_source",
    "parse_time_s",
    "probe_isolated",
    "require_sample_rate",
    "resample",
    "stop_decoding",
    "stream_blocks",
    "unfilled_note",
    "warm_up",
    "whole_clock",
]
