"""Manifest for lmms-eval: what its entry point ``lmms_eval.models`` loads."""

from __future__ import annotations

from typing import Any


def lmms_manifest() -> Any:
    """Return the manifest of the model ``earful``; lmms-eval is imported only now.

    Raises:
        ModuleNotFoundError: lmms-eval is not installed, or an older one.
    """
    from lmms_eval.models.registry_v2 import ModelManifest

    return ModelManifest(
        model_id="earful", simple_class_path="earful.rag.evaluation.harness.lmms_model.EarfulModel"
    )
