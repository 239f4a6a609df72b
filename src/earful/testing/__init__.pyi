from .flamingos import (
    tiny_encoder_config,
    tiny_flamingo_config,
    write_flamingo,
    write_hub_checkpoint,
    write_tokenizer_files,
)
from .hub_models import save_tiny_hub_model
from .scripted import ScriptedLanguageModel
from .stub_endpoint import StubEndpoint, serve_stub

__all__ = [
    "ScriptedLanguageModel",
    "StubEndpoint",
    "save_tiny_hub_model",
    "serve_stub",
    "tiny_encoder_config",
    "tiny_flamingo_config",
    "write_flamingo",
    "write_hub_checkpoint",
    "write_tokenizer_files",
]
