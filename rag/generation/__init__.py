"""Generation: a language model asked with retrieved exemplars in its prompt."""
