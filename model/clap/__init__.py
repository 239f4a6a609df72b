"""LAION-CLAP: audio and text embedded into one space."""
