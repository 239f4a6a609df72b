from .answer_parser import parse_answer, strip_reasoning
from .canary import CheckReport
from .language_model import EndpointLanguageModel, load_endpoint
from .settings import SCORINGS, EndpointSettings, Prices

__all__ = [
    "SCORINGS",
    "CheckReport",
    "EndpointLanguageModel",
    "EndpointSettings",
    "Prices",
    "load_endpoint",
    "parse_answer",
    "strip_reasoning",
]
