from .app import create_app, require_extra
from .server import serve
from .settings import ServeSettings, read_token
from .sources import Source, Sources, exemplar_id, recording_id
from .state import ServerState, open_state
from .uploads import Upload, Uploads
from .work import Changes, FairQueue

__all__ = [
    "Changes",
    "FairQueue",
    "ServeSettings",
    "ServerState",
    "Source",
    "Sources",
    "Upload",
    "Uploads",
    "create_app",
    "exemplar_id",
    "open_state",
    "read_token",
    "recording_id",
    "require_extra",
    "serve",
]
