"""Caches kept with an index: what language models made of its exemplars."""
