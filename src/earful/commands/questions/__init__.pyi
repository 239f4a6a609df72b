from .conversation import chat
from .nearest import search
from .query import ask, caption, classify

__all__ = ["ask", "caption", "chat", "classify", "search"]
