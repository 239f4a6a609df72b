"""Runtime: devices, precision, threads, digests and downloads that all models share."""
