"""Checks of an installation: what works, what is missing, and the command that fixes it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal

import earful
from earful.model.runtime import n_cores
from earful.system import describe_system

_CORE = (
    *("numpy", "onnxruntime", "lancedb", "pyarrow"),
    *("soundfile", "soxr", "tokenizers", "typer"),
)
_EXTRAS = {
    "captions": ("pycocoevalcap", "scores of captions; METEOR takes Java, too"),
    "clap": ("transformers", "LAION-CLAP embedders"),
    "endpoint": ("openai", "language models behind an endpoint"),
    "flamingo": ("torch", "Audio Flamingo"),
    "hub-models": ("timm", "audio language models on the hub"),
    "faiss": ("faiss", "FAISS search"),
    "hdf5": ("h5py", "converting YAMNet's published weights"),
    "lance": ("lance", "approximate indexes built in parts"),
    "map": ("umap", "maps by umap"),
    "media": ("av", "MP4/AAC, WebM and other containers"),
    "notebook": ("nbclient", "running the notebooks"),
    "object-stores": ("obstore", "indexes and audio on s3://, gs:// and az://"),
    "ray": ("ray", "builds on a Ray cluster"),
    "serve": ("fastapi", "page of earful serve"),
    "train": ("torch", "training models"),
}
_HUB_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one check.

    Attributes:
        name: The thing checked.
        state: ``"ok"``, ``"missing"`` (optional and not there) or ``"broken"``.
        found: The version, the counts or the error that was found.
        mend: The command that fixes it; empty when there is nothing to fix.
    """

    name: str
    state: Literal["ok", "missing", "broken"]
    found: str
    mend: str = ""

    def to_dict(self) -> dict[str, str]:
        """Return the fields as plain JSON values."""
        return asdict(self)


def examine(*, hub: bool = True) -> tuple[Finding, ...]:
    """Check versions, extras, devices, weights and the model hub.

    Args:
        hub: Whether to try the hub, the only check that uses the network;
            ``HF_HUB_OFFLINE=1`` is honoured in any case.
    """
    findings = [
        Finding(name="earful", state="ok", found=earful.__version__),
        Finding(name="python", state="ok", found=platform.python_version()),
        *_system(),
        *(_package(name) for name in _CORE),
        *(_extra(extra, *about) for extra, about in _EXTRAS.items()),
        _device(),
        _shipped_embedder(),
        *_language_models(),
    ]
    if hub:
        findings.append(_hub())
    return tuple(findings)


def _system() -> Iterator[Finding]:
    """Yield the system, and what is used in place of facilities that it lacks."""
    system, *others = describe_system()
    lacking = [each for each in others if each.lost]
    found = system.used if lacking or system.lost else f"{system.used}, with all that earful uses"
    yield Finding(name=system.name, state="ok", found="; ".join(filter(None, [found, system.lost])))
    for each in lacking:
        yield Finding(name=each.name, state="missing", found=f"{each.used}: {each.lost}")


def _package(name: str) -> Finding:
    try:
        importlib.import_module(name)
    except Exception as error:  # a broken binary raises anything from ImportError to OSError
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        return Finding(
            name=name, state="broken", found=reason, mend="pip install --force-reinstall earful"
        )
    return Finding(name=name, state="ok", found=importlib.metadata.version(name))


def _extra(extra: str, module: str, purpose: str) -> Finding:
    if importlib.util.find_spec(module) is None:
        return Finding(
            name=f"earful[{extra}]",
            state="missing",
            found=f"{module} is not installed, so no {purpose}",
            mend=f"pip install 'earful[{extra}]'",
        )
    return Finding(name=f"earful[{extra}]", state="ok", found=f"{module}: {purpose}")


def _device() -> Finding:
    try:
        import torch
    except ModuleNotFoundError:
        found = f"{n_cores()} CPU cores, on which the shipped models run; no torch for others"
        return Finding(name="device", state="ok", found=found)
    except Exception as error:  # a broken binary raises anything from ImportError to OSError
        reason = f"torch: {type(error).__name__}: {error}".splitlines()[0]
        mend = "pip install --force-reinstall 'earful[flamingo]'"
        return Finding(name="device", state="broken", found=reason, mend=mend)
    threads = f"{torch.get_num_threads()} CPU threads"
    if not torch.cuda.is_available():
        return Finding(name="device", state="ok", found=f"{threads}; no CUDA device")
    names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
    return Finding(name="device", state="ok", found=f"{names}; {threads}")


def _shipped_embedder() -> Finding:
    from earful.errors import EarfulError
    from earful.model import DEFAULT_EMBEDDER, load_embedder

    try:
        fingerprint = load_embedder(DEFAULT_EMBEDDER).fingerprint
    except EarfulError as error:
        return Finding(
            name=DEFAULT_EMBEDDER,
            state="broken",
            found=str(error),
            mend="pip install --force-reinstall earful",
        )
    return Finding(
        name=DEFAULT_EMBEDDER,
        state="ok",
        found=f"weights sha256 {fingerprint.weights_sha256[:12]}…, {fingerprint.dim} dimensions",
    )


def _language_models() -> tuple[Finding, ...]:
    """Check which language models have been fetched; `models verify` checks their digests."""
    from earful.errors import EarfulError

    if importlib.util.find_spec("torch") is None:
        from earful.model import list_language_models

        return tuple(
            Finding(
                name=entry.name,
                state="missing",
                found="needs torch, which is not installed",
                mend=f"pip install 'earful[{entry.extra}]'",
            )
            for entry in list_language_models()
            if entry.extra == "flamingo"
        )
    from earful.model.flamingo.checkpoint import MODEL_NAMES, open_flamingo_folder
    from earful.model.runtime import models_home

    findings: list[Finding] = []
    for name in MODEL_NAMES:
        folder = models_home() / name
        mend = f"earful models pull {name} --accept-noncommercial"
        if not folder.is_dir():
            found = f"not in {models_home()}"
            findings.append(Finding(name=name, state="missing", found=found, mend=mend))
            continue
        try:
            opened = open_flamingo_folder(folder)
        except EarfulError as error:
            findings.append(Finding(name=name, state="broken", found=str(error), mend=mend))
            continue
        found = f"{opened.dtype}, {opened.licence}"
        findings.append(Finding(name=name, state="ok", found=found))
    return (*findings, *_fetched())


def _fetched() -> Iterator[Finding]:
    """Yield what there is of models of the hub that were fetched."""
    from earful.errors import EarfulError
    from earful.model.hub_models import list_fetched, open_hub_folder

    for name in list_fetched():
        try:
            opened = open_hub_folder(name)
        except EarfulError as error:
            mend = f"earful models pull {name}"
            yield Finding(name=name, state="broken", found=str(error), mend=mend)
            continue
        found = f"{opened.family.title}, {opened.licence or 'no licence stated'}"
        yield Finding(name=name, state="ok", found=found)


def _hub() -> Finding:
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    mend = "set HF_HUB_OFFLINE=1 and pass local folders, or use earful-small, which needs no hub"
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        return Finding(name="model hub", state="ok", found="offline by HF_HUB_OFFLINE")
    import urllib.error
    import urllib.request

    request = urllib.request.Request(endpoint, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=_HUB_TIMEOUT_S):
            return Finding(name="model hub", state="ok", found=f"{endpoint} answers")
    except urllib.error.HTTPError as error:
        found = f"{endpoint} answers {error.code} {error.reason}"
    except OSError as error:
        found = f"{endpoint} cannot be reached: {getattr(error, 'reason', error)}"
    return Finding(name="model hub", state="missing", found=found, mend=mend)
