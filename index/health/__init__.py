"""Health: what is wrong with a labelled corpus, measured, and its map."""
