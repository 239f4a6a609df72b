"""Parts of tiny models of the hub: templates, byte-level tokenizers and small settings."""

from __future__ import annotations

from typing import Any

WIDTH = 32
N_MELS = 16
TEXT: dict[str, Any] = {
    "hidden_size": WIDTH,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32_768,
}
WHISPER: dict[str, Any] = {
    "num_mel_bins": N_MELS,
    "encoder_layers": 1,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "d_model": WIDTH,
}


def flamingo_template() -> str:
    """Return a template that renders as the one of Audio Flamingo 3's release does.

    ChatML with a default for the system; at most one recording a message, at its start wherever
    it stands among the parts; texts joined; a content that is one text as it is.
    """
    return (
        "{%- macro say(role, words) -%}<|im_start|>{{ role }}\n"
        "{{ words }}<|im_end|>\n{% endmacro -%}"
        "{%- if messages[0].role != 'system' -%}"
        "{{ say('system', 'You are a helpful assistant.') }}"
        "{%- endif -%}"
        "{%- for turn in messages if turn.content is not none -%}"
        "{%- if turn.content is string -%}{{ say(turn.role, turn.content) }}"
        "{%- else -%}"
        "{%- set heard = turn.content | selectattr('type', 'equalto', 'audio') | list -%}"
        "{%- set texts = turn.content | selectattr('type', 'equalto', 'text') -%}"
        "{%- set words = texts | map(attribute='text') | join -%}"
        "{{ say(turn.role, ('<sound>' if heard else '') + words) }}"
        "{%- endif -%}"
        "{%- endfor -%}"
        "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"
    )


def plain_template(audio: str, *, start: str, end: str, first: str = "") -> str:
    """Return a template that writes parts in order."""
    return (
        f"{first}"
        "{% for m in messages %}"
        f"{start}{{{{ m['role'] }}}}\n"
        "{% for c in m['content'] %}"
        f"{{% if c['type'] == 'audio' %}}{audio}{{% else %}}{{{{ c['text'] }}}}{{% endif %}}"
        "{% endfor %}"
        f"{end}\n"
        "{% endfor %}"
        f"{{% if add_generation_prompt %}}{start}assistant\n{{% endif %}}"
    )


def byte_tokenizer(specials: dict[str, str], *, eos: str, bos: str | None = None) -> Any:
    """Return a tokenizer of bytes; ``specials`` are control tokens, by attribute."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    names = list(dict.fromkeys(["<pad>", *([bos] if bos else []), eos, *specials.values()]))
    tokenizer.add_special_tokens([AddedToken(n, special=True, normalized=False) for n in names])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token=eos,
        bos_token=bos,
        extra_special_tokens=specials,
    )


def chat_tokenizer(**specials: str) -> Any:
    """Return a tokenizer of bytes, with the control tokens of ChatML."""
    return byte_tokenizer({"im_start": "<|im_start|>", **specials}, eos="<|im_end|>")


def text_sizes(tokenizer: Any, **more: Any) -> dict[str, Any]:
    """Return settings of a small text model with a tokenizer's vocabulary and end."""
    sizes = {"vocab_size": len(tokenizer), "eos_token_id": tokenizer.eos_token_id}
    return {**sizes, **TEXT, **more}


def whisper_extractor(n_mels: int = N_MELS) -> Any:
    """Return the features of Whisper, of so many bands."""
    from transformers import WhisperFeatureExtractor

    return WhisperFeatureExtractor(feature_size=n_mels, return_attention_mask=True)


def qwen2_config(tokenizer: Any, **more: Any) -> Any:
    """Return the sizes of a tiny Qwen2 with the vocabulary of a tokenizer."""
    from transformers import Qwen2Config

    return Qwen2Config(**text_sizes(tokenizer, **more))
