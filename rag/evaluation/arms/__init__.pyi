from .arms import Arm, arms_of
from .prediction import Prediction
from .runner import ArmRunner, embedding_seconds

__all__ = ["Arm", "ArmRunner", "Prediction", "arms_of", "embedding_seconds"]
