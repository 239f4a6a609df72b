"""Builds: a corpus embedded into an index, resumable."""
