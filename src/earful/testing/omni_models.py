"""Tiny models that see as well as hear: two of Gemma, and the thinkers of two Omni models."""

from __future__ import annotations

from typing import Any

from earful.testing.hub_parts import (
    WHISPER,
    WIDTH,
    byte_tokenizer,
    chat_tokenizer,
    plain_template,
    text_sizes,
    whisper_extractor,
)


def _gemma_tokenizer() -> Any:
    return byte_tokenizer(
        {
            "turn": "<start_of_turn>",
            "boi_token": "<start_of_image>",
            "eoi_token": "<end_of_image>",
            "image_token": "<image_soft_token>",
            "video": "<|video|>",
            "boa_token": "<start_of_audio>",
            "eoa_token": "<end_of_audio>",
            "audio_token": "<audio_soft_token>",
        },
        bos="<bos>",
        eos="<end_of_turn>",
    )


def _gemma_text(tokenizer: Any, *, n_layers: int) -> dict[str, Any]:
    return text_sizes(
        tokenizer,
        num_hidden_layers=n_layers,
        head_dim=8,
        hidden_size_per_layer_input=8,
        sliding_window=64,
        layer_types=["sliding_attention", "full_attention"] * (n_layers // 2),
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
    )


_GEMMA_TEMPLATE = plain_template(
    "<audio_soft_token>", start="<start_of_turn>", end="<end_of_turn>", first="{{ bos_token }}"
)


def gemma3n() -> tuple[Any, Any]:
    """Return processor and model of a tiny Gemma 3n."""
    from transformers import (
        Gemma3nAudioConfig,
        Gemma3nAudioFeatureExtractor,
        Gemma3nConfig,
        Gemma3nForConditionalGeneration,
        Gemma3nProcessor,
        Gemma3nTextConfig,
        Gemma3nVisionConfig,
        SiglipImageProcessor,
    )

    tokenizer = _gemma_tokenizer()
    ids = tokenizer.convert_tokens_to_ids
    n_text = ids("<image_soft_token>")
    n_vision = ids("<audio_soft_token>") - n_text
    config = Gemma3nConfig(
        text_config=Gemma3nTextConfig(
            **_gemma_text(tokenizer, n_layers=4),
            vocab_size_per_layer_input=n_text,
            num_kv_shared_layers=2,
            laurel_rank=4,
            activation_sparsity_pattern=[0.0] * 4,
        ),
        vision_config=Gemma3nVisionConfig(
            architecture="resnet18", hidden_size=512, vocab_size=n_vision, vocab_offset=n_text
        ),
        audio_config=Gemma3nAudioConfig(
            vocab_size=4,
            vocab_offset=n_text + n_vision,
            hidden_size=WIDTH,
            conf_num_attention_heads=2,
            conf_num_hidden_layers=1,
            sscp_conv_channel_size=(8, 4),
        ),
        boi_token_id=ids("<start_of_image>"),
        eoi_token_id=ids("<end_of_image>"),
        image_token_id=n_text,
        boa_token_id=ids("<start_of_audio>"),
        eoa_token_id=ids("<end_of_audio>"),
        audio_token_id=ids("<audio_soft_token>"),
    )
    processor = Gemma3nProcessor(
        Gemma3nAudioFeatureExtractor(),
        SiglipImageProcessor(),
        tokenizer,
        chat_template=_GEMMA_TEMPLATE,
    )
    return processor, Gemma3nForConditionalGeneration(config)


def gemma4() -> tuple[Any, Any]:
    """Return processor and model of a tiny Gemma 4."""
    from transformers import (
        Gemma4AudioConfig,
        Gemma4AudioFeatureExtractor,
        Gemma4Config,
        Gemma4ForConditionalGeneration,
        Gemma4ImageProcessor,
        Gemma4Processor,
        Gemma4TextConfig,
        Gemma4VideoProcessor,
        Gemma4VisionConfig,
    )

    tokenizer = _gemma_tokenizer()
    ids = tokenizer.convert_tokens_to_ids
    config = Gemma4Config(
        text_config=Gemma4TextConfig(
            **_gemma_text(tokenizer, n_layers=2),
            vocab_size_per_layer_input=len(tokenizer),
        ),
        vision_config=Gemma4VisionConfig(
            hidden_size=WIDTH,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
            head_dim=16,
        ),
        audio_config=Gemma4AudioConfig(
            hidden_size=WIDTH,
            num_hidden_layers=1,
            num_attention_heads=2,
            subsampling_conv_channels=(128, 4),
            output_proj_dims=WIDTH,
        ),
        boi_token_id=ids("<start_of_image>"),
        eoi_token_id=ids("<end_of_image>"),
        image_token_id=ids("<image_soft_token>"),
        video_token_id=ids("<|video|>"),
        boa_token_id=ids("<start_of_audio>"),
        eoa_token_index=ids("<end_of_audio>"),
        audio_token_id=ids("<audio_soft_token>"),
    )
    processor = Gemma4Processor(
        Gemma4AudioFeatureExtractor(),
        Gemma4ImageProcessor(),
        tokenizer,
        Gemma4VideoProcessor(),
        chat_template=_GEMMA_TEMPLATE,
    )
    return processor, Gemma4ForConditionalGeneration(config)


_OMNI_TOKENS = {
    "image_token": "<|image_pad|>",
    "video_token": "<|video_pad|>",
    "audio_token": "<|audio_pad|>",
    "vision_bos_token": "<|vision_start|>",
    "vision_eos_token": "<|vision_end|>",
    "audio_bos_token": "<|audio_start|>",
    "audio_eos_token": "<|audio_end|>",
}
_OMNI_TEMPLATE = plain_template(
    "<|audio_start|><|audio_pad|><|audio_end|>", start="<|im_start|>", end="<|im_end|>"
)
_OMNI_VISION: dict[str, Any] = {
    "depth": 1,
    "hidden_size": WIDTH,
    "intermediate_size": 32,
    "num_heads": 2,
    "out_hidden_size": WIDTH,
}
_OMNI_ROPE = {
    "rope_type": "default",
    "rope_theta": 10_000.0,
    "mrope_section": [2, 1, 1],
}


def qwen2_5_omni() -> tuple[Any, Any]:
    """Return processor and model of a tiny Qwen2.5-Omni."""
    from transformers import (
        Qwen2_5OmniAudioEncoderConfig,
        Qwen2_5OmniProcessor,
        Qwen2_5OmniTextConfig,
        Qwen2_5OmniThinkerConfig,
        Qwen2_5OmniThinkerForConditionalGeneration,
        Qwen2_5OmniVisionEncoderConfig,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
    )

    tokenizer = chat_tokenizer(**_OMNI_TOKENS)
    ids = tokenizer.convert_tokens_to_ids
    config = Qwen2_5OmniThinkerConfig(
        audio_config=Qwen2_5OmniAudioEncoderConfig(**WHISPER, output_dim=WIDTH),
        vision_config=Qwen2_5OmniVisionEncoderConfig(**_OMNI_VISION, fullatt_block_indexes=[0]),
        text_config=Qwen2_5OmniTextConfig(**text_sizes(tokenizer, rope_parameters=_OMNI_ROPE)),
        audio_token_index=ids("<|audio_pad|>"),
        image_token_index=ids("<|image_pad|>"),
        video_token_index=ids("<|video_pad|>"),
        **{"vision_start_token_id": ids("<|vision_start|>")},
        audio_start_token_id=ids("<|audio_start|>"),
        audio_end_token_id=ids("<|audio_end|>"),
    )
    processor = Qwen2_5OmniProcessor(
        Qwen2VLImageProcessor(),
        Qwen2VLVideoProcessor(),
        whisper_extractor(),
        tokenizer,
        chat_template=_OMNI_TEMPLATE,
    )
    return processor, Qwen2_5OmniThinkerForConditionalGeneration(config)


def qwen3_omni_moe() -> tuple[Any, Any]:
    """Return processor and model of a tiny Qwen3-Omni."""
    from transformers import (
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
        Qwen3OmniMoeAudioEncoderConfig,
        Qwen3OmniMoeProcessor,
        Qwen3OmniMoeTextConfig,
        Qwen3OmniMoeThinkerConfig,
        Qwen3OmniMoeThinkerForConditionalGeneration,
        Qwen3OmniMoeVisionEncoderConfig,
    )

    tokenizer = chat_tokenizer(**_OMNI_TOKENS)
    ids = tokenizer.convert_tokens_to_ids
    config = Qwen3OmniMoeThinkerConfig(
        audio_config=Qwen3OmniMoeAudioEncoderConfig(
            **WHISPER, output_dim=WIDTH, downsample_hidden_size=8
        ),
        vision_config=Qwen3OmniMoeVisionEncoderConfig(**_OMNI_VISION, deepstack_visual_indexes=[0]),
        text_config=Qwen3OmniMoeTextConfig(
            **text_sizes(tokenizer, rope_parameters=_OMNI_ROPE),
            moe_intermediate_size=16,
            num_experts=4,
            num_experts_per_tok=2,
        ),
        audio_token_id=ids("<|audio_pad|>"),
        image_token_id=ids("<|image_pad|>"),
        video_token_id=ids("<|video_pad|>"),
        **{"vision_start_token_id": ids("<|vision_start|>")},
        audio_start_token_id=ids("<|audio_start|>"),
    )
    processor = Qwen3OmniMoeProcessor(
        Qwen2VLImageProcessor(),
        Qwen2VLVideoProcessor(),
        whisper_extractor(),
        tokenizer,
        chat_template=_OMNI_TEMPLATE,
    )
    return processor, Qwen3OmniMoeThinkerForConditionalGeneration(config)
