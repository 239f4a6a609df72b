from .changes import Changes, Listener, ServerEvent
from .commits import Commits
from .fair_queue import FairQueue, QueueFullError
from .jobs import Job, Jobs, Tell
from .memory import share_arenas
from .turns import Turns

__all__ = [
    "Changes",
    "Commits",
    "FairQueue",
    "Job",
    "Jobs",
    "Listener",
    "QueueFullError",
    "ServerEvent",
    "Tell",
    "Turns",
    "share_arenas",
]
