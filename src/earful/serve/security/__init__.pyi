from .asgi import Application, Receive, Scope, Send
from .guards import Guards
from .headers import CONTENT_POLICY
from .hosts import served_hosts
from .limits import MAX_HEADER_BYTES

__all__ = [
    "CONTENT_POLICY",
    "MAX_HEADER_BYTES",
    "Application",
    "Guards",
    "Receive",
    "Scope",
    "Send",
    "served_hosts",
]
