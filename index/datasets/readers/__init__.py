"""Readers: the rows of a published data set, from CSV, JSON, YAML and folders."""
