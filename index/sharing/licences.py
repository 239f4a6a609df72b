"""Licences of recordings: one name for each of many spellings, and which may be passed on.

Corpora name licences as SPDX does, by Creative Commons' addresses, or in words. What is not
recognised keeps its own spelling, and is passed on only where a user allows it by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Self

CC0: Final = "CC0-1.0"
PUBLIC_DOMAIN: Final = "public domain"
NO_LICENCE: Final = "no licence"

_ADDRESS: Final = re.compile(r"(?:https?://)?(?:www\.)?creativecommons\.org/(.*)")
_LICENSES: Final = re.compile(r"licen[sc]es/([a-z+-]+)(?:/(\d(?:\.\d)?))?(?:/.*)?")
_ZERO: Final = re.compile(r"publicdomain/zero(?:/.*)?")
_MARK: Final = re.compile(r"(?:publicdomain/mark|licen[sc]es/publicdomain)(?:/.*)?")
_IN_BRACKETS: Final = re.compile(r"(.+?) ?\(([^()]+)\)")
_VERSION: Final = re.compile(r"\d(?:\.\d)?")
# Creative Commons has had no others.
_VERSIONS: Final = re.compile(r"[1-4](?:\.\d)?")
_WORDS: Final = re.compile(r"[a-z]+|\d+(?:\.\d+)?|\+|\S")

# What words of a Creative Commons licence mean; all others make it no such licence.
_PARTS: Final = {
    "by": ("by",), "attribution": ("by",),
    "nc": ("nc",), "noncommercial": ("nc",),
    "nd": ("nd",), "noderivs": ("nd",), "noderivatives": ("nd",), "noderivative": ("nd",),
    "sa": ("sa",), "sharealike": ("sa",),
    "ccby": ("by",),
}  # fmt: skip
_NOISE: Final = frozenset(
    {"cc", "creative", "commons", "licence", "license", "the", "v", "version", "international"}
    | {"unported", "generic", "public", "deed", "intl", "-", "_", "(", ")", ","}
)
_ZERO_SPELLINGS: Final = frozenset(
    {"0", "cc0", "cczero", "ccz", "zero", "cc0universal", "creativecommons0", "creativecommonszero"}
    | {"cc0publicdomain", "cc0publicdomaindedication", "cc0universalpublicdomaindedication"}
    | {"publicdomaindedication", "publicdomaincc0", "creativecommonscc0", "creativecommonszerocc0"}
)
_DOMAIN_SPELLINGS: Final = frozenset(
    {"publicdomain", "pd", "pdm", "publicdomainmark", "inthepublicdomain", "ccpdm", "ccpd"}
)
_OTHERS: Final = {
    "mit": "MIT", "apache2": "Apache-2.0", "apache2.0": "Apache-2.0", "bsd3clause": "BSD-3-Clause",
    "unlicense": "Unlicense", "odcby": "ODC-By-1.0", "odbl": "ODbL-1.0", "odbl1.0": "ODbL-1.0",
    "pddl": "PDDL-1.0", "pddl1.0": "PDDL-1.0", "gpl3.0": "GPL-3.0", "gpl2.0": "GPL-2.0",
}  # fmt: skip
# What the hub's cards call them; of Creative Commons those of these versions only.
_HUB_NAMES: Final = {
    CC0: "cc0-1.0", "MIT": "mit", "Apache-2.0": "apache-2.0", "BSD-3-Clause": "bsd-3-clause",
    "Unlicense": "unlicense", "ODC-By-1.0": "odc-by", "ODbL-1.0": "odbl", "PDDL-1.0": "pddl",
    "GPL-3.0": "gpl-3.0", "GPL-2.0": "gpl-2.0",
    **{f"CC-BY-{v}": f"cc-by-{v}" for v in ("2.0", "2.5", "3.0", "4.0")},
    **{f"CC-BY-SA-{v}": f"cc-by-sa-{v}" for v in ("3.0", "4.0")},
    **{f"CC-BY-NC-{v}": f"cc-by-nc-{v}" for v in ("2.0", "3.0", "4.0")},
    **{f"CC-BY-NC-SA-{v}": f"cc-by-nc-sa-{v}" for v in ("2.0", "3.0", "4.0")},
    **{f"CC-BY-NC-ND-{v}": f"cc-by-nc-nd-{v}" for v in ("3.0", "4.0")},
    "CC-BY-ND-4.0": "cc-by-nd-4.0",
}  # fmt: skip


def licence_name(text: str) -> str:
    """Return the usual name of a licence; one that is not recognised as it is spelt.

    >>> licence_name("http://creativecommons.org/licenses/by-nc/3.0/"), licence_name("cc by 4.0")
    ('CC-BY-NC-3.0', 'CC-BY-4.0')
    >>> licence_name("Creative Commons 0"), licence_name("Sampling+"), licence_name("")
    ('CC0-1.0', 'Sampling+', 'no licence')
    """
    told = " ".join(text.split())
    plain = told.lower().rstrip("/. ")
    if not plain:
        return NO_LICENCE
    if address := _ADDRESS.fullmatch(plain):
        return _of_address(address[1]) or told
    if twice := _IN_BRACKETS.fullmatch(plain):
        # In words, and once more in short: only where both say the same.
        names = {licence_name(part) for part in twice.groups()}
        return names.pop() if len(names) == 1 else told
    squeezed = re.sub(r"[^a-z0-9.+]", "", plain)
    bare = re.sub(r"v?1(?:\.0)?(?=$|universal)", "", squeezed).removesuffix("universal")
    for found in (squeezed, bare):
        if found in _ZERO_SPELLINGS:
            return CC0
        if found in _DOMAIN_SPELLINGS:
            return PUBLIC_DOMAIN
    return _OTHERS.get(squeezed) or _of_words(plain) or told


def hub_licence(name: str) -> str:
    """Return what the hub's cards call a licence; ``"other"`` for one that they do not know.

    >>> hub_licence("CC-BY-4.0"), hub_licence("CC-BY-1.0"), hub_licence("no licence")
    ('cc-by-4.0', 'other', 'unknown')
    """
    return "unknown" if name == NO_LICENCE else _HUB_NAMES.get(name, "other")


def needs_author(name: str) -> bool:
    """Tell whether a licence asks for its author to be named.

    >>> needs_author("CC-BY-4.0"), needs_author("CC0-1.0")
    (True, False)
    """
    return name.startswith("CC-BY")


@dataclass(frozen=True, slots=True)
class AllowedLicences:
    """The licences whose recordings may be passed on.

    CC0, the public domain and CC-BY always may, CC-BY with its author; not with further
    conditions (NC, ND, SA), which a user may allow by name.

    Attributes:
        more: Names of others that the user allows.
    """

    more: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def of(cls, allowed: Iterable[str]) -> Self:
        """Allow more licences, however they are spelt.

        Raises:
            ValueError: One is empty: recordings without a licence are never passed on.
        """
        names = [licence_name(text) for text in allowed]
        if NO_LICENCE in names:
            raise ValueError("allowed licences hold an empty name: expected one, such as CC-BY-SA")
        return cls(frozenset(name.casefold() for name in names))

    def refusal(self, text: str, *, author: str) -> str:
        """Explain why a recording may not be passed on; empty where it may.

        Args:
            text: Its licence, as the corpus spells it.
            author: Who made it; empty when unknown.

        >>> AllowedLicences().refusal("CC BY 4.0", author="Ada"), AllowedLicences().refusal(
        ...     "CC BY 4.0", author="")
        ('', 'CC-BY-4.0 without an author')
        >>> AllowedLicences.of(["CC-BY-NC"]).refusal("by-nc 4.0", author="Ada")
        ''
        """
        name = licence_name(text)
        if name == NO_LICENCE or not (self._is_free(name) or self._is_named(name)):
            return name
        return f"{name} without an author" if needs_author(name) and not author.strip() else ""

    def _is_named(self, name: str) -> bool:
        """Whether the user named it, with its version or without any."""
        own = name.casefold()
        return own in self.more or re.sub(r"-\d+(?:\.\d+)?$", "", own) in self.more

    @staticmethod
    def _is_free(name: str) -> bool:
        return name in (CC0, PUBLIC_DOMAIN) or re.fullmatch(r"CC-BY(-\d\.\d)?", name) is not None


def _of_address(place: str) -> str:
    if _ZERO.fullmatch(place):
        return CC0
    if _MARK.fullmatch(place):
        return PUBLIC_DOMAIN
    found = _LICENSES.fullmatch(place)
    return _of_parts(found[1].split("-"), found[2] or "") if found else ""


def _of_words(plain: str) -> str:
    """Read a licence of Creative Commons in words; empty for any other."""
    joined = re.sub(r"\b(non|no|share)[ -](?=commercial|deriv|alike)", r"\1", plain)
    words = [word for word in _WORDS.findall(joined) if word not in _NOISE]
    version = words.pop() if words and _VERSION.fullmatch(words[-1]) else ""
    return _of_parts(words, version)


def _of_parts(words: list[str], version: str) -> str:
    if any(word not in _PARTS for word in words) or (version and not _VERSIONS.fullmatch(version)):
        return ""
    parts = {part for word in words for part in _PARTS[word]}
    if "by" not in parts or {"nd", "sa"} <= parts:
        return ""
    order = [part.upper() for part in ("by", "nc", "nd", "sa") if part in parts]
    number = f"{version}.0" if version and "." not in version else version
    return "-".join(["CC", *order, *([number] if number else [])])
