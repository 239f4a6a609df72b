"""Loading of models of the hub: weights on a device, in a type, or over several devices."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from earful.errors import MissingExtraError, ModelError
from earful.model.hub_models.checkpoint import HubFolder, open_hub_folder
from earful.model.runtime import pick_device, require_device_name

QUANTISED: Final = ("int8", "int4")
DTYPES: Final = ("auto", "float32", "bfloat16", "float16", *QUANTISED)
"""Types of weights; the last two quantise linear layers as they are loaded (bitsandbytes)."""

DEVICE_MAPS: Final = ("auto", "balanced", "balanced_low_0", "sequential")
"""Ways to lay a model over several devices, for ``EARFUL_DEVICE_MAP``."""

_OLDEST: Final = (5, 24)
_log = logging.getLogger(__name__)


def load_hub_model(
    name: str,
    *,
    device: str = "auto",
    dtype: str = "auto",
    decoding: str = "full",
    slots: int | None = None,
) -> Any:
    """Load a model of the hub that was fetched, or from a folder in the hub's layout.

    ``EARFUL_DEVICE_MAP`` lays it over several devices instead of one: one of ``DEVICE_MAPS``.

    Args:
        name: Hub id, ``owner/name`` or ``owner/name@revision``, or a folder.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
        dtype: One of ``DTYPES``; ``"auto"`` as stored.
        decoding: ``"full"``, the only way.
        slots: ``None``; there are as many places for audio as a prompt has recordings.

    Returns:
        A ``HubLanguageModel``.

    Raises:
        ModelError: It was not fetched, is damaged, is of no family that is asked, or a choice is
            unknown; or the self-test failed.
        MissingExtraError: It needs a package that is not installed.
    """
    if dtype not in DTYPES:
        raise ModelError(f"dtype {dtype!r}, expected {', '.join(DTYPES)}")
    if decoding != "full":
        raise ModelError(f"{name}: decoding {decoding!r}, expected 'full': leave --decoding out")
    if slots is not None:
        raise ModelError(
            f"{name}: slots={slots}, expected none, since it takes as many recordings as a prompt "
            "has: leave --slots out"
        )
    require_device_name(device)
    folder = open_hub_folder(name)
    _require_packages(folder, dtype)
    from earful.model.hub_models.language_model import HubLanguageModel
    from earful.model.hub_models.reading import HubNetwork
    from earful.model.hub_models.rendering import Renderer

    with _quiet():
        processor = _load_processor(folder)
        renderer = Renderer(processor, folder.family, name=name)
        model = _load_model(folder, device=device, dtype=dtype)
    network = HubNetwork(model, folder.family, audio_id=renderer.audio_id, name=name)
    loaded = HubLanguageModel(
        renderer,
        network,
        name=name,
        weights_sha256=folder.weights_sha256(),
        quantised=dtype if dtype in QUANTISED else "",
        licence=folder.licence,
    )
    if not loaded.self_test.keeps_prefixes:
        _log.warning("%s: read in parts it scores otherwise, so each prompt is read anew", name)
    if network.device.type == "cuda" and not loaded.self_test.asks_together:
        _log.warning("%s: scores otherwise beside others, so prompts are read singly", name)
    _log.debug(
        "self-test of %s: %s",
        name,
        loaded.self_test,
        extra={"self_test_error": loaded.self_test.error, "batch_safe": network.batches_answers},
    )
    return loaded


def _require_packages(folder: HubFolder, dtype: str) -> None:
    for package in ("torch", "transformers", "torchvision", "timm"):
        if importlib.util.find_spec(package) is None:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
    import transformers

    found = transformers.__version__
    if tuple(map(int, found.split(".")[:2])) < _OLDEST:
        raise MissingExtraError(
            f"language model {folder.name!r} needs transformers {'.'.join(map(str, _OLDEST))} or "
            f"newer, got {found}: pip install --upgrade 'earful[hub-models]'"
        )
    needs = [*folder.family.needs]
    if (folder.path / "adapter_config.json").is_file():
        needs.append("peft")
    if dtype in QUANTISED:
        needs += ["bitsandbytes", "accelerate"]
    if _device_map():
        needs.append("accelerate")
    for package in needs:
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(
                f"language model {folder.name!r} needs {package!r}, which earful's extras leave "
                f"out: pip install {package.replace('_', '-')}"
            )


def _device_map() -> str:
    wanted = os.environ.get("EARFUL_DEVICE_MAP", "")
    if wanted and wanted not in DEVICE_MAPS:
        raise ModelError(f"EARFUL_DEVICE_MAP={wanted!r}, expected {', '.join(DEVICE_MAPS)}")
    return wanted


def _load_processor(folder: HubFolder) -> Any:
    from transformers import AutoProcessor

    try:
        return AutoProcessor.from_pretrained(
            folder.path, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(folder, "processor", error) from error


def _load_model(folder: HubFolder, *, device: str, dtype: str) -> Any:
    import transformers

    options: dict[str, Any] = {"dtype": "auto" if dtype in QUANTISED else dtype}
    place = None
    if layout := _device_map():
        options["device_map"] = layout
    else:
        place = pick_device(device)
    if dtype in QUANTISED:
        options["quantization_config"] = transformers.BitsAndBytesConfig(
            load_in_8bit=dtype == "int8", load_in_4bit=dtype == "int4"
        )
        options.setdefault("device_map", {"": str(place)})
        place = None
    try:
        model, info = getattr(transformers, folder.family.model_class).from_pretrained(
            folder.path,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            **options,
        )
    except ImportError as error:
        raise MissingExtraError(f"language model {folder.name!r}: {_line(error)}") from error
    except Exception as error:  # safetensors' and torch's own among them
        raise _unreadable(folder, "weights", error) from error
    wrong = sorted(map(str, [*info.get("missing_keys", ()), *info.get("mismatched_keys", ())]))
    if wrong:
        raise ModelError(
            f"{folder.name}: {len(wrong)} tensors are missing or of another shape, such as "
            f"{wrong[0]}; fetch the model again with `earful models pull`"
        )
    model.eval().requires_grad_(False)
    return model if place is None else model.to(place)


def _unreadable(folder: HubFolder, what: str, error: Exception) -> ModelError:
    return ModelError(
        f"{folder.name}: its {what} cannot be read ({_line(error)}); fetch the model again with "
        "`earful models pull`, or give an undamaged folder"
    )


def _line(error: Exception) -> str:
    lines = str(error).strip().split("\n")
    return (lines[0] or type(error).__name__)[:300]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep progress bars and reports of ``transformers`` off the screen."""
    from transformers.utils import logging as reports

    shown, level = reports.is_progress_bar_enabled(), reports.get_verbosity()
    reports.disable_progress_bar()
    reports.set_verbosity_error()
    try:
        yield
    finally:
        reports.set_verbosity(level)
        if shown:
            reports.enable_progress_bar()
