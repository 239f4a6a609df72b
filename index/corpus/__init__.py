"""Corpora: labelled folders and tables, read as exemplars."""
