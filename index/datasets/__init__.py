"""Published datasets as declarations, and the readers that make exemplars of them."""
