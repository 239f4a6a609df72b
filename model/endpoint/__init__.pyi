from .canary import CheckReport
from .decision_model import DecidingLanguageModel
from .language_model import EndpointLanguageModel
from .loading import load_endpoint
from .scoring import parse_answer, strip_reasoning
from .settings import SCORINGS, EndpointSettings, Prices

__all__ = [
    "SCORINGS",
    "CheckReport",
    "DecidingLanguageModel",
    "EndpointLanguageModel",
    "EndpointSettings",
    "Prices",
    "load_endpoint",
    "parse_answer",
    "strip_reasoning",
]
