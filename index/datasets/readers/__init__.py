"""Readers: the rows of a published dataset, from CSV, JSON, YAML, Parquet and file names."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
