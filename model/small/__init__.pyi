from .acoustics import ACOUSTICS_RATE, N_DESCRIPTORS, describe_acoustics
from .embedder import Ears, Heard, SmallEmbedder, load_ears, load_small, load_small_steps
from .evidence import (
    CHANNEL_GAINS,
    N_CHANNELS,
    VECTOR_LENGTH,
    AcousticScale,
    channels,
    features_of_clip,
    features_of_label,
    likeness,
)
from .frames import window_groups
from .heads import YAMNET_SHARE, Head, Heads, unit
from .language_model import STYLE, SmallHearing, SmallLanguageModel, load_small_lm
from .network import RANKS, Factors, NarrowNetwork, factor_shapes
from .steps import MARGIN_STEPS, STEP_SAMPLES, SmallSteps
from .weights import DESCRIPTION, NAME, Encoder, digests_beside, read_small_release
from .words import WordMaps, plain_name

__all__ = [
    "ACOUSTICS_RATE",
    "CHANNEL_GAINS",
    "DESCRIPTION",
    "MARGIN_STEPS",
    "NAME",
    "N_CHANNELS",
    "N_DESCRIPTORS",
    "RANKS",
    "STEP_SAMPLES",
    "STYLE",
    "VECTOR_LENGTH",
    "YAMNET_SHARE",
    "AcousticScale",
    "Ears",
    "Encoder",
    "Factors",
    "Head",
    "Heads",
    "Heard",
    "NarrowNetwork",
    "SmallEmbedder",
    "SmallHearing",
    "SmallLanguageModel",
    "SmallSteps",
    "WordMaps",
    "channels",
    "describe_acoustics",
    "digests_beside",
    "factor_shapes",
    "features_of_clip",
    "features_of_label",
    "likeness",
    "load_ears",
    "load_small",
    "load_small_lm",
    "load_small_steps",
    "plain_name",
    "read_small_release",
    "unit",
    "window_groups",
]
