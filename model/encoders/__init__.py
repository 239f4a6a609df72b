"""Audio encoders: log-mel front ends and the networks that several models share."""
