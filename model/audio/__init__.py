"""Audio input: files and streams to clips, within limits, decoded in a sandbox."""
