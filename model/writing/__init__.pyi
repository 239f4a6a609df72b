from .answer import write_answer
from .distinct import require_distinct
from .sampler import Sampler
from .shown import ShownText

__all__ = ["Sampler", "ShownText", "require_distinct", "write_answer"]
