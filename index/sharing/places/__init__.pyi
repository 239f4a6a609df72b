from .naming import place_of
from .place import Listing, Place, Progress, Sending, stale_parts
from .swap import replace_folder, restore_folder

__all__ = [
    "Listing",
    "Place",
    "Progress",
    "Sending",
    "place_of",
    "replace_folder",
    "restore_folder",
    "stale_parts",
]
