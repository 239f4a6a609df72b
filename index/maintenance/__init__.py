"""Maintenance: an index verified, repaired and exported."""
