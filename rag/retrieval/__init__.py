"""Retrieval: the exemplars nearest to a query, and what they vote."""
