from .corpus import Corpus, open_corpus, single_recording
from .exemplar import CorpusRow, Exemplar, Rejection, default_id, stretch_fields, to_nfc
from .folders import audio_files
from .limits import MAX_NAME, exemplar_fault, name_fault, text_fault
from .parquet import parquet_rows
from .recorders import GroupBy, RecordingsTable, read_recordings_table
from .stretches import TimesBeyond
from .survey import Remarks, Survey, survey_corpus
from .tables import KINDS, as_text, open_table, table_kind

__all__ = [
    "KINDS",
    "MAX_NAME",
    "Corpus",
    "CorpusRow",
    "Exemplar",
    "GroupBy",
    "RecordingsTable",
    "Rejection",
    "Remarks",
    "Survey",
    "TimesBeyond",
    "as_text",
    "audio_files",
    "default_id",
    "exemplar_fault",
    "name_fault",
    "open_corpus",
    "open_table",
    "parquet_rows",
    "read_recordings_table",
    "single_recording",
    "stretch_fields",
    "survey_corpus",
    "table_kind",
    "text_fault",
    "to_nfc",
]
