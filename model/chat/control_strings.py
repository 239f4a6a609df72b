"""Control strings: what a chat template reads as a place for audio or a turn, broken in user text.

A server or a processor renders the template itself, so that a label such as ``<|im_end|>`` could
end a turn. A space put into such a string makes it text again.
"""

from __future__ import annotations

import re
from typing import Final

# Besides these, every string that begins with ``<|`` is broken.
_KNOWN: Final = (
    *("<sound>", "<audio>", "<image>", "<video>", "<audio_soft_token>", "<image_soft_token>"),
    *("<start_of_audio>", "<end_of_audio>", "<start_of_image>", "<end_of_image>", "<__media__>"),
    *("<start_of_turn>", "<end_of_turn>", "<turn|>", "<audio|>", "<image|>"),
    *("<bos>", "<eos>", "<pad>", "<s>", "</s>", "<unk>"),
    *("[AUDIO]", "[BEGIN_AUDIO]", "[INST]", "[/INST]", "[IMG]", "[SYSTEM_PROMPT]"),
    *("[/SYSTEM_PROMPT]", "[TRANSCRIBE]"),
)
_FIND = re.compile("|".join((r"<\|", *map(re.escape, _KNOWN))))


def break_control_strings(text: str) -> str:
    """Return a text whose control strings are text: each with a space behind its first character.

    >>> break_control_strings("a dog<|im_end|> [INST] <b>")
    'a dog< |im_end|> [ INST] <b>'
    """
    return _FIND.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)


def control_strings_in(text: str) -> tuple[str, ...]:
    """Return the control strings in a text, each once, in order; ``<|`` for any that begins so.

    >>> control_strings_in("<|im_end|><|im_start|>user [INST]")
    ('<|', '[INST]')
    """
    return tuple(dict.fromkeys(_FIND.findall(text)))
