"""Fetching a released Audio Flamingo: downloaded, checked, converted, and offline from then on.

Downloads go through the hub's own client into its own cache: they are resumed after an
interruption, and ``HF_HOME``, ``HF_ENDPOINT`` and ``HF_TOKEN`` are honoured.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from earful.errors import LicenceError, ModelError, UnknownNameError

if TYPE_CHECKING:
    from earful.model.flamingo_checkpoint import ConversionReport
    from earful.model.flamingo_writer import Dtype

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
_SHA256 = re.compile(r"[0-9a-f]{64}")
# Half of a checkpoint is copies and positions; then the dtype.
_KEPT = {"float32": 0.55, "bfloat16": 0.28, "float16": 0.28}


@dataclass(frozen=True, slots=True)
class _Remote:
    repository: str
    file: str
    n_bytes: int
    etag: str


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
        folder: Where to put it; ``None`` for where its name is looked up.
        dtype: Of the language model's weights.
        progress: Called with a line for each step.

    Raises:
        LicenceError: The licence is not accepted; nothing has been fetched.
        UnknownNameError: There is no such checkpoint.
        ModelError: The hub cannot be reached, a file is damaged, or there is no room.
    """
    from earful.model.flamingo_checkpoint import convert_flamingo
    from earful.model.flamingo_folder import models_home

    if name not in _CHECKPOINTS:
        raise UnknownNameError(f"no checkpoint named {name!r}; known: {', '.join(_CHECKPOINTS)}")
    if not accept_licence:
        raise LicenceError(
            f"{name} is for non-commercial research only, and its licence is not accepted; read "
            f"the notice and run `earful models pull {name} --accept-noncommercial`"
        )
    say = progress or (lambda _line: None)
    variant = _CHECKPOINTS[name]
    target = folder or models_home() / name
    wanted = [
        _describe(_FLAMINGO, f"{variant}.pt"),
        _describe(*_MSCLAP),
        *(_describe(_TOKENIZER[0], file) for file in _TOKENIZER[1]),
    ]
    _require_room(target, wanted[0].n_bytes * _KEPT[dtype], "the converted model")
    checkpoint, msclap, vocabulary, _ = [_download(remote, say) for remote in wanted]
    return convert_flamingo(
        checkpoint,
        msclap=msclap,
        tokenizer=vocabulary.parent,
        folder=target,
        variant="chat" if variant == "chat" else "foundation",
        dtype=dtype,
        progress=progress,
    )


def _describe(repository: str, file: str) -> _Remote:
    """Ask the hub for a file's size and digest."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    try:
        told = get_hf_file_metadata(hf_hub_url(repository, file))
    except Exception as error:  # of the HTTP library too, and which that is changes
        raise _unreachable(repository, file, error) from error
    return _Remote(repository, file, int(told.size or 0), (told.etag or "").strip('"'))


def _download(remote: _Remote, say: Callable[[str], None]) -> Path:
    from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache

    if not isinstance(try_to_load_from_cache(remote.repository, remote.file), str):
        _require_room(Path(constants.HF_HUB_CACHE), remote.n_bytes, remote.file)
        say(f"downloading {remote.repository}/{remote.file}, {remote.n_bytes / 1e9:.1f} GB")
    try:
        path = Path(hf_hub_download(remote.repository, remote.file))
    except Exception as error:
        raise _unreachable(remote.repository, remote.file, error) from error
    # Files in large-file storage are named by their SHA-256; small ones by git's own digest.
    if _SHA256.fullmatch(remote.etag):
        from earful.model.flamingo_folder import sha256_of

        say(f"checking {remote.file}")
        if (found := sha256_of(path)) != remote.etag:
            blob = path.resolve()  # the cache links a name to its content
            path.unlink()
            blob.unlink(missing_ok=True)
            raise ModelError(
                f"{remote.repository}/{remote.file}: sha256 {found}, and the hub says "
                f"{remote.etag}; the file was removed: run the command again"
            )
    return path


def _require_room(place: Path, n_bytes: float, what: str) -> None:
    existing = next(folder for folder in (place, *place.absolute().parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    if free < n_bytes:
        raise ModelError(
            f"{place}: {what} takes {n_bytes / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free; make "
            "room, or set EARFUL_HOME and HF_HOME to another disk"
        )


def _unreachable(repository: str, file: str, error: Exception) -> ModelError:
    reason = str(error).strip().split("\n")[0]
    return ModelError(
        f"{repository}/{file}: cannot be had from the hub: {reason}. Run the command again to go "
        "on, or fetch the files elsewhere and use `earful models convert`"
    )
