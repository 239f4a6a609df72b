"""Audio Flamingo v1: the network, its prompt format and its decoding."""
