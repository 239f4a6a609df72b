"""From audio to vectors and text.

In reading order: ``audio`` (file to ``Clip``), with ``source`` (opening safely), ``decoders``
(libsndfile), ``container`` (FFmpeg's libraries), ``framing`` (how long a stream really is)
and ``stretch`` (limits, mixing, checks); ``protocols`` (what an embedder is), ``registry``
(names to embedders), ``device``; ``logmel`` (the baseline), ``tiny`` (the shipped default);
``mel`` (log-mel front ends), ``clap``, ``clap_front_end``, ``clap_checkpoint`` and ``hub``
(LAION-CLAP, from the hub or a file).
"""
