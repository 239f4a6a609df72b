"""Metrics: scores of predictions against references, with their intervals."""
