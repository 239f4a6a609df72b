"""Evaluation: whether few-shot answers beat their baselines on labelled recordings."""
