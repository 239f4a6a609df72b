"""From audio to vectors and text.

In reading order: ``audio`` (file to ``Clip``), ``protocols`` (what an embedder is),
``registry`` (names to embedders), ``logmel`` (the baseline), ``tiny`` (the shipped
default), ``clap`` (LAION-CLAP).
"""
