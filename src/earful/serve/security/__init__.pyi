from .asgi import Receive, Send
from .guards import Guards
from .hosts import served_hosts
from .limits import MAX_HEADER_BYTES

__all__ = [
    "MAX_HEADER_BYTES",
    "Guards",
    "Receive",
    "Send",
    "served_hosts",
]
