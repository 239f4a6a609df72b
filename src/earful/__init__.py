"""Retrieval-augmented few-shot audio question answering."""

__version__ = "0.1.0"
