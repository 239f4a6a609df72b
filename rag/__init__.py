"""From an index and a task to an answer with its evidence.

In reading order: ``task`` (what is asked), ``taskfile``, ``taskfields``, ``taskcheck`` and
``template`` (task files: lines, fields, rules, a new one), ``examples`` (a task's own
examples as vectors), ``pool`` (who may answer), ``retrieve`` (choosing the shots),
``prompt`` (the interleaved prompt), ``score`` (the neighbour vote), ``calibrate`` (fitting
it), ``answer`` (what comes back), ``desk`` (what is worked out once a task) and
``pipeline`` (``FewShot``, all of it together).
"""
