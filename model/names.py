"""Registered names of the models that ship with the package, and the defaults among them.

They are apart from ``registry``, so that a command line can show them before NumPy is loaded.
"""

from typing import Final

SMALL: Final = "earful-small"
TINY: Final = "earful-tiny"
DEFAULT_EMBEDDER: Final = SMALL
DEFAULT_MODEL: Final = SMALL
NON_COMMERCIAL: Final = "non-commercial research"
