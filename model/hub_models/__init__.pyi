from .catalogue import CATALOGUE, KnownModel
from .checkpoint import (
    HubFolder,
    PullReport,
    is_fetched,
    is_hub_folder,
    is_hub_id,
    list_fetched,
    open_hub_folder,
    pull_hub_model,
    read_licence,
)
from .families import FAMILIES, REFUSED, Family
from .language_model import HubLanguageModel
from .loading import DEVICE_MAPS, DTYPES, load_hub_model
from .reading import HubNetwork, Rendered
from .rendering import Renderer
from .self_test import SelfTest, run_self_test

__all__ = [
    "CATALOGUE",
    "DEVICE_MAPS",
    "DTYPES",
    "FAMILIES",
    "REFUSED",
    "Family",
    "HubFolder",
    "HubLanguageModel",
    "HubNetwork",
    "KnownModel",
    "PullReport",
    "Rendered",
    "Renderer",
    "SelfTest",
    "is_fetched",
    "is_hub_folder",
    "is_hub_id",
    "list_fetched",
    "load_hub_model",
    "open_hub_folder",
    "pull_hub_model",
    "read_licence",
    "run_self_test",
]
