from .changes import Changes, ServerEvent
from .fair_queue import FairQueue, QueueFullError

__all__ = ["Changes", "FairQueue", "QueueFullError", "ServerEvent"]
