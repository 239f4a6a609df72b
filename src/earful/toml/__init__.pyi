from .file import TomlFile, TomlProblem, read_toml
from .reader import MAX_PROBLEMS, STRICT, TomlReader, TooManyProblemsError
from .shapes import Before, Many

__all__ = [
    "MAX_PROBLEMS",
    "STRICT",
    "Before",
    "Many",
    "TomlFile",
    "TomlProblem",
    "TomlReader",
    "TooManyProblemsError",
    "read_toml",
]
