"""From an index and a task to an answer with its evidence.

In reading order: ``task`` (what is asked), ``taskfile``, ``taskfields``, ``taskcheck`` and
``template`` (task files: lines, fields, rules, a new one), ``examples`` (a task's own
examples as vectors), ``pool`` (who may answer), ``retrieve`` (choosing the shots),
``prompt`` (the interleaved prompt), ``score`` (the neighbour vote and label probabilities),
``calibrate`` (fitting the vote), ``answer`` (what comes back), ``query`` (the recording
asked about), ``desk`` (what is worked out once a task), ``shots`` and ``retriever`` (a
query's shots), ``respond`` (asking a language model), ``blend``, ``replay`` and ``judge`` (it
and the vote, weighed by what exemplars say), ``pipeline`` (``FewShot``, all of it
together), ``chat``, ``influence`` (what each shot contributes), ``features`` (encoding
exemplars ahead) and ``reference_prompts`` (the wording of Audio Flamingo's datasets).
"""
