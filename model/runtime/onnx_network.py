"""Networks on ONNX Runtime: a graph that ships, and weights that come from elsewhere.

A graph is a file of some kilobytes without weights (``training/graphs.py`` writes them), so
that a release keeps its weights, and their digests, in one form for everybody who reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_QUIET: Final = 3  # errors only: what it warns of are graphs, which are ours


class OnnxNetwork:
    """Network computed by ONNX Runtime on the CPU, in the thread that calls it.

    It may be called by several threads at once. Its numbers do not depend on how many
    threads there are.

    Args:
        package: The package that holds the graph, such as ``"earful.model.yamnet"``.
        graph: Name of the graph's file in that package.
        weights: float32 arrays by the names that the graph gives them, all of them.
    """

    def __init__(
        self, package: str, graph: str, weights: Mapping[str, NDArray[np.float32]]
    ) -> None:
        # Loaded when a network is: most commands make none.
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = _QUIET
        # The session reads them where they lie, so they must live as long as it does.
        self._weights = {name: np.ascontiguousarray(x) for name, x in weights.items()}
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(x) for x in self._weights.values()]
        options.add_external_initializers(list(self._weights), values)
        self._session: Any = onnxruntime.InferenceSession(
            files(package).joinpath(graph).read_bytes(),
            options,
            providers=["CPUExecutionProvider"],
        )
        self._names = [each.name for each in self._session.get_inputs()]

    def __call__(self, *inputs: NDArray[Any]) -> NDArray[np.float32]:
        """Compute the graph's output, float32, from its inputs in their order."""
        given = dict(zip(self._names, inputs, strict=True))
        (found,) = self._session.run(None, given)
        return np.asarray(found)
