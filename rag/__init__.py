"""From an index and a task to an answer with its evidence.

In reading order: ``task`` (task files), ``retrieve`` (choosing the shots), ``prompt``
(the interleaved prompt), ``score`` (neighbour vote and its calibration), ``answer``
(what comes back), ``pipeline`` (``FewShot``, all of it together).
"""
