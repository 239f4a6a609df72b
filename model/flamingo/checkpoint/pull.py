"""Download of a released Audio Flamingo: fetched, verified and converted, then used offline.

Files are kept in the cache of the hub's own client, whose ``HF_HOME``, ``HF_ENDPOINT`` and
``HF_TOKEN`` are honoured; see ``runtime.download``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from earful.errors import LicenceError, UnknownNameError
from earful.model.runtime import (
    describe_remote_file,
    download_file,
    hub_cache_folder,
    models_home,
    require_disk_space,
)

if TYPE_CHECKING:
    from earful.model.flamingo.checkpoint.convert import ConversionReport
    from earful.model.flamingo.checkpoint.writer import Dtype

LICENCE_NOTICE = """\
The weights of Audio Flamingo are for non-commercial research only. They are NVIDIA's, under
the licence of https://huggingface.co/nvidia/audio-flamingo; they contain OPT-IML, which is
Meta's, under its OPT-IML licence, and were trained on data with terms of their own. MS-CLAP's
encoder is Microsoft's, under MIT. None of them comes with earful, and earful's own licence
does not cover them."""

_CHECKPOINTS = {"audio-flamingo-foundation": "foundation", "audio-flamingo-chat": "chat"}
_FLAMINGO = "nvidia/audio-flamingo"
_MSCLAP = ("microsoft/msclap", "clapcap_weights_2023.pth")
_TOKENIZER = ("facebook/opt-iml-max-1.3b", ("vocab.json", "merges.txt"))
# Size of the folder compared with the checkpoint: half of that is copies and positions.
_SIZE_RATIO = {"float32": 0.55, "bfloat16": 0.28, "float16": 0.28}


def pull_flamingo(
    name: str,
    *,
    accept_licence: bool,
    folder: Path | None = None,
    dtype: Dtype = "bfloat16",
    progress: Callable[[str], None] | None = None,
) -> ConversionReport:
    """Fetch a released checkpoint with its encoder and tokenizer, and convert it.

    Args:
        name: ``"audio-flamingo-foundation"`` or ``"audio-flamingo-chat"``.
        accept_licence: Whether the user has accepted ``LICENCE_NOTICE``.
        folder: Folder to write; ``None`` for the one in which its name is looked up.
        dtype: Type of the language model's weights.
        progress: Called with a line for each step.

    Raises:
        LicenceError: The licence is not accepted; nothing has been fetched.
        UnknownNameError: There is no such checkpoint.
        ModelError: The hub cannot be reached, a file is damaged, or the disk is full.
    """
    from earful.model.flamingo.checkpoint.convert import convert_flamingo

    if name not in _CHECKPOINTS:
        raise UnknownNameError(f"no checkpoint named {name!r}; known: {', '.join(_CHECKPOINTS)}")
    if not accept_licence:
        raise LicenceError(
            f"{name} is for non-commercial research only, and its licence is not accepted; read "
            f"the notice, then run `earful models pull {name} --accept-noncommercial`"
        )
    say = progress or (lambda _line: None)
    variant = _CHECKPOINTS[name]
    target = folder or models_home() / name
    files = [
        describe_remote_file(_FLAMINGO, f"{variant}.pt"),
        describe_remote_file(*_MSCLAP),
        *(describe_remote_file(_TOKENIZER[0], file) for file in _TOKENIZER[1]),
    ]
    missing = sum(remote.missing_bytes() for remote in files)
    require_disk_space({target: files[0].n_bytes * _SIZE_RATIO[dtype], hub_cache_folder(): missing})
    checkpoint, msclap, vocabulary, _ = [download_file(remote, progress=say) for remote in files]
    return convert_flamingo(
        checkpoint,
        msclap=msclap,
        tokenizer=vocabulary.parent,
        folder=target,
        variant="chat" if variant == "chat" else "foundation",
        dtype=dtype,
        progress=progress,
    )
