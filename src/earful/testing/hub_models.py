"""Tiny audio language models in the hub's layout: random weights, byte-level tokenizers.

Each has its family's own classes, processor and control tokens, so that what is counted, masked and
cached is real; what it says is not. The template of Audio Flamingo 3 and Music Flamingo renders as
the released one does, Qwen2-Audio's is its processor's own; the others are stand-ins.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from earful.testing.hub_parts import (
    N_MELS,
    TEXT,
    WHISPER,
    WIDTH,
    byte_tokenizer,
    chat_tokenizer,
    flamingo_template,
    plain_template,
    qwen2_config,
    text_sizes,
    whisper_extractor,
)
from earful.testing.omni_models import gemma3n, gemma4, qwen2_5_omni, qwen3_omni_moe


def audio_flamingo_3(
    *,
    text: Mapping[str, Any] = TEXT,
    encoder: Mapping[str, Any] = WHISPER,
    n_mels: int = N_MELS,
) -> tuple[Any, Any]:
    """Return processor and model of a tiny Audio Flamingo 3."""
    from transformers import (
        AudioFlamingo3Config,
        AudioFlamingo3EncoderConfig,
        AudioFlamingo3ForConditionalGeneration,
        AudioFlamingo3Processor,
    )

    tokenizer = chat_tokenizer(sound="<sound>")
    config = AudioFlamingo3Config(
        audio_config=AudioFlamingo3EncoderConfig(**encoder),
        text_config=qwen2_config(tokenizer, **text),
        audio_token_id=tokenizer.convert_tokens_to_ids("<sound>"),
    )
    template = flamingo_template()
    extractor = whisper_extractor(n_mels)
    processor = AudioFlamingo3Processor(extractor, tokenizer, chat_template=template)
    return processor, AudioFlamingo3ForConditionalGeneration(config)


def music_flamingo() -> tuple[Any, Any]:
    """Return processor and model of a tiny Music Flamingo."""
    from transformers import (
        AudioFlamingo3EncoderConfig,
        MusicFlamingoConfig,
        MusicFlamingoForConditionalGeneration,
        MusicFlamingoProcessor,
    )

    tokenizer = chat_tokenizer(sound="<sound>")
    # Not marked special, and not in the template: nothing of transformers neutralises them.
    tokenizer.add_tokens(["<|sound_bos|>", "<|sound_eos|>"])
    ids = tokenizer.convert_tokens_to_ids
    more: dict[str, Any] = {"head_dim": 16}
    more["rope_parameters"] = {"rope_type": "default", "rope_theta": 1200}
    config = MusicFlamingoConfig(
        audio_config=AudioFlamingo3EncoderConfig(**WHISPER),
        text_config=qwen2_config(tokenizer),
        audio_token_id=ids("<sound>"),
        audio_bos_token_id=ids("<|sound_bos|>"),
        audio_eos_token_id=ids("<|sound_eos|>"),
        **more,
    )
    template = flamingo_template()
    processor = MusicFlamingoProcessor(whisper_extractor(), tokenizer, chat_template=template)
    return processor, MusicFlamingoForConditionalGeneration(config)


def qwen2_audio() -> tuple[Any, Any]:
    """Return processor and model of a tiny Qwen2-Audio."""
    from transformers import (
        Qwen2AudioConfig,
        Qwen2AudioEncoderConfig,
        Qwen2AudioForConditionalGeneration,
        Qwen2AudioProcessor,
    )

    tokenizer = chat_tokenizer(audio="<|AUDIO|>")
    # Not marked special, but in the template.
    tokenizer.add_tokens(["<|audio_bos|>", "<|audio_eos|>"])
    config = Qwen2AudioConfig(
        audio_config=Qwen2AudioEncoderConfig(**WHISPER),
        text_config=qwen2_config(tokenizer),
        audio_token_index=tokenizer.convert_tokens_to_ids("<|AUDIO|>"),
    )
    return (
        Qwen2AudioProcessor(whisper_extractor(), tokenizer),
        Qwen2AudioForConditionalGeneration(config),
    )


def glm_asr() -> tuple[Any, Any]:
    """Return processor and model of a tiny GLM-ASR."""
    from transformers import (
        GlmAsrConfig,
        GlmAsrEncoderConfig,
        GlmAsrForConditionalGeneration,
        GlmAsrProcessor,
        LlamaConfig,
    )

    tokenizer = byte_tokenizer(
        {"turn": "<|user|>", "audio": "<|pad|>", "begin": "<|begin_of_audio|>"}, eos="<|end|>"
    )
    config = GlmAsrConfig(
        audio_config=GlmAsrEncoderConfig(
            hidden_size=WIDTH,
            intermediate_size=4 * WIDTH,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_mel_bins=16,
        ),
        text_config=LlamaConfig(**text_sizes(tokenizer)),
        audio_token_id=tokenizer.convert_tokens_to_ids("<|pad|>"),
    )
    template = plain_template("<|begin_of_audio|><|pad|>", start="<|user|>", end="<|end|>")
    processor = GlmAsrProcessor(whisper_extractor(), tokenizer, chat_template=template)
    return processor, GlmAsrForConditionalGeneration(config)


def granite_speech() -> tuple[Any, Any]:
    """Return processor and model of a tiny Granite Speech."""
    from transformers import (
        Blip2QFormerConfig,
        GraniteConfig,
        GraniteSpeechConfig,
        GraniteSpeechEncoderConfig,
        GraniteSpeechFeatureExtractor,
        GraniteSpeechForConditionalGeneration,
        GraniteSpeechProcessor,
    )

    tokenizer = byte_tokenizer(
        {"audio_token": "<|audio|>", "start": "<|start_of_role|>"}, eos="<|end_of_text|>"
    )
    config = GraniteSpeechConfig(
        text_config=GraniteConfig(**text_sizes(tokenizer)),
        encoder_config=GraniteSpeechEncoderConfig(
            num_layers=2,
            hidden_dim=WIDTH,
            num_heads=2,
            dim_head=16,
            context_size=50,
            max_pos_emb=64,
            output_dim=8,
        ),
        projector_config=Blip2QFormerConfig(
            hidden_size=WIDTH,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            encoder_hidden_size=WIDTH,
            cross_attention_frequency=1,
        ),
        audio_token_index=tokenizer.convert_tokens_to_ids("<|audio|>"),
        has_lora_adapter=False,
    )
    template = plain_template("<|audio|>", start="<|start_of_role|>", end="<|end_of_text|>")
    processor = GraniteSpeechProcessor(
        GraniteSpeechFeatureExtractor(), tokenizer, chat_template=template
    )
    return processor, GraniteSpeechForConditionalGeneration(config)


def phi4_multimodal() -> tuple[Any, Any]:
    """Return processor and model of a tiny Phi-4 multimodal."""
    from transformers import (
        Phi4MultimodalAudioConfig,
        Phi4MultimodalConfig,
        Phi4MultimodalFeatureExtractor,
        Phi4MultimodalForCausalLM,
        Phi4MultimodalImageProcessor,
        Phi4MultimodalProcessor,
        Phi4MultimodalVisionConfig,
    )

    tokenizer = byte_tokenizer(
        {"image_token": "<|image|>", "audio_token": "<|audio|>", "turn": "<|user|>"}, eos="<|end|>"
    )
    ids = tokenizer.convert_tokens_to_ids
    config = Phi4MultimodalConfig(
        **text_sizes(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.eos_token_id,
        vision_config=Phi4MultimodalVisionConfig(
            hidden_size=WIDTH,
            intermediate_size=32,
            num_hidden_layers=3,
            num_attention_heads=2,
            image_token_id=ids("<|image|>"),
            crop_size=28,
            image_size=28,
        ),
        audio_config=Phi4MultimodalAudioConfig(
            hidden_size=WIDTH,
            intermediate_size=32,
            num_blocks=2,
            num_attention_heads=2,
            nemo_conv_channels=16,
            ext_pw_out_channel=WIDTH,
            depthwise_separable_out_channel=WIDTH,
            audio_token_id=ids("<|audio|>"),
        ),
    )
    template = plain_template("<|audio|>", start="<|user|>", end="<|end|>")
    processor = Phi4MultimodalProcessor(
        Phi4MultimodalImageProcessor(),
        Phi4MultimodalFeatureExtractor(),
        tokenizer,
        chat_template=template,
    )
    return processor, Phi4MultimodalForCausalLM(config)


FAMILIES: dict[str, Callable[[], tuple[Any, Any]]] = {
    "audioflamingo3": audio_flamingo_3,
    "qwen2_audio": qwen2_audio,
    "musicflamingo": music_flamingo,
    "qwen2_5_omni": qwen2_5_omni,
    "qwen3_omni_moe": qwen3_omni_moe,
    "glmasr": glm_asr,
    "gemma3n": gemma3n,
    "gemma4": gemma4,
    "phi4_multimodal": phi4_multimodal,
    "granite_speech": granite_speech,
}
"""Families that run here, each by its model type."""


def save_tiny_hub_model(model_type: str, folder: Path, *, licence: str = "apache-2.0") -> Path:
    """Write a tiny model of a family into a folder, as the hub keeps it, with a model card."""
    import torch

    torch.manual_seed(0)
    processor, model = FAMILIES[model_type]()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # Random weights as they are would say the same of all audio.
            if parameter.ndim > 1 and "embed_positions" not in name:
                parameter.mul_(4.0)
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    card = f"---\nlicense: {licence}\n---\n\n# tiny\n"
    (folder / "README.md").write_text(card, encoding="utf-8")
    return folder


def as_full_omni(folder: Path) -> None:
    """Turn a thinker's folder into the layout of a whole Omni, its talker left out."""
    from safetensors.torch import load_file, save_file

    path = folder / "config.json"
    thinker = json.loads(path.read_text("utf-8"))
    whole = {
        "model_type": thinker["model_type"].removesuffix("_thinker"),
        "thinker_config": thinker,
    }
    path.write_text(json.dumps(whole), encoding="utf-8")
    weights = folder / "model.safetensors"
    tensors = {f"thinker.{name}": tensor for name, tensor in load_file(weights).items()}
    save_file(tensors, weights, metadata={"format": "pt"})
