"""From a labelled corpus to a searchable index.

In reading order: ``exemplar`` (one labelled stretch of audio), ``corpus`` (folders and
tables to exemplars), ``store`` (the index folder), ``search`` (exact top-k, filters,
FAISS), ``build`` (corpus to index, resumable).
"""
