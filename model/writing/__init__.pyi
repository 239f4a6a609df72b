from .answer import write_answer
from .distinct import require_distinct
from .sampler import Sampler

__all__ = ["Sampler", "require_distinct", "write_answer"]
