"""From a labelled corpus to a searchable index.

In reading order: ``exemplar`` (one labelled stretch of audio), ``corpus``, ``folders``,
``tables``, ``parquet`` and ``textrules`` (folders and tables to exemplars), ``survey`` (a
corpus counted); ``search``, ``rough`` and ``faiss_backend`` (exact top-k with filters),
``half``, ``approximate`` and ``where`` (searches that leave the rows on the disk); ``schema``,
``header``, ``formats``, ``lock``, ``table_reader``, ``table``, ``lance_errors``,
``table_files``, ``checksums``, ``versions``, ``known``, ``info``, ``refusals``, ``rejected``,
``features``, ``replays`` and ``store`` (the index folder); ``verify``, ``salvage``, ``repair``
and ``export``; ``decode``, ``progress`` and ``build`` (corpus to index, resumable).
"""
