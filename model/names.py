"""Registered names of the models that ship with the package, which are the defaults.

They are apart from ``registry``, so that a command line can show them before NumPy is loaded.
"""

from typing import Final

SHIPPED: Final = "earful-tiny"
DEFAULT_EMBEDDER: Final = SHIPPED
DEFAULT_MODEL: Final = SHIPPED
