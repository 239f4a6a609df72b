from .answer import write_answer
from .sampler import Sampler

__all__ = ["Sampler", "write_answer"]
