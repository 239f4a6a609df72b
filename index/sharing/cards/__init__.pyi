from .card import IndexCard, index_card, package_card
from .evaluation import Evaluated, EvaluationFigures
from .own_card import read_card

__all__ = [
    "Evaluated",
    "EvaluationFigures",
    "IndexCard",
    "index_card",
    "package_card",
    "read_card",
]
