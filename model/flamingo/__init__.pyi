from .audio import MAX_SAMPLES, MAX_SECONDS, SAMPLE_RATE, read_samples
from .config import FlamingoConfig, flamingo_shapes
from .decoding import AnswerTree, FlamingoNetwork, Mode, PromptArrays, pack_answers
from .language_model import VARIANTS, FlamingoLanguageModel, Variant
from .masks import causal_bias, cross_mask, hidden_bias, mask_of, positions_of
from .network import Flamingo, GatedCrossLayer, KeyValueCache, position_table
from .numpy_network import NumpyFlamingo
from .prompt_format import render_continuation, render_prompt
from .tokenizer import Control, FlamingoTokenizer, Segment
from .torch_decoding import FlamingoBatch, TorchFlamingo, decode, score_packed
from .window_encoders import MsClapWindows

__all__ = [
    "MAX_SAMPLES",
    "MAX_SECONDS",
    "SAMPLE_RATE",
    "VARIANTS",
    "AnswerTree",
    "Control",
    "Flamingo",
    "FlamingoBatch",
    "FlamingoConfig",
    "FlamingoLanguageModel",
    "FlamingoNetwork",
    "FlamingoTokenizer",
    "GatedCrossLayer",
    "KeyValueCache",
    "Mode",
    "MsClapWindows",
    "NumpyFlamingo",
    "PromptArrays",
    "Segment",
    "TorchFlamingo",
    "Variant",
    "causal_bias",
    "cross_mask",
    "decode",
    "flamingo_shapes",
    "hidden_bias",
    "mask_of",
    "pack_answers",
    "position_table",
    "positions_of",
    "read_samples",
    "render_continuation",
    "render_prompt",
    "score_packed",
]
