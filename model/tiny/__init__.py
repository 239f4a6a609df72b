"""earful-tiny: the encoder and the language model that ship with the package."""
