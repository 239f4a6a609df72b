"""Checkpoints of Audio Flamingo: published files converted, written, verified and loaded."""
