from .corpus import DemoCorpus, build_demo_index, classify_unseen
from .long_recording import N_EXAMPLES, LongRecording, mix_long_recording

__all__ = [
    "N_EXAMPLES",
    "DemoCorpus",
    "LongRecording",
    "build_demo_index",
    "classify_unseen",
    "mix_long_recording",
]
