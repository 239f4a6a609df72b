"""Search: exact and approximate nearest exemplars, with filters."""
