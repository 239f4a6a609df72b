from .arms import Arm, arms_of, check_choices
from .prediction import Prediction
from .runner import ArmRunner, embedding_seconds

__all__ = ["Arm", "ArmRunner", "Prediction", "arms_of", "check_choices", "embedding_seconds"]
