"""Published datasets as declarations, and the readers that make exemplars of them."""

from earful.index.datasets.catalog import list_datasets, load_dataset, open_dataset

__all__ = ["list_datasets", "load_dataset", "open_dataset"]
