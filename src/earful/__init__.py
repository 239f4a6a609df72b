"""Retrieval-augmented few-shot audio question answering.

Build an index from labelled recordings, then ask about others::

    import earful

    earful.build_index("corpus/", "sounds.index")
    few = earful.FewShot.open("sounds.index")
    answer = few.classify("street.wav")
    print(answer.text, f"{answer.confidence:.0%}")

Public names are listed in ``__init__.pyi`` and imported on first use, so that ``import earful``
itself costs nothing. All errors are in ``earful.errors``.
"""

from __future__ import annotations

import logging
import os

import lazy_loader

# What we import must not tell anybody that it was used. These are read at import time, so
# they are set before anything else; who has set them already has decided. ONNX Runtime's reporter
# has a thread, too, for which a forked child would wait at its end forever.
for _name in ("HF_HUB_DISABLE_TELEMETRY", "ORT_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
    os.environ.setdefault(_name, "1")

# Intel's MKL, which multiplies torch's matrices, sums long rows in one piece a thread, so that
# two threads give other last bits than one. In this mode its products do not depend on that. It
# is read at the first product; processors that MKL has no such mode for go on as before.
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")

# A library says nothing unless its user listens.
logging.getLogger(__name__).addHandler(logging.NullHandler())

_offered, _, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    if name != "__version__":
        return _offered(name)
    # Git's tags decide the version when earful is built. To read it is many imports, so that only
    # who asks pays for them.
    from importlib.metadata import version

    globals()[name] = found = version("earful")
    return found


def __dir__() -> list[str]:
    return sorted(["__version__", *__all__])
