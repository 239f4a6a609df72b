from .audacity import write_audacity
from .birdnet import write_birdnet, write_birdnet_for_r, write_kaleidoscope
from .clip_choice import ClipChoice
from .clips import ClipOptions, ClipsReport, write_clips
from .export import EXPORT_FORMATS, ExportOptions, export_events
from .own_tables import (
    write_events_csv,
    write_events_json,
    write_events_jsonl,
    write_events_parquet,
    write_examples_csv,
    write_recordings_csv,
)
from .raven import RAVEN_COLUMNS, write_raven, write_raven_combined

__all__ = [
    "EXPORT_FORMATS",
    "RAVEN_COLUMNS",
    "ClipChoice",
    "ClipOptions",
    "ClipsReport",
    "ExportOptions",
    "export_events",
    "write_audacity",
    "write_birdnet",
    "write_birdnet_for_r",
    "write_clips",
    "write_events_csv",
    "write_events_json",
    "write_events_jsonl",
    "write_events_parquet",
    "write_examples_csv",
    "write_kaleidoscope",
    "write_raven",
    "write_raven_combined",
    "write_recordings_csv",
]
