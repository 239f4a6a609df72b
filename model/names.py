"""Names of models: those that ship, the defaults among them, and what a registry says of each.

They are apart from ``registry``, so that a command line can show them before NumPy is loaded.
"""

from dataclasses import asdict, dataclass
from typing import Final, Literal

SMALL: Final = "earful-small"
TINY: Final = "earful-tiny"
DEFAULT_EMBEDDER: Final = SMALL
DEFAULT_MODEL: Final = SMALL
NON_COMMERCIAL: Final = "non-commercial research"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedderEntry:
    """Description of an embedder that is not loaded yet.

    Attributes:
        name: What to pass to ``load_embedder``.
        kind: ``"shipped"`` in the package, ``"baseline"`` to compare with, ``"hub"``
            fetched from a model hub, ``"plugin"`` from another package.
        description: Short description.
        licence: Licence of its weights; empty when there are none or it is unknown.
        extra: The extra of earful that it needs; empty for none.
        text: Whether it also embeds sentences.
        target: ``"module:factory"``.
    """

    name: str
    kind: Literal["shipped", "baseline", "hub", "plugin"]
    description: str
    licence: str = ""
    extra: str = ""
    text: bool = False
    target: str

    def to_dict(self) -> dict[str, str | bool]:
        """Return the fields as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageModelEntry:
    """Description of a language model that is not loaded yet.

    Attributes:
        name: What to pass to ``load_language_model``.
        kind: ``"shipped"`` in the package, ``"hub"`` fetched from a model hub, ``"endpoint"``
            asked over a network, ``"plugin"`` from another package.
        description: Short description.
        licence: Licence of its weights; empty where its model card has to be asked.
        extra: The extra of earful that it needs; empty for none.
        target: ``"module:factory"``.
    """

    name: str
    kind: Literal["shipped", "hub", "endpoint", "plugin"]
    description: str
    licence: str = ""
    extra: str = ""
    target: str

    def to_dict(self) -> dict[str, str]:
        """Return the fields as plain JSON values."""
        return asdict(self)
